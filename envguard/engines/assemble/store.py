"""Finished layers by what they were made from, so that an unchanged layer is never made twice.

A key is the digest of everything that decides a layer's bytes. A stored layer is hashed before
it is used, unless its status says that it is as it was: a torn or edited one is made again.

What a key leads to is sealed: the record states its key and a checksum, so one that is torn,
edited or lies under another key is made again. That is also why the diff ID is believed: to
compute it anew a gzip blob would have to be inflated on every use, which costs more than all else,
and whoever can forge a sealed record can as well write into the program's own files.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct, ValidationError, convert

from envguard import storage
from envguard.images.layer import LayerRecord
from envguard.model.codec import builtins, decode_hook
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from envguard.places.digest_cache import DigestCache
from envguard.places.folder import Folder

_ABANDONED_AFTER = 24 * 3600
"""Seconds; no layer takes that long to write."""


class _Stored(Struct, frozen=True, kw_only=True):
    key: Digest
    record: LayerRecord


class LayerStore:
    """A folder of layers; several processes may use it at once. *digests* spares hashing again."""

    def __init__(self, folder: Path | None = None, *, digests: DigestCache | None = None) -> None:
        self._folder = folder or storage.cache_folder() / "layers"
        self._digests = digests
        self._swept = False

    def blob(self, digest: Digest) -> Path:
        """Where the blob with *digest* lies."""
        return self._folder / "blobs" / digest.algorithm / digest.hex

    def known(self, digest: Digest) -> Path | None:
        """Where the blob with *digest* lies, when it is here."""
        path = self.blob(digest)
        return path if path.is_file() else None

    def open(self, digest: Digest) -> BinaryIO:
        """The bytes of a layer."""
        return self.blob(digest).open("rb")

    def make(self, key: Digest, write: Callable[[BinaryIO], LayerRecord]) -> LayerRecord:
        """The layer of *key*, written by *write* unless it is here already."""
        self._sweep()
        record = self._stored(key)
        if record is None:
            record = self._write(write)
            storage.write(self._record(key), _sealed(_Stored(key=key, record=record)))
        return record

    def _record(self, key: Digest) -> Path:
        return self._folder / "keys" / key.hex

    def _stored(self, key: Digest) -> LayerRecord | None:
        try:
            stored = _unsealed(self._record(key).read_bytes())
            if stored.key != key or not self._is_whole(stored.record):
                return None
        except (OSError, ValueError, ValidationError, UnreadableError):
            return None
        return stored.record

    def _is_whole(self, record: LayerRecord) -> bool:
        path = self.blob(record.digest)
        if path.stat().st_size != record.size:
            return False
        return Folder(path.parent, cache=self._digests).digest(path.name) == record.digest

    def _sweep(self) -> None:
        """Remove what killed processes left behind."""
        if self._swept:
            return
        self._swept = True
        oldest = time.time() - _ABANDONED_AFTER
        for path in (self._folder / "blobs" / "sha256").glob(".*.tmp"):
            with suppress(OSError):  # another process may sweep at the same time
                if path.lstat().st_mtime < oldest:
                    path.unlink()

    def _write(self, write: Callable[[BinaryIO], LayerRecord]) -> LayerRecord:
        folder = self._folder / "blobs" / "sha256"
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{secrets.token_hex(8)}.tmp"
        try:
            with temporary.open("xb", buffering=1 << 20) as stream:
                record = write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            # Output folders link to this file, so nobody should write into it by chance.
            temporary.chmod(0o444)
            temporary.replace(self.blob(record.digest))
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        return record


def _sealed(stored: _Stored) -> bytes:
    data = json.dumps(builtins(stored)).encode()
    return hashlib.sha256(data).hexdigest().encode() + b"\n" + data


def _unsealed(content: bytes) -> _Stored:
    """Raises `ValueError` or `ValidationError` for what is not exactly what was written."""
    checksum, _, data = content.partition(b"\n")
    if checksum != hashlib.sha256(data).hexdigest().encode():
        raise ValueError("checksum")
    return convert(json.loads(data), _Stored, dec_hook=decode_hook)
