import gzip
import io
import json
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from envguard.images.archive import open_archive, write_archive
from envguard.images.gzip_members import Compression
from envguard.images.image import NewImage
from envguard.images.layer import LayerFile
from envguard.images.layout import write_layout
from envguard.images.tree import ImageFiles
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError, UsageError
from envguard.model.files import walk
from tests.support.images import buffered, image_of_layers, link, member, tar_of

LAYERS = [
    [LayerFile(path="etc/os-release", source=b"ID=test")],
    [LayerFile(path="opt/data", source=bytes(range(256)) * 5000)],
]
IMAGE = image_of_layers(*LAYERS)
PLAIN = image_of_layers(*LAYERS, compression=Compression.PLAIN)
NAME = "example/app:1.0"

Member = tuple[tarfile.TarInfo, bytes]


def archive_of(image: NewImage, reference: str | None = NAME) -> bytes:
    sink = io.BytesIO()
    write_archive(image, sink, reference=reference)
    return sink.getvalue()


def blob(image: NewImage, digest: Digest) -> bytes:
    with image.open_blob(digest) as stream:
        return stream.read()


def saved(image: NewImage, *, compress: bool = False) -> list[Member]:
    """What `docker save` wrote before version 25."""
    config = image.manifest.config
    names = [f"{layer.digest.hex}/layer.tar" for layer in image.manifest.layers]
    members = [member(f"{config.digest.hex}.json", blob(image, config.digest))]
    for layer, name in zip(image.manifest.layers, names, strict=True):
        data = blob(image, layer.digest)
        members.append(member(name, gzip.compress(data) if compress else data))
    entry = {"Config": f"{config.digest.hex}.json", "RepoTags": [NAME], "Layers": names}
    return [*members, member("manifest.json", json.dumps([entry]).encode())]


def opened(path: Path, members: list[Member]) -> ImageFiles:
    path.write_bytes(tar_of(members))
    return ImageFiles(open_archive(path), cached=False)


def digests(files: ImageFiles) -> dict[str, object]:
    return dict(walk(files))


EXPECTED = digests(ImageFiles(IMAGE, cached=False))


@pytest.mark.parametrize("reference", [None, NAME])
def test_an_archive_reads_back(tmp_path: Path, reference: str | None) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(archive_of(IMAGE))
    image = open_archive(path, reference)
    path.unlink()
    assert (image.manifest, image.config) == (IMAGE.manifest, IMAGE.config)
    for layer in image.manifest.layers:
        with image.open_blob(layer.digest) as stream:
            assert stream.read() == blob(IMAGE, layer.digest)


def test_equal_images_are_equal_archives() -> None:
    assert archive_of(IMAGE) == archive_of(image_of_layers(*LAYERS))
    with tarfile.open(fileobj=io.BytesIO(archive_of(IMAGE))) as archive:
        assert archive.getnames() == sorted(archive.getnames())
        assert {info.mtime for info in archive} == {315_532_800}


def test_a_damaged_blob_is_not_archived() -> None:
    damaged = replace(IMAGE, open_layer=lambda digest: buffered(b"damaged"))
    with pytest.raises(IntegrityError):
        archive_of(damaged)


@pytest.mark.parametrize("compress", [False, True])
def test_what_docker_saved_before_version_25_reads(tmp_path: Path, compress: bool) -> None:
    files = opened(tmp_path / "a.tar", saved(PLAIN, compress=compress))
    assert digests(files) == EXPECTED
    image = open_archive(tmp_path / "a.tar", NAME)
    assert image.config == PLAIN.config
    with image.open_blob(image.descriptor.digest) as stream:
        assert Digest.of(stream.read()) == image.descriptor.digest


def test_equal_layers_are_links_inside_the_archive(tmp_path: Path) -> None:
    layers = [LAYERS[0], LAYERS[1], LAYERS[0]]
    image = image_of_layers(*layers, compression=Compression.PLAIN)
    members = saved(image)
    last = members[3][0].name
    members[3] = link("other/layer.tar", f"../{last}")
    documents = json.loads(members[-1][1])
    documents[0]["Layers"][2] = "other/layer.tar"
    members[-1] = member("manifest.json", json.dumps(documents).encode())
    assert digests(opened(tmp_path / "a.tar", members)) == EXPECTED


@pytest.mark.parametrize(
    "hostile",
    [
        member("../evil", b"1"),
        member("a/../../evil", b"1"),
        member("/etc/passwd", b"1"),
        link("evil", "/etc/passwd"),
        link("evil", "../../etc/passwd"),
        link("evil", "evil"),
        link("evil", "absent"),
        member("evil", type=tarfile.LNKTYPE, linkname="../etc/passwd"),
        member("evil", type=tarfile.CHRTYPE),
        member("manifest.json", b"[]"),
    ],
)
def test_hostile_archives_are_refused(tmp_path: Path, hostile: Member) -> None:
    with pytest.raises(UnreadableError):
        opened(tmp_path / "a.tar", [*saved(PLAIN), hostile])


