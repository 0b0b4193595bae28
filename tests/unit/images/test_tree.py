import gzip
import hashlib
import io
import subprocess
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.images import listing_cache
from envguard.images.gzip_members import Compression
from envguard.images.image import NewImage
from envguard.images.layer import LayerFile
from envguard.images.layout import open_layout, write_layout
from envguard.images.tree import ImageFiles
from envguard.model.digest import Digest
from envguard.model.errors import EnvguardError, IntegrityError, LimitError, UnreadableError
from envguard.model.files import Kind, read, walk
from tests.support.images import (
    buffered,
    folder,
    hard_link,
    image_of_layers,
    image_of_tars,
    link,
    member,
    tar_of,
)

Members = list[tuple[tarfile.TarInfo, bytes]]


def tree(*layers: Members, compress: bool = True) -> ImageFiles:
    return ImageFiles(image_of_tars(*map(tar_of, layers), compress=compress), cached=False)


def shown(files: ImageFiles) -> dict[str, str]:
    """Each path with its contents, its link's target, or what it is."""
    found: dict[str, str] = {}
    for path, entry in walk(files):
        match entry.kind:
            case Kind.FILE:
                found[path] = read(files, path).decode()
            case Kind.LINK:
                found[path] = f"-> {entry.target}"
            case kind:
                found[path] = f"({kind})"
    return found


@pytest.mark.parametrize("compress", [True, False])
def test_files_of_all_layers_add_up(compress: bool) -> None:
    files = tree(
        [folder("etc"), member("etc/a", b"1", mode=0o755), member("etc/b", b"1")],
        [member("./etc/b", b"22"), member("/opt/c", b"3")],
        compress=compress,
    )
    assert shown(files) == {
        "etc": "(folder)",
        "etc/a": "1",
        "etc/b": "22",
        "opt": "(folder)",
        "opt/c": "3",
    }
    assert files.digest("etc/b") == Digest.of(b"22")
    entry = files.stat("etc/a")
    assert entry is not None
    assert (entry.name, entry.kind, entry.size, entry.executable) == ("a", Kind.FILE, 1, True)
    assert files.stat("") is not None
    assert files.stat("etc/none") is None
    assert files.stat("etc/a/below") is None
    assert files.scan("none") == []


LOWER: Members = [
    member("a/one", b"1"),
    member("a/two", b"2"),
    member("a/sub/three", b"3"),
    member("b", b"b"),
    link("c", "b"),
]


@pytest.mark.parametrize(
    ("upper", "gone", "new"),
    [
        ([member("a/.wh.one")], {"a/one"}, {}),
        ([member(".wh.a")], {"a", "a/one", "a/two", "a/sub", "a/sub/three"}, {}),
        ([member(".wh.c")], {"c"}, {}),
        ([member("a/.wh.none"), member("none/.wh.x")], set(), {}),
        ([member("a/.wh.one"), member("a/one", b"new")], set(), {"a/one": "new"}),
        (
            [folder("a"), member("a/.wh..wh..opq"), member("a/new", b"n")],
            {"a/one", "a/two", "a/sub", "a/sub/three"},
            {"a/new": "n"},
        ),
        (
            [member("a/new", b"n"), member("a/.wh..wh..opq")],
            {"a/one", "a/two", "a/sub", "a/sub/three"},
            {"a/new": "n"},
        ),
        (
            [member("a", b"file")],
            {"a/one", "a/two", "a/sub", "a/sub/three"},
            {"a": "file"},
        ),
        ([folder("b"), member("b/x", b"x")], set(), {"b": "(folder)", "b/x": "x"}),
        ([folder("c")], set(), {"c": "(folder)"}),
        ([folder("a")], set(), {}),
        ([member("plain.wh.name", b"p")], set(), {"plain.wh.name": "p"}),
        ([hard_link("d", "a/one")], set(), {"d": "1"}),
        ([member("x", b"x"), hard_link("y", "x"), hard_link("z", "./y")], set(),
         {"x": "x", "y": "x", "z": "x"}),
    ],
)  # fmt: skip
def test_whiteouts_and_replacements(upper: Members, gone: set[str], new: dict[str, str]) -> None:
    lower = shown(tree(LOWER))
    expected = {path: text for path, text in lower.items() if path not in gone} | new
    assert shown(tree(LOWER, upper)) == expected


