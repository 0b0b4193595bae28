"""The contents of files in a layer, each checked against the digest that its listing states.

In a layer that is a plain tar in a file they are found by seeking; any other is read from its
start, once for all the files that are wanted together.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, Protocol, cast, runtime_checkable

from envguard.images.descriptor import Descriptor
from envguard.images.image import Image
from envguard.images.layer_tar import open_tar
from envguard.images.listing import inside
from envguard.images.merge import Node
from envguard.images.tar_reader import TarKind, TarReader
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError
from envguard.model.progress import silent

_SPOOLED_SIZE = 8 << 20
"""Files up to this size are kept in memory when they are opened, larger ones on disk."""

_PIECE = 1 << 20


@runtime_checkable
class OpensSeekable(Protocol):
    """An image whose blobs may lie in files."""

    def open_seekable(self, digest: Digest) -> BinaryIO | None:
        """The bytes of one blob, not verified; ``None`` where they can only be streamed."""
        ...


def read_members(
    image: Image, number: int, wanted: Mapping[str, Node]
) -> Iterator[tuple[str, BinaryIO]]:
    """The contents of the files *wanted*, by path, of the layer with this number; in any order.

    Each is checked against its digest, so the rest of the layer need not be read. Raises
    `IntegrityError` when the layer does not hold them.
    """
    layer = image.manifest.layers[number]
    is_plain = layer.digest == image.config.diff_ids[number]
    blob = None
    if is_plain and isinstance(image, OpensSeekable):
        blob = image.open_seekable(layer.digest)
    if blob is None:
        yield from _streamed(image, layer, wanted)
        return
    with blob:
        for path, node in sorted(wanted.items(), key=lambda item: item[1].offset):
            blob.seek(node.offset)
            yield path, _spooled(_pieces(blob, node.size), node, f"layer {layer.digest} {path}")


def copied(stream: BinaryIO) -> BinaryIO:
    """The bytes of *stream*, which stands at its start and does so again, as another stream."""
    spool = _new_spool()
    shutil.copyfileobj(stream, spool, _PIECE)
    stream.seek(0)
    spool.seek(0)
    return spool


def _streamed(
    image: Image, layer: Descriptor, wanted: Mapping[str, Node]
) -> Iterator[tuple[str, BinaryIO]]:
    where = f"layer {layer.digest}"
    missing = dict(wanted)
    with open_tar(image, layer, silent) as tar:
        reader = TarReader(cast("BinaryIO", tar), where=where)
        for entry in reader:
            path = inside(entry.name, where)
            if entry.kind is TarKind.FILE and path in missing:
                yield path, _spooled(reader.contents(), missing.pop(path), f"{where} {path}")
            if not missing:
                return
    raise IntegrityError("the layer changed since it was listed", where=where)


def _pieces(blob: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (data := blob.read(min(_PIECE, size))):
        size -= len(data)
        yield data


def _spooled(pieces: Iterable[bytes], node: Node, where: str) -> BinaryIO:
    hasher = hashlib.sha256()
    spool = _new_spool()
    for data in pieces:
        hasher.update(data)
        spool.write(data)
    if hasher.hexdigest() != node.digest:
        spool.close()
        raise IntegrityError(
            "the file changed since the layer was listed",
            where=where,
            expected=f"sha256:{node.digest}",
            found=f"sha256:{hasher.hexdigest()}",
        )
    spool.seek(0)
    return spool


def _new_spool() -> BinaryIO:
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_SPOOLED_SIZE))