@pytest.mark.parametrize("data", [b"", b"no tar", bytes(10240), tar_of([member("x", b"1")])])
def test_what_is_no_image_archive_is_unreadable(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(UnreadableError):
        open_archive(tmp_path / "a.tar")


def test_cut_archives_are_refused(tmp_path: Path) -> None:
    data = archive_of(IMAGE)
    for length in (100, 512, 1000, len(data) // 2, len(data) - 1024 - 512):
        (tmp_path / "a.tar").write_bytes(data[:length])
        with pytest.raises(UnreadableError):
            open_archive(tmp_path / "a.tar")


def test_folders_and_absent_files_are_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UnreadableError):
            open_archive(path)


def test_a_configuration_that_is_not_its_name_is_refused(tmp_path: Path) -> None:
    members = saved(PLAIN)
    members[0] = member(members[0][0].name, replace(PLAIN.config, created="later").encode())
    with pytest.raises(IntegrityError, match="name states"):
        opened(tmp_path / "a.tar", members)


def test_a_layer_that_is_not_its_diff_id_is_refused(tmp_path: Path) -> None:
    members = saved(PLAIN)
    evil = tar_of([member("evil", b"1")])
    members[1] = member(members[1][0].name, evil)
    with pytest.raises(IntegrityError):
        opened(tmp_path / "a.tar", members).scan("")


def test_the_two_manifests_must_name_one_image(tmp_path: Path) -> None:
    other = image_of_layers([LayerFile(path="evil", source=b"")])
    with tarfile.open(fileobj=io.BytesIO(archive_of(other))) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest
        members = [
            (info, archive.extractfile(info).read() if info.isreg() else b"")  # type: ignore[union-attr]
            for info in archive
            if info.name.startswith("blobs/")
        ]
        members.append(member("manifest.json", manifest.read()))
    with tarfile.open(fileobj=io.BytesIO(archive_of(IMAGE))) as archive:
        names = {info.name for info, _ in members}
        members += [
            (info, archive.extractfile(info).read() if info.isreg() else b"")  # type: ignore[union-attr]
            for info in archive
            if info.name not in names
        ]
    with pytest.raises(UnreadableError, match="different images"):
        opened(tmp_path / "a.tar", members)


def test_several_saved_images_need_a_choice(tmp_path: Path) -> None:
    other = image_of_layers(LAYERS[0], compression=Compression.PLAIN)
    first, second = saved(PLAIN), saved(other)
    entries = json.loads(first.pop()[1]) + json.loads(second.pop()[1])
    entries[1]["RepoTags"] = ["other:2"]
    names = {info.name for info, _ in first}
    members = first + [item for item in second if item[0].name not in names]
    members.append(member("manifest.json", json.dumps(entries).encode()))
    with pytest.raises(UsageError, match="several images"):
        opened(tmp_path / "a.tar", members)
    assert open_archive(tmp_path / "a.tar", "other:2").config == other.config
    image_id = str(PLAIN.manifest.config.digest)
    assert open_archive(tmp_path / "a.tar", image_id).config == PLAIN.config
    with pytest.raises(UsageError, match="no such image"):
        open_archive(tmp_path / "a.tar", "third:3")


@pytest.mark.skopeo
@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_skopeo_reads_both_ways(tmp_path: Path, transport: str) -> None:
    (tmp_path / "image.tar").write_bytes(archive_of(IMAGE))
    source = f"{transport}:{tmp_path}/image.tar"
    shown = subprocess.run(["skopeo", "inspect", "--config", source], capture_output=True)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["rootfs"]["diff_ids"] == list(map(str, IMAGE.config.diff_ids))
    copy = ["skopeo", "copy", "--insecure-policy", source, f"dir:{tmp_path}/copied"]
    copied = subprocess.run(copy, capture_output=True)
    assert copied.returncode == 0, copied.stderr


@pytest.mark.skopeo
@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_what_skopeo_writes_reads(tmp_path: Path, transport: str) -> None:
    write_layout(tmp_path / "layout", IMAGE, reference="1.0")
    target = f"{transport}:{tmp_path}/image.tar:{NAME}"
    copy = ["skopeo", "copy", "--insecure-policy", f"oci:{tmp_path}/layout:1.0", target]
    copied = subprocess.run(copy, capture_output=True)
    assert copied.returncode == 0, copied.stderr
    image = open_archive(tmp_path / "image.tar")
    assert digests(ImageFiles(image, cached=False)) == EXPECTED
