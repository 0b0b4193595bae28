"""The file system that an image's layers add up to, without extracting any of them.

Every layer is read once, to its end, and checked; from then on names, sizes, links and digests
are known. Contents of the small files that say what is installed are kept while they pass; any
other file is taken out of its layer when it is opened.

Engines disagree about a few unusual layers, so those are refused: a name below a link, a whiteout
after the name that it would delete, one name twice with different contents.
"""

import io
import posixpath
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import BinaryIO

from msgspec.structs import replace

from envguard import storage
from envguard.images.image import Image
from envguard.images.layer_tar import check_compression
from envguard.images.listing import LayerListing, read_listing
from envguard.images.listing_cache import keep_listing, kept_listing
from envguard.images.members import copied, read_members
from envguard.images.merge import Node, merged
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from envguard.model.files import Entry, Kind
from envguard.model.progress import Progress, silent

_KEPT_SIZE, _KEPT_SIZES = 4 << 20, 256 << 20
_KEPT = re.compile(
    r"(.*/)?("
    r"[^/]+\.(dist-info|egg-info)/[^/]+|[^/]+\.(egg-info|pth)"
    r"|pyvenv\.cfg|os-release|patchlevel\.h|build-details\.json|_sysconfigdata[^/]*\.py"
    r"|conda-meta/[^/]+\.json|conda-meta/history"
    r")|var/lib/dpkg/status(\.d/[^/]+)?|etc/ld\.so\.cache"
)
_HELD_SIZE, _HELD_SIZES = 16 << 20, 32 << 20
_HELD = re.compile(
    r"(.*/)?(python3\.\d+t?|libpython3[^/]*\.so[^/]*|libc\.so\.6|libc-2\.\d+\.so|ld-musl-[^/]+)"
)
"""What says which Python and C library there are: held in memory, where nothing can seek."""
_LINKS_LIMIT = 40


class ImageFiles:
    """`envguard.model.files.Files` over the layers of an image, which are read on first use.

    Links are followed inside the image: an absolute one begins at the image's root, and ``..``
    does not leave it. With *cached*, listings are kept in the user's cache for the next run.
    """

    def __init__(
        self,
        image: Image,
        *,
        progress: Progress = silent,
        cached: bool = True,
        workers: int = 2,
    ) -> None:
        self._image = image
        self._progress = progress
        self._cache = storage.cache_folder() / "layers" if cached else None
        self._workers = workers
        self._loading = Lock()
        self._root: Node | None = None
        self._contents: list[dict[str, bytes]] = []

    def scan(self, folder: str) -> list[Entry]:
        """See `Files`."""
        node = self._find(folder)
        children = node.children if node and node.children else {}
        return [_entry(name, children[name]) for name in sorted(children)]

    def stat(self, path: str) -> Entry | None:
        """See `Files`."""
        node = self._find(path)
        return _entry(posixpath.basename(path), node) if node else None

    def digest(self, path: str) -> Digest:
        """See `Files`."""
        return Digest("sha256", self._file(path).digest)

    def open(self, path: str) -> BinaryIO:
        """See `Files`."""
        for _, stream in self.open_all([path]):
            return stream
        raise UnreadableError("is not in the image", where=path)

    def open_all(self, paths: Iterable[str]) -> Iterator[tuple[str, BinaryIO]]:
        """Each of *paths*, in any order, with its bytes; no layer is read more than once.

        The caller closes the streams.
        """
        wanted: dict[int, dict[str, list[str]]] = {}
        files = {path: self._file(path) for path in paths}
        for path, node in files.items():
            kept = self._contents[node.layer].get(node.member)
            if kept is not None or not node.size:
                yield path, io.BytesIO(kept or b"")
            else:
                wanted.setdefault(node.layer, {}).setdefault(node.member, []).append(path)
        for layer, members in wanted.items():
            nodes = {member: files[names[0]] for member, names in members.items()}
            for member, stream in read_members(self._image, layer, nodes):
                first, *others = members[member]
                for path in others:
                    yield path, copied(stream)
                yield first, stream

    def _file(self, path: str) -> Node:
        node = self._find(path)
        if node is None or node.kind is not Kind.FILE:
            raise UnreadableError(
                "is no regular file of the image",
                where=path,
                found=node.kind if node else "nothing",
            )
        return node

    def _find(self, path: str) -> Node | None:
        """What *path* is after following links; `UnreadableError` when they go round."""
        root = self._load()
        trail, pending, links = [root], path.split("/")[::-1], 0
        while pending:
            match pending.pop():
                case "" | ".":
                    continue
                case "..":
                    trail = trail[:-1] or [root]
                    continue
                case name:
                    node = (trail[-1].children or {}).get(name)
            if node is None:
                return None
            if node.kind is not Kind.LINK:
                trail.append(node)
                continue
            links += 1
            if links > _LINKS_LIMIT:
                raise UnreadableError("links go round in circles", where=path)
            if node.target.startswith("/"):
                trail = [root]
            pending.extend(node.target.split("/")[::-1])
        return trail[-1]

    def _load(self) -> Node:
        with self._loading:
            if self._root is None:
                listings = self._listings()
                self._root = merged(listings)
                self._contents = [listing.contents for listing in listings]
            return self._root

    def _listings(self) -> list[LayerListing]:
        """The listings of all layers, lowest first, the largest read first."""
        layers = self._image.manifest.layers
        kept, held = (
            _Budget(_KEPT, _KEPT_SIZE, _KEPT_SIZES),
            _Budget(_HELD, _HELD_SIZE, _HELD_SIZES),
        )
        order = sorted(range(len(layers)), key=lambda number: -layers[number].size)
        with ThreadPoolExecutor(self._workers) as pool:
            futures = {number: pool.submit(self._listing, number, kept, held) for number in order}
            try:
                return [futures[number].result() for number in range(len(layers))]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _listing(self, number: int, kept: "_Budget", held: "_Budget") -> LayerListing:
        layer = self._image.manifest.layers[number]
        diff_id = self._image.config.diff_ids[number]
        if self._cache and (listing := kept_listing(self._cache, layer.digest, diff_id)):
            check_compression(layer, listing.compression)
            return listing
        plain = layer.digest == diff_id

        def retain(path: str, size: int) -> bool:
            return kept.takes(path, size) or (not plain and held.takes(path, size))

        listing = read_listing(self._image, layer, diff_id, retain=retain, progress=self._progress)
        if self._cache:
            lasting = {
                path: listing.contents[path] for path in listing.contents if kept.names(path)
            }
            keep_listing(self._cache, layer.digest, replace(listing, contents=lasting))
        return listing


class _Budget:
    """Chooses files whose contents stay, each of *size* at most, up to a sum for all layers."""

    def __init__(self, chosen: re.Pattern[str], size: int, sum_of_sizes: int) -> None:
        self._chosen = chosen
        self._size = size
        self._left = sum_of_sizes
        self._lock = Lock()

    def names(self, path: str) -> bool:
        return bool(self._chosen.fullmatch(path))

    def takes(self, path: str, size: int) -> bool:
        if size > self._size or not self.names(path):
            return False
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True


def _entry(name: str, node: Node) -> Entry:
    return Entry(
        name=name,
        kind=node.kind,
        size=node.size,
        executable=node.executable,
        target=node.target if node.kind is Kind.LINK else None,
    )