@pytest.mark.parametrize(
    "hostile",
    [
        [member("../evil", b"1")],
        [member("a/../../evil", b"1")],
        [member("/../evil", b"1")],
        [hard_link("x", "../../etc/passwd")],
        [hard_link("x", "none")],
        [hard_link("x", "a")],
        [member("a/.wh...")],
        [member("a/.wh..")],
        [member("a/.wh.")],
        [member(".wh.a/x", b"1")],
        [folder(".wh.a")],
        [member("a/.wh..wh.plnk")],
        [member("c/x", b"1")],
        [member("c/.wh.x")],
        [link("l", "/etc"), member("l/passwd", b"1")],
        [member("b/x", b"1")],
        [member("same", b"1"), member("same", b"2")],
        [member("same", b"1"), link("same", "x")],
        [member("f/x", b"1"), member("f", b"2")],
        [member("f", b"1"), folder("f")],
        [member("a/one", b"new"), member("a/.wh.one")],
        [member(".", b"1")],
        [member("sparse", b"1", type=b"S")],
        [member("unknown", b"1", type=b"Z")],
        [member("linked", b"12", type=tarfile.LNKTYPE, linkname="b")],
    ],
)
def test_hostile_layers_are_refused(hostile: Members) -> None:
    with pytest.raises(UnreadableError):
        tree(LOWER, hostile).scan("")


def test_the_same_file_twice_is_one_file() -> None:
    twice = [member("same", b"1"), folder("d"), folder("d"), member("same", b"1")]
    assert shown(tree(twice)) == {"same": "1", "d": "(folder)"}


def test_links_stay_inside_the_image() -> None:
    files = tree(
        [
            member("etc/secret", b"image"),
            member("usr/lib/os-release", b"ID=test"),
            link("etc/os-release", "../usr/lib/os-release"),
            link("abs", "/etc/secret"),
            link("up", "../../../../etc/secret"),
            link("lib", "usr/lib"),
            link("again", "/lib/../lib/os-release"),
            link("dangling", "nowhere"),
            link("loop", "loop"),
            link("ping", "pong"),
            link("pong", "ping"),
        ]
    )
    assert read(files, "abs") == read(files, "up") == b"image"
    assert read(files, "etc/os-release") == read(files, "again") == b"ID=test"
    # ".." of a folder that a link led to is that folder's own parent.
    assert read(files, "lib/../../etc/secret") == b"image"
    assert [entry.name for entry in files.scan("lib")] == ["os-release"]
    assert files.stat("dangling") is None
    for path in ("loop", "ping", "ping/x"):
        with pytest.raises(UnreadableError, match="circles"):
            files.stat(path)


@pytest.mark.parametrize("path", ["none", "d", "pipe", "dangling"])
def test_only_regular_files_are_opened(path: str) -> None:
    files = tree([folder("d"), member("pipe", type=tarfile.FIFOTYPE), link("dangling", "x")])
    for operation in (files.open, files.digest):
        with pytest.raises(UnreadableError, match="no regular file"):
            operation(path)


def test_any_file_is_streamed_out_of_its_layer() -> None:
    contents = {f"lib/{number}.so": b"%d" % number * 700_000 for number in range(5)}
    files = ImageFiles(
        image_of_layers(
            [LayerFile(path=path, source=data) for path, data in contents.items()],
            [LayerFile(path="lib/3.so", source=b"upper"), LayerFile(path="lib/0", source=b"")],
        ),
        cached=False,
    )
    expected = {**contents, "lib/3.so": b"upper", "lib/0": b""}
    for path, data in expected.items():
        with files.open(path) as stream:
            assert stream.read() == data
            stream.seek(0)
            assert stream.read(2) == data[:2]
    found: dict[str, bytes] = {}
    for path, stream in files.open_all([*expected, "/lib/1.so"]):
        with stream:
            found[path] = stream.read()
    assert found == {**expected, "/lib/1.so": contents["lib/1.so"]}


class Counted:
    """An image that counts how often its blobs are opened."""

    def __init__(self, image: NewImage) -> None:
        self.image = image
        self.opened = 0
        self.descriptor, self.manifest, self.config = image.descriptor, image.manifest, image.config

    def open_blob(self, digest: Digest) -> BinaryIO:
        self.opened += 1
        return self.image.open_blob(digest)


