"""What is remembered between runs, and what must never be believed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.model.digest import Digest
from envguard.places.digest_cache import DigestCache
from envguard.places.folder import Folder

_LATER = 3600 * 10**9


def later() -> int:
    return time.time_ns() + _LATER


def file(folder: Path, data: bytes = b"data", name: str = "file") -> os.stat_result:
    path = folder / name
    path.write_bytes(data)
    return path.stat()


def test_remembers_between_runs(tmp_path: Path) -> None:
    status = file(tmp_path)
    cache = DigestCache(tmp_path / "cache", clock=later)
    assert cache.get(status) is None
    cache.put(status, Digest.of(b"data"))
    cache.save()
    assert DigestCache(tmp_path / "cache").get(status) == Digest.of(b"data")


def test_a_file_that_just_changed_is_not_believed(tmp_path: Path) -> None:
    status = file(tmp_path)
    cache = DigestCache(tmp_path / "cache")
    cache.put(status, Digest.of(b"data"))
    assert cache.get(status) is None


def test_a_write_that_restores_size_and_mtime_is_seen(tmp_path: Path) -> None:
    before = file(tmp_path)
    cache = DigestCache(tmp_path / "cache", clock=later)
    folder = Folder(tmp_path, cache=cache)
    assert folder.digest("file") == Digest.of(b"data")
    time.sleep(0.02)
    file(tmp_path, b"DATA")
    os.utime(tmp_path / "file", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert folder.digest("file") == Digest.of(b"DATA")


def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    status = file(tmp_path)
    cache = DigestCache(tmp_path / "cache", clock=later)
    cache.put(status, Digest.of(b"remembered"))
    assert Folder(tmp_path, cache=cache).digest("file") == Digest.of(b"remembered")


@given(st.binary(min_size=1), st.integers(0))
def test_a_shard_that_was_tampered_with_is_empty(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    status = file(folder)
    cache = DigestCache(folder / "cache", clock=later)
    cache.put(status, Digest.of(b"data"))
    cache.save()
    (shard,) = (path for path in (folder / "cache").iterdir() if path.name != "lock")
    data = bytearray(shard.read_bytes())
    start = place % len(data)
    data[start : start + len(noise)] = noise
    changed = bytes(data) != shard.read_bytes()
    shard.write_bytes(data)
    found = DigestCache(folder / "cache").get(status)
    assert found == (None if changed else Digest.of(b"data"))


def test_a_cache_that_cannot_be_written_is_an_empty_one(tmp_path: Path) -> None:
    status = file(tmp_path)
    (tmp_path / "cache").write_text("a file stands where the folder should be")
    cache = DigestCache(tmp_path / "cache", clock=later)
    cache.put(status, Digest.of(b"data"))
    cache.save()
    assert DigestCache(tmp_path / "cache").get(status) is None


def test_saving_nothing_writes_nothing(tmp_path: Path) -> None:
    DigestCache(tmp_path / "cache").save()
    assert not (tmp_path / "cache").exists()


def test_is_bounded_and_loses_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envguard.places.digest_cache._MOST_ENTRIES", 3)
    monkeypatch.setattr("envguard.places.digest_cache._SHARDS", 1)
    statuses = [file(tmp_path, name=f"{number}") for number in range(5)]
    for status in statuses:
        cache = DigestCache(tmp_path / "cache", clock=later)
        cache.put(status, Digest.of(b"data"))
        cache.save()
    known = [DigestCache(tmp_path / "cache").get(status) for status in statuses]
    assert [found is not None for found in known] == [False, False, True, True, True]


_WRITER = """
import sys, time
from pathlib import Path
from envguard.places.digest_cache import DigestCache
from envguard.places.folder import Folder
later = lambda: time.time_ns() + 3600 * 10**9
root, number = Path(sys.argv[1]), sys.argv[2]
for name in sorted(path.name for path in root.glob(f"{number}-*")):
    cache = DigestCache(root / "cache", clock=later)
    Folder(root, cache=cache).digest(name)
    cache.save()
"""


def test_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    for process in range(4):
        for number in range(5):
            file(tmp_path, name=f"{process}-{number}")
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    running = [subprocess.Popen([*command, str(process)]) for process in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    cache = DigestCache(tmp_path / "cache")
    assert all(cache.get(path.stat()) for path in tmp_path.glob("*-*"))
