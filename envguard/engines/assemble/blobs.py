"""Files that already hold the blobs of an image, so that a layout can link instead of copying."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from envguard.engines.assemble.store import LayerStore
from envguard.images.blobs import StoredImage
from envguard.images.image import Image
from envguard.images.layout import LayoutBlobs
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from envguard.places.digest_cache import DigestCache
from envguard.places.folder import Folder


class BlobFiles:
    """The blobs of *store*, which has checked them, and of *layouts*, which are checked here.

    A file of another user is none: its owner could change it after it was linked.
    """

    def __init__(
        self, store: LayerStore, layouts: Sequence[Path], digests: DigestCache | None
    ) -> None:
        self._store = store
        self._layouts = layouts
        self._digests = digests

    def find(self, digest: Digest) -> Path | None:
        """A file with exactly the bytes of *digest*."""
        return self._store.known(digest) or next(self._in_layouts(digest), None)

    def _in_layouts(self, digest: Digest) -> Iterator[Path]:
        name = f"blobs/{digest.algorithm}/{digest.hex}"
        for folder in self._layouts:
            try:
                if (folder / name).lstat().st_uid != os.geteuid():
                    continue
                if Folder(folder, cache=self._digests).digest(name) == digest:
                    yield folder / name
            except (OSError, UnreadableError):
                continue


def layout_of(image: Image | None) -> list[Path]:
    """The layout that *image* lies in, if it does."""
    match image:
        case StoredImage(blobs=LayoutBlobs(folder=folder)):
            return [folder]
    return []