def test_metadata_is_kept_while_the_layer_passes() -> None:
    site = "opt/venv/lib/python3.11/site-packages"
    kept = {
        f"{site}/a-1.dist-info/METADATA": b"Name: a",
        f"{site}/x.pth": b"import x",
        "opt/venv/pyvenv.cfg": b"home = /usr/bin",
        "usr/lib/os-release": b"ID=x",
        "var/lib/dpkg/status": b"Package: libc6",
    }
    image = Counted(
        image_of_tars(
            tar_of([member(path, data) for path, data in kept.items()] + [member("z", b"z")])
        )
    )
    files = ImageFiles(image, cached=False)
    for path, data in kept.items():
        assert read(files, path) == data
    assert image.opened == 1
    assert read(files, "z") == b"z"
    assert image.opened == 2


def test_a_layer_that_was_listed_once_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVGUARD_CACHE_DIR", str(tmp_path))
    image = Counted(image_of_tars(tar_of([*LOWER, member("x.pth", b"kept")])))
    first = list(walk(ImageFiles(image)))
    opened = image.opened
    again = ImageFiles(image)
    assert list(walk(again)) == first
    assert read(again, "x.pth") == b"kept"
    assert image.opened == opened
    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    data = bytearray(kept.read_bytes())
    data[-3] ^= 1
    kept.write_bytes(data)
    assert list(walk(ImageFiles(image))) == first
    assert image.opened == opened + 1
    other = replace(image.config, diff_ids=(Digest.of(b"other"),))
    image.config = other
    with pytest.raises(IntegrityError, match="configuration states"):
        ImageFiles(image).scan("")


def test_a_file_of_a_plain_layer_is_found_by_seeking(tmp_path: Path) -> None:
    contents = {f"lib/{number}": b"%d" % number * 70_000 for number in range(9)}
    twice = [member(path, data) for path, data in contents.items()] + [
        member("lib/0", b"0" * 70_000)
    ]
    write_layout(tmp_path / "layout", image_of_tars(tar_of(twice), compress=False))
    image = open_layout(tmp_path / "layout")
    blob = tmp_path / "layout" / "blobs" / "sha256" / image.manifest.layers[0].digest.hex
    files = ImageFiles(image, cached=False)
    assert files.stat("lib/0")
    # The rest of the layer is not looked at.
    data = bytearray(blob.read_bytes())
    data[data.index(b"8" * 70_000) + 5] ^= 1
    blob.write_bytes(data)
    found = {}
    for path, stream in files.open_all([path for path in contents if path != "lib/8"]):
        with stream:
            found[path] = stream.read()
    assert found == {path: data for path, data in contents.items() if path != "lib/8"}
    with pytest.raises(IntegrityError, match="changed since"):
        files.open("lib/8")


def test_what_says_which_python_there_is_is_held_but_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVGUARD_CACHE_DIR", str(tmp_path))
    image = Counted(image_of_tars(tar_of([member("usr/bin/python3.11", b"program")])))
    files = ImageFiles(image)
    assert read(files, "usr/bin/python3.11") == b"program"
    assert image.opened == 1
    assert read(ImageFiles(image), "usr/bin/python3.11") == b"program"
    assert image.opened == 2


def test_names_that_are_not_utf8_are_read_but_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVGUARD_CACHE_DIR", str(tmp_path))
    image = image_of_tars(tar_of([member("caf\udce9", b"1")], tarfile.GNU_FORMAT))
    assert shown(ImageFiles(image)) == {"caf\udce9": "1"}
    assert listing_cache.kept_listing(
        tmp_path / "layers", image.manifest.layers[0].digest, image.config.diff_ids[0]
    ) is None  # fmt: skip


def repinned(image: NewImage, blob: bytes, **layer: str) -> NewImage:
    (descriptor,) = image.manifest.layers
    changed = replace(descriptor, digest=Digest.of(blob), size=len(blob), **layer)  # type: ignore[arg-type]
    manifest = replace(image.manifest, layers=(changed,))
    return replace(image, manifest=manifest, open_layer=lambda digest: buffered(blob))


def test_other_contents_than_the_configuration_states_are_refused() -> None:
    image = image_of_tars(tar_of(LOWER))
    other = gzip.compress(tar_of([member("a", b"evil")]))
    with pytest.raises(IntegrityError, match="configuration states"):
        ImageFiles(repinned(image, other), cached=False).scan("")


