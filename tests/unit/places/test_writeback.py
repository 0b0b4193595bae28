"""Digests are remembered only where every later write can be seen."""

import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envguard.model.digest import Digest
from envguard.places.digest_cache import DigestCache
from envguard.places.folder import Folder
from envguard.places.writeback import Writeback, _mount

SIZE = mmap.PAGESIZE


def kind_of(folder: Path) -> str:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return _mount(descriptor)[0]
    finally:
        os.close(descriptor)


@pytest.fixture
def on_tmpfs() -> Iterator[Path]:
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or kind_of(shared) != "tmpfs":
        pytest.skip("no tmpfs here")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


def cached(folder: Path, cache: Path) -> tuple[Folder, DigestCache]:
    remembered = DigestCache(cache, clock=lambda: time.time_ns() + 3600 * 10**9)
    return Folder(folder, cache=remembered), remembered


def check_stores_are_seen(root: Path, cache: Path) -> None:
    """Hash a file whose page is dirty, then store into that page again."""
    path = root / "file"
    path.write_bytes(b"a" * SIZE)
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), SIZE) as mapped:
        mapped[0:1] = b"b"
        time.sleep(0.05)
        folder, _ = cached(root, cache)
        assert folder.digest("file") == Digest.of(b"b" + b"a" * (SIZE - 1))
        for letter in (b"c", b"d"):
            time.sleep(0.05)
            mapped[0:1] = letter
            assert folder.digest("file") == Digest.of(letter + b"a" * (SIZE - 1))


def test_stores_into_a_dirty_page_are_seen_on_disk(tmp_path: Path) -> None:
    check_stores_are_seen(tmp_path, tmp_path / "cache")


def test_stores_into_a_dirty_page_are_seen_on_tmpfs(on_tmpfs: Path, tmp_path: Path) -> None:
    check_stores_are_seen(on_tmpfs, tmp_path / "cache")


def test_files_on_tmpfs_are_never_remembered(on_tmpfs: Path, tmp_path: Path) -> None:
    (on_tmpfs / "file").write_bytes(b"data")
    folder, cache = cached(on_tmpfs, tmp_path / "cache")
    assert folder.digest("file") == Digest.of(b"data")
    assert cache.get((on_tmpfs / "file").stat()) is None


def test_files_on_disk_are_remembered(tmp_path: Path) -> None:
    if kind_of(tmp_path) not in ("ext4", "xfs", "btrfs", "overlay"):
        pytest.skip("temporary files lie elsewhere")
    (tmp_path / "file").write_bytes(b"data")
    folder, cache = cached(tmp_path, tmp_path / "cache")
    assert folder.digest("file") == Digest.of(b"data")
    assert cache.get((tmp_path / "file").stat()) == Digest.of(b"data")


@pytest.mark.parametrize(
    ("kind", "options", "known"),
    [
        ("ext4", ["rw"], True),
        ("overlay", ["rw", "upperdir=/u"], True),
        ("overlay", ["rw", "volatile"], False),
        ("tmpfs", ["rw"], False),
        ("nfs4", ["rw"], False),
        ("fuse.sshfs", ["rw"], False),
        ("", [], False),
    ],
)
def test_file_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: list[str], known: bool
) -> None:
    monkeypatch.setattr("envguard.places.writeback._mount", lambda _: (kind, options))
    (tmp_path / "file").write_bytes(b"data")
    with (tmp_path / "file").open("rb") as stream:
        assert Writeback().clean(stream.fileno(), 1) is known


def test_a_descriptor_that_cannot_be_written_back_is_not_clean() -> None:
    reading, writing = os.pipe()
    try:
        assert Writeback().clean(reading, 1) is False
    finally:
        os.close(reading)
        os.close(writing)
