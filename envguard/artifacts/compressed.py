"""Files that are compressed as a whole, decompressed as a stream within limits.

joblib and plain ``gzip.open`` and its kin write such files. Several members one after another
count as one stream, as their readers have it; anything else behind the end is refused.
"""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from envguard.artifacts.limits import Limits
from envguard.model.errors import LimitError, UnreadableError

_CHUNK = 1 << 18
_LZMA_MEMORY = 256 << 20  # bytes; the highest preset needs 65 MiB


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to compress whole files.

    *certain*: nothing else begins with its *magic*. *several*: members may follow one another.
    """

    name: str
    magic: bytes
    decompressor: Callable[[], "_Decompressor"]
    certain: bool = field(kw_only=True)
    several: bool = field(kw_only=True)

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with *head* may be compressed so."""
        if self.name == "zlib":  # RFC 1950: the first two bytes are a multiple of 31
            return head[:1] == self.magic and int.from_bytes(head[:2], "big") % 31 == 0
        return head.startswith(self.magic)


class _Decompressor(Protocol):
    """What the standard library's decompressors share, once `_Zlib` has evened them out."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Zlib:
    """zlib's decompressor, which hands back the input that it did not use yet."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _lzma(format: int) -> _Decompressor:
    return lzma.LZMADecompressor(format, memlimit=_LZMA_MEMORY)


CODECS = (
    Codec("gzip", b"\x1f\x8b\x08", lambda: _Zlib(31), certain=True, several=True),
    Codec("xz", b"\xfd7zXZ\0", lambda: _lzma(lzma.FORMAT_XZ), certain=True, several=True),
    Codec("bz2", b"BZh", bz2.BZ2Decompressor, certain=False, several=True),
    Codec("lzma", b"]\0\0", lambda: _lzma(lzma.FORMAT_ALONE), certain=False, several=False),
    Codec("zlib", b"x", lambda: _Zlib(15), certain=False, several=False),
)


class Decompressed(io.RawIOBase):
    """The decompressed bytes of *stream*.

    Reading raises `UnreadableError` for damaged data and `LimitError` above *limits*.
    """

    def __init__(self, stream: BinaryIO, codec: Codec, path: str, limits: Limits) -> None:
        self._stream = stream
        self._codec = codec
        self._path = path
        self._limits = limits
        self._decompressor = codec.decompressor()
        self._pending = b""  # read, but given to no decompressor yet
        self._taken = 0
        self._given = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill *buffer* as far as one step goes; 0 at the end."""
        try:
            data = self._step(len(buffer))
        except (zlib.error, lzma.LZMAError, OSError) as error:
            raise self._damaged(str(error)) from error
        self._given += len(data)
        self._check_limits()
        buffer[: len(data)] = data
        return len(data)

    def _step(self, size: int) -> bytes:
        while True:
            if self._decompressor.eof and not self._next_member():
                return b""
            piece = b""
            if self._decompressor.needs_input:
                piece = self._read()
            data = self._decompressor.decompress(piece, size)
            if data:
                return data
            if not piece and self._decompressor.needs_input and not self._decompressor.eof:
                raise self._damaged("it ends too early")

    def _read(self) -> bytes:
        if self._pending:
            pending, self._pending = self._pending, b""
            return pending
        piece = self._stream.read(_CHUNK)
        self._taken += len(piece)
        return piece

    def _next_member(self) -> bool:
        """Begin the member that follows the one that ended, if there is one."""
        self._pending = self._decompressor.unused_data or self._read()
        if not self._pending:
            return False
        if not (self._codec.several and self._pending.startswith(self._codec.magic[:1])):
            raise self._damaged("bytes follow its end")
        self._decompressor = self._codec.decompressor()
        return True

    def _check_limits(self) -> None:
        limits = self._limits
        if self._given > limits.decompressed:
            raise self._too_large("decompressed", f"at most {limits.decompressed:,} bytes")
        if self._given > max(limits.ratio_from, limits.ratio * self._taken):
            raise self._too_large("ratio", f"at most {limits.ratio} times its compressed size")

    def _too_large(self, name: str, expected: str) -> LimitError:
        return LimitError(
            f"the {self._codec.name} data grow beyond the limit `{name}`",
            where=self._path,
            expected=expected,
            found=f"{self._given:,} bytes from {self._taken:,}",
            hint=f"for a model that is really this large: --limit {name}=N",
        )

    def _damaged(self, message: str) -> UnreadableError:
        return UnreadableError(
            f"the {self._codec.name} data are damaged: {message}",
            where=f"{self._path}@{self._taken}",
        )