TAR = tar_of(LOWER)


@pytest.mark.parametrize(
    "blob",
    [
        gzip.compress(TAR, mtime=0)[:-1],
        gzip.compress(TAR, mtime=0)[:-9],
        gzip.compress(TAR, mtime=0)[:100],
        gzip.compress(TAR, mtime=0)[:5],
        gzip.compress(TAR, mtime=0)[:-8] + b"12345678",
        gzip.compress(TAR, mtime=0) + b"garbage",
        gzip.compress(TAR + b"garbage", mtime=0),
        gzip.compress(TAR[:700], mtime=0),
        gzip.compress(TAR[:1500], mtime=0),
        gzip.compress(b"no tar at all" * 100, mtime=0),
        b"no tar at all" * 100,
        TAR[:-5000] + b"x" * 100,
        b"\x28\xb5\x2f\xfd" + bytes(100),
    ],
)
def test_broken_layers_are_refused(blob: bytes) -> None:
    image = repinned(image_of_tars(TAR), blob)
    with pytest.raises((UnreadableError, IntegrityError)):
        ImageFiles(image, cached=False).scan("")


def test_zstd_is_named() -> None:
    image = repinned(image_of_tars(TAR), b"\x28\xb5\x2f\xfd" + bytes(100))
    with pytest.raises(UnreadableError, match="zstd"):
        ImageFiles(image, cached=False).scan("")


@pytest.mark.parametrize("media_type", ["application/vnd.oci.image.layer.v1.tar+encrypted", "x"])
def test_other_media_types_are_named(media_type: str) -> None:
    image = repinned(image_of_tars(TAR), gzip.compress(TAR, mtime=0), media_type=media_type)
    with pytest.raises(UnreadableError, match="no layer that can be read"):
        ImageFiles(image, cached=False).scan("")


OCI_TAR, DOCKER_TAR = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
)


