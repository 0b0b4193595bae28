import gzip
import hashlib
import io
import os
import random
import subprocess
import sys
import tarfile
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.images.gzip_members import SPLICE_FROM, Compression
from envguard.images.layer import FileSource, LayerEntry, LayerFile, LayerFolder, LayerLink
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError, UsageError
from tests.support.images import written, zip_sources

TINY: list[LayerEntry] = [
    LayerFile(path="opt/app/run", source=b"#!/bin/sh\n", executable=True),
    LayerFile(path="opt/app/größe.txt", source=b"x" * 600),
    LayerLink(path="opt/app/latest", target="run"),
    LayerFolder(path="var/empty", mode=0o1777),
]

NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=60
).filter(lambda name: name not in (".", "..") and not name.startswith(".wh."))
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=6).map("/".join),
    st.one_of(st.binary(max_size=2000), st.none(), NAMES),
    max_size=8,
)


def entries_of(tree: dict[str, bytes | str | None]) -> list[LayerEntry]:
    parents = {str(parent) for path in tree for parent in Path(path).parents}
    entries: list[LayerEntry] = []
    for path, value in tree.items():
        match value:
            case bytes() if path not in parents:
                entries.append(LayerFile(path=path, source=value))
            case str() if path not in parents:
                entries.append(LayerLink(path=path, target=value))
            case _:
                entries.append(LayerFolder(path=path))
    return entries


