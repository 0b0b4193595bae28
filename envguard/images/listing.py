"""What one layer holds: its entries with their digests, read in one streaming pass.

A listing is a function of the layer's bytes, so it may be kept by the layer's digest. Nothing of
a layer is believed before the whole blob and the whole tar have the digests that the manifest and
the configuration state.

Source: OCI image specification 1.1, "Image Layer Filesystem Changeset".
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from msgspec import Struct
from msgspec.structs import replace

from envguard.images.descriptor import Descriptor
from envguard.images.image import Image
from envguard.images.tar_reader import TarEntry, TarKind, TarReader
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, LimitError, UnreadableError
from envguard.model.progress import Progress

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE = 256 << 10
_RATIO_LIMIT, _RATIO_FROM = 50, 64 << 20
_GZIP_MAGIC, _ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Listed(Struct, frozen=True, array_like=True):
    """An entry of a layer. *path* is relative to the root of the image, normalised.

    *target* is a link's text, or the path of the file that a hard link names; *digest* is the
    sha256 of a file in hexadecimal, *offset* where its contents begin in the layer's tar.
    """

    path: str
    kind: TarKind
    size: int = 0
    executable: bool = False
    target: str = ""
    digest: str = ""
    offset: int = 0

    def same(self, other: "Listed") -> bool:
        """Whether both give one same file, wherever in the tar they lie."""
        return replace(self, offset=0) == replace(other, offset=0)


class LayerListing(Struct, frozen=True):
    """All entries of a layer in their order, and the contents of a chosen few by path.

    *compression* is the blob's own: see `check_compression`.
    """

    diff_id: str
    compression: str
    entries: list[Listed]
    contents: dict[str, bytes]


Retain = Callable[[str, int], bool]
"""``retain(path, size)``: whether a file's contents shall be kept while they pass."""


def read_listing(
    image: Image, layer: Descriptor, diff_id: Digest, *, retain: Retain, progress: Progress
) -> LayerListing:
    """List *layer*, whose tar has the digest *diff_id*.

    Raises `IntegrityError` when it has another one, or the blob has another than *layer*'s;
    `UnreadableError` for a layer that is no tar, is empty, cut off, leaves the image's root, or
    is compressed with something other than gzip or than its media type states, and `LimitError`
    for one that inflates too far.
    """
    where = f"layer {layer.digest}"
    entries: list[Listed] = []
    contents: dict[str, bytes] = {}
    with open_tar(image, layer, progress) as tar:
        reader = TarReader(cast("BinaryIO", tar), where=where)
        for entry in reader:
            path = inside(entry.name, where)
            digest = ""
            if entry.kind is TarKind.FILE:
                digest, data = _digest(reader, keep=retain(path, entry.size))
                if data is not None:
                    contents[path] = data
            entries.append(_listed(entry, path, digest, where))
        found = tar.raw.digest()
        compression = tar.raw.compression
    if found != diff_id:
        raise IntegrityError(
            "the layer's contents are not those that the configuration states",
            where=where,
            expected=f"diff ID {diff_id}",
            found=f"diff ID {found}",
        )
    return LayerListing(
        diff_id=str(diff_id), compression=compression, entries=entries, contents=contents
    )


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


def inside(name: str, where: str) -> str:
    """*name* relative to the image's root, as all engines read it; ``""`` is the root itself."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnreadableError(f"leaves the image: {name!r}", where=where)
    return "/".join(parts)


def _digest(reader: TarReader, *, keep: bool) -> tuple[str, bytes | None]:
    hasher = hashlib.sha256()
    pieces: list[bytes] = []
    for data in reader.contents():
        hasher.update(data)
        if keep:
            pieces.append(data)
    return hasher.hexdigest(), b"".join(pieces) if keep else None


def _listed(entry: TarEntry, path: str, digest: str, where: str) -> Listed:
    hard = entry.kind is TarKind.HARD_LINK
    if not path and entry.kind is not TarKind.FOLDER:
        raise UnreadableError(f"the image's root is a {entry.kind}", where=where)
    return Listed(
        path=path,
        kind=entry.kind,
        size=entry.size,
        executable=entry.kind is TarKind.FILE and bool(entry.mode & 0o111),
        target=inside(entry.target, where) if hard else entry.target,
        digest=digest,
        offset=entry.offset if digest else 0,
    )