@pytest.mark.parametrize(
    ("blob", "media_type", "fits"),
    [
        (gzip.compress(TAR, mtime=0), f"{OCI_TAR}+gzip", True),
        (gzip.compress(TAR, mtime=0), f"{DOCKER_TAR}.gzip", True),
        (gzip.compress(TAR, mtime=0), f"{OCI_TAR}+zstd", False),
        (gzip.compress(TAR, mtime=0), f"{DOCKER_TAR}.zstd", False),
        (gzip.compress(TAR, mtime=0), OCI_TAR, False),
        (TAR, OCI_TAR, True),
        (TAR, DOCKER_TAR, True),
        (TAR, f"{OCI_TAR}+gzip", False),
        (TAR, f"{DOCKER_TAR}.gzip", False),
        (TAR, f"{OCI_TAR}+zstd", False),
    ],
)
def test_the_media_type_states_the_compression(
    blob: bytes,
    media_type: str,
    fits: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the listing of an equal blob with the right media type is kept already."""
    monkeypatch.setenv("ENVGUARD_CACHE_DIR", str(tmp_path))
    right = f"{OCI_TAR}+gzip" if blob[:1] == b"\x1f" else OCI_TAR
    for cached in (False, True):
        image = repinned(image_of_tars(TAR), blob, media_type=media_type)
        if fits:
            assert ImageFiles(image, cached=cached).scan("")
            continue
        ImageFiles(repinned(image_of_tars(TAR), blob, media_type=right), cached=cached).scan("")
        with pytest.raises(UnreadableError, match="as its media type states"):
            ImageFiles(image, cached=cached).scan("")


@pytest.mark.parametrize("media_type", [OCI_TAR, f"{OCI_TAR}+gzip"])
def test_a_layer_without_a_byte_is_refused(media_type: str) -> None:
    image = repinned(image_of_tars(TAR), b"", media_type=media_type)
    with pytest.raises(UnreadableError, match="is empty"):
        ImageFiles(image, cached=False).scan("")


def test_a_bomb_is_stopped() -> None:
    huge = gzip.compress(tar_of([member("zeros", bytes(80 << 20))]), 9)
    with pytest.raises(LimitError, match="inflates too far"):
        ImageFiles(repinned(image_of_tars(TAR), huge), cached=False).scan("")


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envguard.images.tar_reader.ENTRIES_LIMIT", 1000)
    many = [member(f"f{number}") for number in range(1001)]
    with pytest.raises(LimitError, match="too many entries"):
        tree(many).scan("")
    assert len(tree(many[:1000]).scan("")) == 1000


def test_an_endless_layer_is_stopped_where_it_should_end() -> None:
    class Endless(io.RawIOBase):
        header = tar_of([member("x")])[:512]

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            buffer[:512] = self.header
            return 512

    image = replace(image_of_tars(TAR), open_layer=lambda d: io.BufferedReader(Endless()))
    with pytest.raises(IntegrityError):
        ImageFiles(image, cached=False).scan("")


@given(data=st.data())
def test_a_damaged_tar_is_a_typed_error_or_another_tree(data: st.DataObject) -> None:
    damaged = bytearray(TAR)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, 4000))] = data.draw(st.integers(0, 255))
    try:
        shown(ImageFiles(image_of_tars(bytes(damaged)), cached=False))
    except EnvguardError:
        pass
    except UnicodeDecodeError:  # of `shown` itself
        pass


@given(
    tree=st.dictionaries(
        st.text("abäλ/-", min_size=1, max_size=200).filter(
            lambda name: all(part for part in name.split("/"))
        ),
        st.binary(max_size=1500),
        max_size=6,
    ),
    format=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_tars_of_the_standard_library_read_back(tree: dict[str, bytes], format: int) -> None:
    kept = {
        path: data
        for path, data in tree.items()
        if not any(other.startswith(path + "/") for other in tree)
    }
    image = image_of_tars(tar_of([member(path, data) for path, data in kept.items()], format))
    files = ImageFiles(image, cached=False)
    found = {path: files.digest(path) for path, entry in walk(files) if entry.kind is Kind.FILE}
    assert found == {path: Digest.of(data) for path, data in kept.items()}


@pytest.mark.parametrize("compression", Compression)
def test_our_own_layers_read_back(compression: Compression) -> None:
    entries = [LayerFile(path=f"d{n % 7}/ä{'x' * n}", source=b"%d" % n * n) for n in range(200)]
    files = ImageFiles(image_of_layers(entries, compression=compression), cached=False)
    for entry in entries:
        assert isinstance(entry.source, bytes)
        assert files.digest(entry.path) == Digest.of(entry.source)


def test_several_threads_may_read_at_once() -> None:
    files = tree([member(f"f{n}", b"%d" % n) for n in range(20)])
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(read(files, f"f{n}"))) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(b"%d" % n for n in range(20))


def test_progress_ends_with_its_total() -> None:
    calls: list[tuple[str, int, int | None]] = []
    image = image_of_tars(TAR)
    ImageFiles(image, cached=False, progress=lambda *call: calls.append(call)).scan("")
    label = f"layer {image.manifest.layers[0].digest.short}"
    assert calls[-1] == (label, len(TAR), len(TAR))


@pytest.mark.skopeo
@pytest.mark.parametrize("compress", [True, False])
def test_umoci_unpacks_the_same_tree(tmp_path: Path, compress: bool) -> None:
    uppers: list[Members] = [
        [member("a/.wh.one"), member("b", b"bb"), hard_link("h", "b")],
        [folder("a"), member("a/.wh..wh..opq"), member("a/new", b"n"), member(".wh.c")],
        [folder("b"), member("b/x", b"x"), link("to", "/a/new"), member("ä" * 80, b"long")],
    ]
    image = image_of_tars(*map(tar_of, [LOWER, *uppers]), compress=compress)
    write_layout(tmp_path / "layout", image, reference="test")
    bundle = tmp_path / "bundle"
    subprocess.run(
        ["umoci", "unpack", "--rootless", "--image", f"{tmp_path}/layout:test", str(bundle)],
        check=True,
        capture_output=True,
    )
    root = bundle / "rootfs"
    expected = {
        str(path.relative_to(root)): f"-> {path.readlink()}"
        if path.is_symlink()
        else "(folder)"
        if path.is_dir()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
    }
    files = ImageFiles(image, cached=False)
    found = {
        path: f"-> {entry.target}"
        if entry.kind is Kind.LINK
        else "(folder)"
        if entry.kind is Kind.FOLDER
        else files.digest(path).hex
        for path, entry in walk(files)
    }
    assert found == expected