def read_back(blob: bytes) -> list[tuple[str, bytes, int, str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        return [
            (
                info.name,
                info.type,
                info.mode,
                info.linkname,
                archive.extractfile(info).read() if info.isreg() else b"",  # type: ignore[union-attr]
            )
            for info in archive
        ]


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "some.whl"
    noise = random.Random(1).randbytes(300_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large.so", noise + bytes(3_000_000))
        archive.writestr("small.py", b"print(1)\n" * 1000)
        archive.writestr("empty.py", b"")
        archive.writestr(zipfile.ZipInfo("stored.bin"), noise)
        archive.writestr("limit.bin", random.Random(2).randbytes(SPLICE_FROM))
    return path


@pytest.mark.parametrize(
    ("compression", "digest"),
    [
        (
            Compression.HYBRID,
            "sha256:e0bcaf55131dff608167f59cf98765d1a427304841d9e42f72a646fd188965a3",
        ),
        (
            Compression.PLAIN,
            "sha256:72fe896f459e2461323042711d19067d7d0d709dc2d2760b07cc30c233bfb8d3",
        ),
    ],
)
def test_the_bytes_of_a_layer_never_change(compression: Compression, digest: str) -> None:
    _, record = written(TINY, compression)
    assert str(record.digest) == digest
    assert (
        str(record.diff_id)
        == "sha256:72fe896f459e2461323042711d19067d7d0d709dc2d2760b07cc30c233bfb8d3"
    )


def test_entries_are_normalised_and_have_all_their_parents() -> None:
    blob, record = written(TINY)
    assert [entry[:4] for entry in read_back(blob)] == [
        ("opt", tarfile.DIRTYPE, 0o755, ""),
        ("opt/app", tarfile.DIRTYPE, 0o755, ""),
        ("opt/app/größe.txt", tarfile.REGTYPE, 0o644, ""),
        ("opt/app/latest", tarfile.SYMTYPE, 0o777, "run"),
        ("opt/app/run", tarfile.REGTYPE, 0o755, ""),
        ("var", tarfile.DIRTYPE, 0o755, ""),
        ("var/empty", tarfile.DIRTYPE, 0o1777, ""),
    ]
    assert record.files == 2
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        for info in archive:
            assert (info.uid, info.gid, info.uname, info.gname) == (0, 0, "", "")
            assert info.mtime == 315_532_800


@given(tree=TREES, compression=st.sampled_from(Compression), order=st.randoms())
def test_a_layer_reads_back_equal_in_any_order(
    tree: dict[str, bytes | str | None], compression: Compression, order: random.Random
) -> None:
    entries = entries_of(tree)
    blob, record = written(entries, compression)
    order.shuffle(entries)
    assert written(entries, compression) == (blob, record)
    found = {name: (kind, target or data) for name, kind, _, target, data in read_back(blob)}
    for entry in entries:
        match entry:
            case LayerFile(path=path, source=data):
                assert found[path] == (tarfile.REGTYPE, data)
            case LayerLink(path=path, target=target):
                assert found[path] == (tarfile.SYMTYPE, target)
            case LayerFolder(path=path):
                assert found[path][0] == tarfile.DIRTYPE
    assert list(found) == sorted(found, key=str.encode)


@given(tree=TREES)
def test_records_state_what_was_written(tree: dict[str, bytes | str | None]) -> None:
    plain, of_plain = written(entries_of(tree), Compression.PLAIN)
    assert of_plain.digest == of_plain.diff_id == Digest.of(plain)
    for compression in (Compression.HYBRID, Compression.SINGLE):
        blob, record = written(entries_of(tree), compression)
        assert gzip.decompress(blob) == plain
        assert (record.digest, record.size) == (Digest.of(blob), len(blob))
        assert (record.diff_id, record.tar_size) == (of_plain.diff_id, len(plain))


def test_single_is_one_member_and_hybrid_is_many() -> None:
    data = random.Random(3).randbytes(3 << 20)
    single, _ = written([LayerFile(path="data", source=data)], Compression.SINGLE)
    hybrid, _ = written([LayerFile(path="data", source=data)])
    assert members_of(single) == 1
    assert members_of(hybrid) == 4


def members_of(blob: bytes) -> int:
    count = 0
    while blob:
        inflater = zlib.decompressobj(31)
        inflater.decompress(blob)
        assert inflater.eof
        blob, count = inflater.unused_data, count + 1
    return count


def test_large_deflate_streams_are_spliced_verbatim(wheel: Path) -> None:
    sources = zip_sources(wheel, pinned=True)
    blob, record = written(
        [LayerFile(path=f"opt/{name}", source=source) for name, source in sources.items()]
    )
    raw = wheel.read_bytes()
    for name, source in sources.items():
        stream = raw[source.offset : source.offset + source.compressed_size]
        large = source.deflated and len(stream) >= SPLICE_FROM
        if source.size:
            assert (stream in blob) == large, name
    with zipfile.ZipFile(wheel) as archive:
        found = {name: data for name, kind, _, _, data in read_back(blob) if kind == b"0"}
        assert found == {f"opt/{name}": archive.read(name) for name in archive.namelist()}
    inflated = subprocess.run(["gzip", "-dc"], input=blob, capture_output=True, check=True).stdout
    assert Digest.of(inflated) == record.diff_id
    assert (
        written(
            [LayerFile(path=f"opt/{name}", source=source) for name, source in sources.items()],
            Compression.PLAIN,
        )[0]
        == inflated
    )


@pytest.mark.parametrize("name", ["large.so", "small.py", "stored.bin"])
@pytest.mark.parametrize("change", ["size", "crc32", "digest", "short", "long", "bits"])
def test_a_member_that_is_not_the_pinned_one_is_refused(
    wheel: Path, name: str, change: str
) -> None:
    source = zip_sources(wheel, pinned=True)[name]
    match change:
        case "size":
            source = replace(source, size=source.size - 1)
        case "crc32":
            source = replace(source, crc32=source.crc32 ^ 1)
        case "digest":
            source = replace(source, digest=Digest.of(b"other"))
        case "short":
            source = replace(source, compressed_size=source.compressed_size - 1)
        case "long":
            source = replace(source, compressed_size=source.compressed_size + 1)
        case "bits":
            data = bytearray(wheel.read_bytes())
            data[source.offset + source.compressed_size // 2] ^= 0x10
            wheel.write_bytes(data)
    with pytest.raises(IntegrityError) as caught:
        written([LayerFile(path="a", source=source)])
    assert caught.value.where == f"{wheel} at {source.offset}"


def test_a_bomb_is_stopped_at_the_stated_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("bomb", bytes(100 << 20))
    source = replace(zip_sources(path)["bomb"], size=1000)
    sink = io.BytesIO()
    with pytest.raises(IntegrityError, match="not what it states"):
        written([LayerFile(path="bomb", source=source)], Compression.PLAIN)
    assert len(sink.getvalue()) < 4 << 20


def test_files_are_streamed_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    data = random.Random(4).randbytes(5_000_000)
    path.write_bytes(data)
    source = FileSource(path=path, size=len(data), digest=Digest.of(data))
    for compression in Compression:
        blob, _ = written([LayerFile(path="w", source=source)], compression)
        assert blob == written([LayerFile(path="w", source=data)], compression)[0]


@pytest.mark.parametrize("size", [0, 9, 11])
def test_a_file_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(10))
    with pytest.raises(UnreadableError, match="changed while it was read"):
        written([LayerFile(path="f", source=FileSource(path=path, size=size))])


def test_a_file_with_other_bytes_than_pinned_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"other")
    source = FileSource(path=path, size=5, digest=Digest.of(b"these"))
    with pytest.raises(IntegrityError, match="pinned"):
        written([LayerFile(path="f", source=source)])


def test_links_pipes_and_absent_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "absent"):
        with pytest.raises(UnreadableError):
            written([LayerFile(path="f", source=FileSource(path=tmp_path / name, size=0))])


def test_all_paths_that_cannot_be_are_named_at_once() -> None:
    bad = ["/abs", "../up", "a/../b", "a//b", "a/", "", ".", "a/.wh.b", "nul\0", "\udcff", "same"]
    entries: list[LayerEntry] = [LayerFile(path=path, source=b"1") for path in bad]
    entries += [
        LayerFile(path="same", source=b"2"),
        LayerFile(path="file", source=b""),
        LayerFile(path="file/below", source=b""),
        LayerFolder(path="mode", mode=0o10000),
    ]
    with pytest.raises(UsageError) as caught:
        written(entries)
    for path in [*bad, "file/below", "mode"]:
        assert repr(path) in caught.value.message


def test_equal_folders_may_be_given_twice() -> None:
    assert written([LayerFolder(path="a"), LayerFolder(path="a")])[1].files == 0


def test_an_empty_layer_is_a_tar_too() -> None:
    blob, record = written([], Compression.PLAIN)
    assert (blob, record.files) == (bytes(1024), 0)


def test_threads_folder_umask_and_time_zone_change_nothing(tmp_path: Path, wheel: Path) -> None:
    entries = [*TINY] + [
        LayerFile(path=name, source=source) for name, source in zip_sources(wheel).items()
    ]
    expected = written(entries)[1].digest
    with ThreadPoolExecutor(4) as pool:
        assert {made.digest for _, made in pool.map(written, [entries] * 4)} == {expected}
    code = (
        "import io, sys; from pathlib import Path; sys.path[:0] = sys.argv[2:];"
        "from tests.support.images import *; from tests.unit.images.test_layer import TINY;"
        "from envguard.images.layer import LayerFile;"
        "rest = [LayerFile(path=n, source=s) for n, s in zip_sources(Path(sys.argv[1])).items()];"
        "print(written(rest[::-1] + TINY)[1].digest)"
    )
    root = str(Path(__file__).parents[3])
    for zone, mask, locale in (("Asia/Tokyo", 0o077, "C"), ("America/Lima", 0o002, "C.UTF-8")):
        found = subprocess.run(
            [sys.executable, "-c", code, str(wheel), root],
            cwd=tmp_path,
            env={"TZ": zone, "LC_ALL": locale, "PYTHONHASHSEED": "7"},
            umask=mask,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        assert found == str(expected)


def test_memory_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with path.open("wb") as stream:
        stream.truncate(300 << 20)
    code = (
        "import resource, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from envguard.images.layer import *;"
        "size = 300 << 20; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "source = FileSource(path=Path(sys.argv[1]), size=size);"
        "sink = open('/dev/null', 'wb');"
        "write_layer([LayerFile(path='m', source=source)], sink, compression=Compression.PLAIN);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), root], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 8 << 10  # KiB


def test_profiles_name_what_the_bytes_depend_on() -> None:
    assert Compression.HYBRID.profile == "hyb-64-libdeflate-1.25-6"
    assert Compression.SINGLE.profile == f"gzip-single-zlib-{zlib.ZLIB_RUNTIME_VERSION}-6"
    assert len({compression.profile for compression in Compression}) == 3


def test_a_hash_of_the_blob_needs_no_second_reading() -> None:
    blob, record = written(TINY, Compression.SINGLE)
    assert hashlib.sha256(blob).hexdigest() == record.digest.hex
