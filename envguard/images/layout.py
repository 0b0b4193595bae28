"""An OCI image layout: a folder with the blobs of images by digest.

Source: OCI image specification 1.1, "Image Layout".
"""

import os
import secrets
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from envguard import storage
from envguard.images.blobs import StoredImage, stored_image
from envguard.images.descriptor import Descriptor, ImagePlatform
from envguard.images.documents import Fields, decode
from envguard.images.image import MANIFEST_LIMIT, REFERENCE_NAME, Image
from envguard.images.index import Index
from envguard.images.streams import BUFFER_SIZE
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError, UsageError

MARKER = b'{"imageLayoutVersion":"1.0.0"}'
_NAMES = frozenset({"blobs", "index.json", "oci-layout"})


def open_layout(
    folder: Path, reference: str | None = None, *, platform: ImagePlatform | None = None
) -> StoredImage:
    """The image *reference* (tag or digest; ``None``: the only one) of a layout.

    Raises `UnreadableError` for what is no layout, and `UsageError` listing the images where
    there are several.
    """
    source = str(folder)
    check_marker(_read(folder, "oci-layout", limit=4096), source=source)
    index = Index.parse(_read(folder, "index.json", limit=MANIFEST_LIMIT), source=source)
    manifests = index.named(reference, source=source) if reference else index.manifests
    return stored_image(LayoutBlobs(folder=folder), manifests, source=source, platform=platform)


def write_layout(
    folder: Path,
    image: Image,
    *,
    reference: str | None = None,
    stored: Callable[[Digest], Path | None] = lambda digest: None,
) -> None:
    """Make *folder* a layout with *image* alone in it, named *reference*: whole or not at all.

    A blob that *stored* knows a file for is hard-linked, or copied where that cannot be: it must
    be a verified file that nobody changes. All others are streamed and verified. A layout that
    is there already is replaced; anything else that is not empty is refused with `UsageError`.
    """
    replaces = _is_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f".{folder.name[:100]}.{secrets.token_hex(6)}.tmp"
    try:
        for descriptor in blobs_of(image):
            _put(image, descriptor, temporary / "blobs", stored(descriptor.digest))
        storage.write(temporary / "index.json", index_of(image, reference).encode())
        storage.write(temporary / "oci-layout", MARKER)
        if replaces:
            _exchange(temporary, folder)
        else:
            temporary.rename(folder)
        storage.sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_written(
    folder: Path, image: Image, reference: str | None, digest_of: Callable[[str], Digest]
) -> bool:
    """Whether *folder* is what `write_layout` would make of *image*, to the last byte.

    *digest_of* gives the sha256 of a file by its path in *folder*; it may remember.
    """
    try:
        if folder.is_symlink() or {item.name for item in folder.iterdir()} != _NAMES:
            return False
        index = index_of(image, reference).encode()
        if _read(folder, "oci-layout", limit=len(MARKER)) != MARKER:
            return False
        if _read(folder, "index.json", limit=len(index)) != index:
            return False
        wanted = {f"{item.digest.algorithm}/{item.digest.hex}": item for item in blobs_of(image)}
        blobs = folder / "blobs"
        names = blobs.rglob("*")
        found = {str(name.relative_to(blobs)) for name in names if not name.is_dir()}
        return found == wanted.keys() and all(
            stat.S_ISREG((status := (blobs / name).lstat()).st_mode)
            and status.st_size == item.size
            and digest_of(f"blobs/{name}") == item.digest
            for name, item in wanted.items()
        )
    except (OSError, UnreadableError):
        return False


def blobs_of(image: Image) -> tuple[Descriptor, ...]:
    """Manifest, configuration and layers of *image*, each once."""
    named = (image.descriptor, image.manifest.config, *image.manifest.layers)
    return tuple({item.digest: item for item in named}.values())


def index_of(image: Image, reference: str | None, **annotations: str) -> Index:
    """The index of a layout that holds *image* alone."""
    named = {REFERENCE_NAME: reference, **annotations} if reference else annotations
    described = replace(
        image.descriptor, platform=image.config.platform, annotations=named, artifact_type=None
    )
    return Index(manifests=(described,))


def check_marker(data: bytes, *, source: str) -> None:
    """Raise `UnreadableError` unless *data* is the ``oci-layout`` file of a known version."""
    document = decode(data, source=f"{source} oci-layout", limit=4096)
    fields = Fields(document, source, known=("imageLayoutVersion",))
    if fields.text("imageLayoutVersion") != "1.0.0":
        fields.problem("imageLayoutVersion", "must be 1.0.0")
    fields.raise_problems()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutBlobs:
    """The blobs of the layout in *folder*."""

    folder: Path

    def open(self, digest: Digest) -> BinaryIO:
        """See `envguard.images.blobs.Blobs`."""
        return _open(self.folder, "blobs", digest.algorithm, digest.hex)


def _read(folder: Path, name: str, *, limit: int) -> bytes:
    with _open(folder, name) as stream:
        return stream.read(limit + 1)


def _open(folder: Path, *names: str) -> BinaryIO:
    """A regular file below *folder*; no name below it may be a link."""
    where = str(folder.joinpath(*names))
    opened: list[int] = []
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        for name in names:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            opened.append(os.open(name, flags, dir_fd=opened[-1]))
        if not stat.S_ISREG(os.fstat(opened[-1]).st_mode):
            raise UnreadableError("is no regular file", where=where)
        return os.fdopen(opened.pop(), "rb", buffering=BUFFER_SIZE)
    except OSError as error:
        raise UnreadableError(
            f"cannot be read: {error.strerror}",
            where=where,
            hint="an image layout is a folder with oci-layout, index.json and blobs in it",
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _is_replaceable(folder: Path) -> bool:
    """Whether there is a layout in *folder*; `UsageError` when there is something else."""
    try:
        names = {"a link"} if folder.is_symlink() else {item.name for item in folder.iterdir()}
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        names = {"a file"}
    if names and (names - _NAMES or "oci-layout" not in names):
        raise UsageError(
            "is not an image layout, and will not be overwritten",
            where=str(folder),
            expected="an image layout, an empty folder, or nothing",
            found=", ".join(sorted(names)[:5]),
        )
    return bool(names)


def _put(image: Image, descriptor: Descriptor, blobs: Path, stored: Path | None) -> None:
    target = blobs / descriptor.digest.algorithm / descriptor.digest.hex
    target.parent.mkdir(parents=True, exist_ok=True)
    if stored is not None and _linked(stored, target, descriptor.size):
        storage.sync_folder(target.parent)
        return
    with image.open_blob(descriptor.digest) as stream, storage.replacing(target) as sink:
        shutil.copyfileobj(stream, sink, BUFFER_SIZE)


def _linked(stored: Path, target: Path, size: int) -> bool:
    """Whether *target* is now *stored* itself; not so across file systems."""
    try:
        found = stored.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return False
        os.link(stored, target)
    except OSError:
        return False
    return True


def _exchange(new: Path, old: Path) -> None:
    """Swap two folders at once, so that *old* is a whole layout at every moment."""
    import ctypes

    at_working_folder, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE: renameat2(2)
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename and not rename(
        at_working_folder, os.fsencode(new), at_working_folder, os.fsencode(old), exchange
    ):
        return
    # A file system or system that cannot exchange: two renames, the shortest gap there is.
    aside = new.with_name(new.name + ".old")
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    aside.rename(new)
