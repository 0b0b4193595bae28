"""The tar in a layer's blob: inflated, hashed and bounded while it is read."""

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from envguard.images.descriptor import Descriptor
from envguard.images.image import Image
from envguard.model.digest import Digest
from envguard.model.errors import LimitError, UnreadableError
from envguard.model.progress import Progress

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE = 256 << 10
_RATIO_LIMIT, _RATIO_FROM = 50, 64 << 20
_GZIP_MAGIC, _ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def check_compression(layer: Descriptor, found: str) -> None:
    """Raise `UnreadableError` unless *layer*'s media type states the compression *found*.

    *found* is ``gzip``, or ``none``. Some engines believe the bytes and some the media type, so
    where the two contradict each other an image is not the same everywhere.
    """
    _, stated = _media_type(layer)
    if stated != found:
        raise UnreadableError(
            "is not compressed as its media type states",
            where=f"layer {layer.digest}",
            expected=f"{stated} ({layer.media_type})",
            found=found,
            hint="build or push the image again",
        )


class _HashedTar(io.RawIOBase):
    """The tar that a layer's blob inflates to, hashed while it passes.

    The next piece inflates in *pool* while the one before is hashed and looked at.
    """

    def __init__(
        self, blob: BinaryIO, layer: Descriptor, progress: Progress, pool: ThreadPoolExecutor
    ) -> None:
        self._blob = blob
        self._layer = layer
        self._progress = progress
        self._pool = pool
        self._hasher = hashlib.sha256()
        self._count = 0
        self.compression = _compression(blob, f"layer {layer.digest}")
        check_compression(layer, self.compression)
        self._inflated, self._errors = _inflated(blob, self.compression)
        self._rest = memoryview(b"")
        self._ahead = pool.submit(self._inflated.read, _PIECE)

    def digest(self) -> Digest:
        """The digest of everything, after reading to the end of the blob too."""
        while self.readinto(bytearray(_PIECE)) or self._blob.read(_PIECE):
            pass
        self._progress(f"layer {self._layer.digest.short}", self._count, self._count)
        return Digest("sha256", self._hasher.hexdigest())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if not self._rest:
            self._rest = memoryview(self._piece())
        view = memoryview(buffer)
        data, self._rest = self._rest[: len(view)], self._rest[len(view) :]
        view[: len(data)] = data
        return len(data)

    def _piece(self) -> bytes:
        try:
            data = self._ahead.result()
        except self._errors as error:
            raise UnreadableError(
                f"is broken: {error}", where=f"layer {self._layer.digest}", expected="gzip"
            ) from error
        if data:
            self._ahead = self._pool.submit(self._inflated.read, _PIECE)
        self._hasher.update(data)
        self._count += len(data)
        self._progress(f"layer {self._layer.digest.short}", self._count, None)
        if self._count > max(_RATIO_FROM, _RATIO_LIMIT * self._layer.size):
            raise LimitError(
                "inflates too far",
                where=f"layer {self._layer.digest}",
                expected=f"at most {_RATIO_LIMIT} times its {self._layer.size} bytes",
            )
        return data


class _Tar(io.BufferedReader):
    raw: _HashedTar


@contextmanager
def open_tar(image: Image, layer: Descriptor, progress: Progress) -> Iterator[_Tar]:
    """The tar of *layer*, whatever its blob is compressed with."""
    _check_media_type(layer)
    with image.open_blob(layer.digest) as blob, ThreadPoolExecutor(1) as pool:
        yield _Tar(_HashedTar(blob, layer, progress, pool), _PIECE)


def _check_media_type(layer: Descriptor) -> None:
    """Refuse what is no file system layer, or encrypted."""
    plain, _ = _media_type(layer)
    if not plain.endswith((".tar", "+tar")):
        raise UnreadableError(
            f"is no layer that can be read: {layer.media_type}",
            where=f"layer {layer.digest}",
            expected="a tar, plain or compressed with gzip",
        )


def _media_type(layer: Descriptor) -> tuple[str, str]:
    """The media type without its compression, and the compression (``none``, ``gzip``, ``zstd``).

    OCI writes ``tar+gzip`` and Docker ``tar.gzip``.
    """
    for compression in ("gzip", "zstd"):
        for suffix in (f"+{compression}", f".{compression}"):
            if layer.media_type.endswith(suffix):
                return layer.media_type.removesuffix(suffix), compression
    return layer.media_type, "none"


def _compression(blob: BinaryIO, where: str) -> str:
    """How the bytes of *blob* are compressed: ``gzip``, or ``none``."""
    magic = cast("io.BufferedReader", blob).peek(4)[:4]
    if not magic:
        raise UnreadableError("is empty", where=where, expected="a tar, which is never empty")
    if magic == _ZSTD_MAGIC:
        raise UnreadableError(
            "is compressed with zstd, which cannot be read",
            where=where,
            expected="gzip, or no compression",
            hint="push the image with gzip layers, for example with `--compression gzip`",
        )
    return "gzip" if magic.startswith(_GZIP_MAGIC) else "none"


def _inflated(blob: BinaryIO, compression: str) -> tuple[BinaryIO, tuple[type[Exception], ...]]:
    """The tar in *blob*, and what reading it may raise."""
    from isal import igzip, isal_zlib

    if compression == "none":
        return blob, ()
    stream = igzip.IGzipFile(fileobj=blob, mode="rb")  # type: ignore[no-untyped-call]
    broken = cast("type[Exception]", isal_zlib.error)  # its stub calls it an instance
    return cast("BinaryIO", stream), (EOFError, igzip.BadGzipFile, broken)
