"""Streams that prove their digest."""

import hashlib
import io
from typing import TYPE_CHECKING, BinaryIO, cast

from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_SIZE = 256 << 10


def verified(stream: BinaryIO, digest: Digest, *, size: int | None, where: str) -> BinaryIO:
    """The bytes of *stream*, which is closed with the result.

    Reading the last of them raises `IntegrityError` when they are not those of *digest*; so does
    reading more than *size* bytes, or fewer, where it is known.
    """
    raw = _Verified(stream, digest, size, where)
    return cast("BinaryIO", io.BufferedReader(raw, BUFFER_SIZE))


class _Verified(io.RawIOBase):
    def __init__(self, stream: BinaryIO, digest: Digest, size: int | None, where: str) -> None:
        self._stream = stream
        self._digest = digest
        self._size = size
        self._where = where
        self._hasher = hashlib.new(digest.algorithm)
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self._stream.read(len(view))
        view[: len(data)] = data
        self._hasher.update(data)
        self._count += len(data)
        over = self._size is not None and self._count > self._size
        if over or self._count == self._size or (view and not data):
            self._check()
        return len(data)

    def _check(self) -> None:
        found = Digest(self._digest.algorithm, self._hasher.hexdigest())
        if found != self._digest or self._count != (self._size or self._count):
            raise IntegrityError(
                "these are not the bytes that the digest names",
                where=self._where,
                expected=f"{self._digest}, {self._size or '?'} bytes",
                found=f"{found}, {self._count} bytes",
                hint="fetch or build the image again",
            )

    def close(self) -> None:
        self._stream.close()
        super().close()
