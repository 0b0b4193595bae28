"""What one layer holds: its entries with their digests, read in one streaming pass.

A listing is a function of the layer's bytes, so it may be kept by the layer's digest. Nothing of
a layer is believed before the whole blob and the whole tar have the digests that the manifest and
the configuration state.

Source: OCI image specification 1.1, "Image Layer Filesystem Changeset".
"""

import hashlib
from collections.abc import Callable
from typing import BinaryIO, cast

from msgspec import Struct
from msgspec.structs import replace

from envguard.images.descriptor import Descriptor
from envguard.images.image import Image
from envguard.images.layer_tar import open_tar
from envguard.images.tar_reader import TarEntry, TarKind, TarReader
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError
from envguard.model.progress import Progress


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
