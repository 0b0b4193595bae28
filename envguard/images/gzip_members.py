"""Compressed layer streams that are equal wherever they are made.

A gzip file may consist of many members (RFC 1952, 2.2), and readers join what they inflate to.
So a layer can be cut where it suits: tar bytes are compressed in blocks of at most 1 MiB, each a
member of its own, and a deflate stream that a wheel already holds becomes a member as it is.
"""

import hashlib
import struct
import zlib
from enum import StrEnum
from typing import BinaryIO, Protocol

from envguard.model.digest import Digest
from envguard.model.errors import ToolError

BLOCK_SIZE = 1 << 20
"""The most tar bytes in one compressed member."""
SPLICE_FROM = 64 << 10
"""Deflate streams from this size on are spliced; smaller members would slow every reader down."""

# RFC 1952, 2.3: no name, no time, no flags, operating system not known.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_DEFLATE_PACKAGE, _LIBDEFLATE = "0.9.0", "1.25"


class Compression(StrEnum):
    """How a layer's tar becomes a blob."""

    HYBRID = "gzip"
    """Many gzip members: spliced deflate streams, and the rest through libdeflate."""
    SINGLE = "gzip-single"
    """One gzip member, for readers that stop at the end of the first."""
    PLAIN = "none"
    """The tar itself, so that the blob's digest is the diff ID."""

    @property
    def profile(self) -> str:
        """Names everything that the blob's bytes depend on besides the tar: part of cache keys."""
        match self:
            case Compression.HYBRID:
                return f"hyb-{SPLICE_FROM >> 10}-libdeflate-{_LIBDEFLATE}-6"
            case Compression.SINGLE:
                return f"gzip-single-zlib-{zlib.ZLIB_RUNTIME_VERSION}-6"
            case Compression.PLAIN:
                return "tar"

    @property
    def media_type(self) -> str:
        """The layer media type (OCI image specification, "Image Layer Filesystem Changeset")."""
        suffix = "" if self is Compression.PLAIN else "+gzip"
        return f"application/vnd.oci.image.layer.v1.tar{suffix}"


class _Codec(Protocol):
    """What compresses blocks. *start* and *finish* stand around them all."""

    start: bytes

    def block(self, data: memoryview) -> bytes | memoryview: ...

    def finish(self) -> bytes: ...


class LayerStream:
    """Takes tar bytes, gives compressed bytes to *sink*, and hashes both.

    The output depends on the tar bytes and the places of the splices alone, not on how the
    bytes were cut into writes. Holds about one block in memory.
    """

    def __init__(self, sink: BinaryIO, compression: Compression) -> None:
        self._sink = sink
        self._codec = _codec(compression)
        self._tar_hash = hashlib.sha256()
        self._blob_hash = None if compression is Compression.PLAIN else hashlib.sha256()
        self._block = memoryview(bytearray(BLOCK_SIZE))
        self._used = 0
        self.splices = compression is Compression.HYBRID
        self.tar_size = 0
        self.size = 0
        self._emit(self._codec.start)

    @property
    def diff_id(self) -> Digest:
        """The digest of the tar, after `close`."""
        return Digest("sha256", self._tar_hash.hexdigest())

    @property
    def digest(self) -> Digest:
        """The digest of the blob, after `close`."""
        return Digest("sha256", (self._blob_hash or self._tar_hash).hexdigest())

    def write(self, data: bytes | memoryview) -> None:
        """Add tar bytes."""
        view = memoryview(data)
        while view:
            free = self.free()[: len(view)]
            free[:] = view[: len(free)]
            self.filled(len(free))
            view = view[len(free) :]

    def free(self) -> memoryview:
        """Room to read tar bytes into, never empty; call `filled` afterwards."""
        return self._block[self._used :]

    def filled(self, count: int) -> None:
        """*count* bytes of `free` are tar bytes now."""
        self._used += count
        if self._used == BLOCK_SIZE:
            self._flush()

    def begin_member(self) -> None:
        """Start a spliced gzip member, which `splice` fills and `end_member` closes."""
        self._flush()
        self._emit(_HEADER)

    def splice(self, deflated: bytes) -> None:
        """Add the next bytes of the member's raw deflate stream."""
        self._emit(deflated)

    def inflated(self, data: bytes) -> None:
        """Count tar bytes that the member's deflate stream holds."""
        self._tar_hash.update(data)
        self.tar_size += len(data)

    def end_member(self, checksum: int, size: int) -> None:
        """Close the member; *checksum* is the CRC-32 of its *size* inflated bytes."""
        self._emit(struct.pack("<II", checksum, size & 0xFFFFFFFF))

    def close(self) -> None:
        """Write what is still held back. The sink stays open."""
        self._flush()
        self._emit(self._codec.finish())

    def _flush(self) -> None:
        if self._used:
            data = self._block[: self._used]
            self._tar_hash.update(data)
            self.tar_size += self._used
            self._emit(self._codec.block(data))
            self._used = 0

    def _emit(self, data: bytes | memoryview) -> None:
        if self._blob_hash:
            self._blob_hash.update(data)
        self.size += len(data)
        self._sink.write(data)


def _codec(compression: Compression) -> _Codec:
    match compression:
        case Compression.HYBRID:
            return _Members()
        case Compression.SINGLE:
            return _OneMember()
        case Compression.PLAIN:
            return _Plain()


class _Members:
    """Every block becomes a gzip member through libdeflate level 6."""

    start = b""

    def __init__(self) -> None:
        import deflate
        from isal import isal_zlib

        if deflate.__version__ != _DEFLATE_PACKAGE:
            raise ToolError(
                "layers would differ from those of other machines: another deflate package",
                expected=f"deflate {_DEFLATE_PACKAGE} (libdeflate {_LIBDEFLATE})",
                found=f"deflate {deflate.__version__}",
                hint=f"pip install deflate=={_DEFLATE_PACKAGE}",
            )
        self._compress = deflate.deflate_compress
        self._checksum = isal_zlib.crc32

    def block(self, data: memoryview) -> bytes:
        trailer = struct.pack("<II", self._checksum(data), len(data))
        return b"".join((_HEADER, self._compress(data, 6), trailer))

    def finish(self) -> bytes:
        return b""


class _OneMember:
    """All blocks become one gzip member through zlib level 6."""

    start = _HEADER

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._checksum = self._size = 0

    def block(self, data: memoryview) -> bytes:
        self._checksum = zlib.crc32(data, self._checksum)
        self._size += len(data)
        return self._compressor.compress(data)

    def finish(self) -> bytes:
        trailer = struct.pack("<II", self._checksum, self._size & 0xFFFFFFFF)
        return self._compressor.flush() + trailer


class _Plain:
    """The tar as it is."""

    start = b""

    def block(self, data: memoryview) -> memoryview:
        return data

    def finish(self) -> bytes:
        return b""
