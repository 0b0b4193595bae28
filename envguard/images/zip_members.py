"""Members of a wheel as raw streams, inflated and checked against what pins them."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError

_PIECE = 256 << 10
_INFLATED = 1 << 20

Read = Callable[[Path, int, int], bytes]
"""``read(path, count, offset)``: *count* bytes of a file, fewer at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipSource:
    """A member of the zip file *path*: *compressed_size* bytes of data from *offset* on.

    *size* and *crc32* are those of the member's contents, *digest* what the contents must be
    where that is known; *deflated* tells a raw deflate stream (RFC 1951) from stored bytes.
    """

    path: Path
    offset: int
    compressed_size: int
    size: int
    crc32: int
    deflated: bool
    digest: Digest | None = None


@contextmanager
def pieces() -> Iterator[Read]:
    """A reader that keeps the last file open, since members of one wheel come together."""
    opened: dict[Path, int] = {}

    def close() -> None:
        for descriptor in opened.values():
            os.close(descriptor)
        opened.clear()

    def read(path: Path, count: int, offset: int) -> bytes:
        try:
            if path not in opened:
                close()
                opened[path] = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            return os.pread(opened[path], count, offset)
        except OSError as error:
            raise UnreadableError(str(error.strerror or error), where=str(path)) from error

    try:
        yield read
    finally:
        close()


def inflate(
    source: ZipSource, read: Read, *, deflated: Callable[[bytes], None] | None = None
) -> Iterator[bytes]:
    """The contents of *source* in pieces; *deflated* is told the raw bytes as they pass.

    Raises `IntegrityError` when they do not have the stated size, CRC-32 and digest, or when the
    stream does not end exactly where the member does.
    """
    from isal import isal_zlib

    checksum = size = 0
    algorithm = source.digest.algorithm if source.digest else "sha256"
    hasher = hashlib.new(algorithm) if source.digest else None
    for data in _contents(source, _raw(source, read, deflated)):
        size += len(data)
        if size > source.size:
            break
        checksum = isal_zlib.crc32(data, checksum)
        if hasher:
            hasher.update(data)
        yield data
    found = Digest(algorithm, hasher.hexdigest()) if hasher else None
    if (size, checksum, found) != (source.size, source.crc32, source.digest):
        raise IntegrityError(
            "a member of the wheel is not what it states to be",
            where=f"{source.path} at {source.offset}",
            expected=_stated(source.size, source.crc32, source.digest),
            found=_stated(size, checksum, found),
            hint="download the wheel again",
        )


def _stated(size: int, checksum: int, digest: Digest | None) -> str:
    return f"{size} bytes, CRC-32 {checksum:08x}" + (f", {digest}" if digest else "")


def _raw(
    source: ZipSource, read: Read, deflated: Callable[[bytes], None] | None
) -> Iterator[bytes]:
    offset, end = source.offset, source.offset + source.compressed_size
    while offset < end:
        data = read(source.path, min(_PIECE, end - offset), offset)
        if not data:
            raise UnreadableError("ends inside a member", where=str(source.path))
        if deflated:
            deflated(data)
        offset += len(data)
        yield data


def _contents(source: ZipSource, raw: Iterator[bytes]) -> Iterator[bytes]:
    """*raw* inflated, never more than a few pieces at once whatever the stream's ratio."""
    from isal import isal_zlib

    if not source.deflated:
        yield from raw
        return
    stream = isal_zlib.decompressobj(-15)
    try:
        for data in raw:
            if stream.eof:
                raise _broken(source, "bytes follow the deflate stream")
            inflated = stream.decompress(data, _INFLATED)
            while inflated:
                yield inflated
                # Less than asked for: the stream waits for more input, or is at its end.
                more = len(inflated) == _INFLATED or stream.unconsumed_tail
                inflated = stream.decompress(stream.unconsumed_tail, _INFLATED) if more else b""
    except isal_zlib.error as error:  # type: ignore[misc]  # its stub calls it an instance
        raise _broken(source, str(error)) from error
    if not stream.eof:
        raise _broken(source, "the deflate stream has no end")
    if stream.unused_data:
        raise _broken(source, "bytes follow the deflate stream")


def _broken(source: ZipSource, problem: str) -> IntegrityError:
    return IntegrityError(
        f"a member of the wheel is broken: {problem}",
        where=f"{source.path} at {source.offset}",
        hint="download the wheel again",
    )
