"""Digests of files that have not changed since they were hashed, kept between runs.

An entry is the file's device, inode, size, mtime and ctime, and its sha256. Nobody but the kernel
sets a ctime, so a file with the same five numbers has the same bytes, but for two cases. One are
git's "racily clean" files: a write so soon after the hashing that the clock of the file system has
not ticked yet. So a file whose ctime is not clearly older than its hashing is not remembered. The
other are writes through a mapping into pages that are dirty already: see
`envguard.places.writeback`, which whoever calls `put` must have asked.

Entries lie in shards by ranges of inodes: a tree's files are neighbours, so a run loads a few
small shards and not the digests of everything that was ever seen. Each shard is bounded, sealed
with its own digest, and replaced whole under a lock.
"""

import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from envguard import storage
from envguard.model.digest import Digest

_Key = tuple[int, int]
_Value = tuple[int, int, int, bytes]

_FOLDER = "digests-2"
"""The number is the format's: raise it when the meaning of a shard changes."""
_RECORD = struct.Struct("<QQQqq32s")
_SEAL = 32
_SHARDS = 64
_INODES = 14
_SETTLED = 3_000_000_000
_MOST_ENTRIES = 40_000


class DigestCache:
    """The digests under *folder* (by default in the user's cache). Safe between threads.

    Nothing is written before `save`. A cache that cannot be read or written is an empty one.
    """

    def __init__(
        self, folder: Path | None = None, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._loading = threading.Lock()
        self._known: dict[int, dict[_Key, _Value]] = {}
        self._new: dict[int, dict[_Key, _Value]] = {}

    def get(self, status: os.stat_result) -> Digest | None:
        """The sha256 of the file that has this status, if it is known."""
        key = (status.st_dev, status.st_ino)
        value = self._shard(_index(key)).get(key)
        if value is None or value[:3] != (status.st_size, status.st_mtime_ns, status.st_ctime_ns):
            return None
        return Digest("sha256", value[3].hex())

    def put(self, status: os.stat_result, digest: Digest) -> None:
        """Remember the sha256 of the file that has this status, unless it changed just now."""
        if self._clock() - status.st_ctime_ns < _SETTLED:
            return
        key = (status.st_dev, status.st_ino)
        index = _index(key)
        value = (
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            bytes.fromhex(digest.hex),
        )
        self._shard(index)[key] = value
        with self._loading:
            self._new.setdefault(index, {})[key] = value

    def save(self) -> None:
        """Write what is new; what other processes wrote meanwhile stays."""
        with self._loading:
            new, self._new = self._new, {}
        if not new:
            return
        with suppress(OSError), storage.locked(self._place() / "lock"):
            for index, entries in new.items():
                self._merge(index, entries)

    def _merge(self, index: int, entries: dict[_Key, _Value]) -> None:
        """Entries go to the end, so that the oldest are the ones that a full shard loses."""
        path = self._path(index)
        merged = {key: value for key, value in _load(path).items() if key not in entries}
        merged.update(entries)
        kept = islice(merged.items(), max(0, len(merged) - _MOST_ENTRIES), None)
        body = b"".join(_RECORD.pack(*key, *value) for key, value in kept)
        storage.write(path, hashlib.sha256(body).digest() + body)

    def _shard(self, index: int) -> dict[_Key, _Value]:
        shard = self._known.get(index)
        if shard is None:
            with self._loading:
                shard = self._known.get(index)
                if shard is None:
                    shard = self._known[index] = _load(self._path(index))
        return shard

    def _path(self, index: int) -> Path:
        return self._place() / f"{index:02x}"

    def _place(self) -> Path:
        return self._folder or storage.cache_folder() / _FOLDER


def _index(key: _Key) -> int:
    device, inode = key
    return ((inode >> _INODES) ^ device) % _SHARDS


def _load(path: Path) -> dict[_Key, _Value]:
    """The entries of a shard; none when it is absent, torn or tampered with."""
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    body = memoryview(data)[_SEAL:]
    if len(body) % _RECORD.size or hashlib.sha256(body).digest() != data[:_SEAL]:
        return {}
    return {
        (device, inode): (size, modified, changed, digest)
        for device, inode, size, modified, changed, digest in _RECORD.iter_unpack(body)
    }
