"""Finished layers by what they were made from, so that an unchanged layer is never made twice.

A key is the digest of everything that decides a layer's bytes. A stored layer is hashed before
it is used: a torn or edited one is made again.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from msgspec import ValidationError, convert

from envguard import storage
from envguard.images.layer import LayerRecord
from envguard.model.codec import builtins, decode_hook
from envguard.model.digest import Digest


class LayerStore:
    """A folder of layers; several processes may use it at once."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or storage.cache_folder() / "layers"

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
        record = self._stored(key)
        if record is None:
            record = self._write(write)
            storage.write(self._record(key), json.dumps(builtins(record)).encode())
        return record

    def _record(self, key: Digest) -> Path:
        return self._folder / "keys" / key.hex

    def _stored(self, key: Digest) -> LayerRecord | None:
        try:
            document = json.loads(self._record(key).read_bytes())
            record = convert(document, LayerRecord, dec_hook=decode_hook)
            return record if self._is_whole(record) else None
        except (FileNotFoundError, ValueError, ValidationError):
            return None

    def _is_whole(self, record: LayerRecord) -> bool:
        with self.blob(record.digest).open("rb") as stream:
            if os.fstat(stream.fileno()).st_size != record.size:
                return False
            return hashlib.file_digest(stream, "sha256").hexdigest() == record.digest.hex

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
