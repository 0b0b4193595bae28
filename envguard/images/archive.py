"""Image archives: one tar that holds images, as engines save and load them.

Written is what OCI and Docker readers both take: an image layout, and Docker's manifest.json
which names the same blobs. Read are layouts in a tar, and what `docker save` has written since
version 1.10. Where an archive says both, both must say the same.

Source: OCI image specification 1.1, "Image Layout"; Docker image specification 1.2, "Combined
Image JSON + Filesystem Changeset Format".
"""

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from envguard.images import tar
from envguard.images.archive_files import ArchiveFiles
from envguard.images.blobs import StoredImage, stored_image
from envguard.images.descriptor import ImagePlatform
from envguard.images.docker_archive import check_same, saved_image
from envguard.images.image import MANIFEST_LIMIT, Image
from envguard.images.index import Index
from envguard.images.layout import MARKER, blobs_of, check_marker, index_of
from envguard.images.streams import BUFFER_SIZE
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError


def write_archive(
    image: Image,
    sink: BinaryIO,
    *,
    reference: str | None = None,
    without: Collection[Digest] = (),
) -> None:
    """Write *image*, named *reference* (``name:tag``), to *sink*: equal images, equal bytes.

    Blobs in *without* are named but left out, for a reader that has them.
    Raises `IntegrityError` for a blob that is not the pinned one; the sink must be thrown away.
    """
    for name in ("blobs", "blobs/sha256"):
        sink.write(tar.folder_header(name))
    for descriptor in sorted(blobs_of(image), key=lambda item: item.digest):
        if descriptor.digest in without:
            continue
        sink.write(tar.file_header(blob_name(descriptor.digest), descriptor.size))
        with image.open_blob(descriptor.digest) as stream:
            shutil.copyfileobj(stream, sink, BUFFER_SIZE)
        sink.write(tar.padding(descriptor.size))
    named = {"io.containerd.image.name": reference} if reference else {}
    for name, data in (
        ("index.json", index_of(image, reference, **named).encode()),
        ("manifest.json", _docker_manifest(image, reference)),
        ("oci-layout", MARKER),
    ):
        sink.write(tar.file_header(name, len(data)) + data + tar.padding(len(data)))
    sink.write(tar.END)


def open_archive(
    path: Path, reference: str | None = None, *, platform: ImagePlatform | None = None
) -> StoredImage:
    """The image *reference* (tag, digest; ``None``: the only one) of an archive.

    Raises `UnreadableError` for what is no image archive or holds links out of itself, and
    `UsageError` listing the images where there are several.
    """
    return image_in(ArchiveFiles.open(path), reference, platform=platform)


def image_in(
    files: ArchiveFiles, reference: str | None = None, *, platform: ImagePlatform | None = None
) -> StoredImage:
    """The image *reference* in an archive that is open; see `open_archive`."""
    if "oci-layout" in files.names:
        image = _from_layout(files, reference, platform)
        if "manifest.json" in files.names:
            check_same(files, image)
        return image
    if "manifest.json" in files.names:
        return saved_image(files, reference, platform=platform)
    raise UnreadableError(
        "is no image archive",
        where=files.source,
        expected="oci-layout or manifest.json in it",
        found=", ".join(sorted(files.names)[:5]) or "nothing",
    )


def blob_name(digest: Digest) -> str:
    """Where a layout keeps a blob."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _docker_manifest(image: Image, reference: str | None) -> bytes:
    entry = {
        "Config": blob_name(image.manifest.config.digest),
        "RepoTags": [reference] if reference else None,
        "Layers": [blob_name(layer.digest) for layer in image.manifest.layers],
    }
    return json.dumps([entry], sort_keys=True, separators=(",", ":")).encode()


def _from_layout(
    files: ArchiveFiles, reference: str | None, platform: ImagePlatform | None
) -> StoredImage:
    check_marker(files.read("oci-layout", limit=4096), source=files.source)
    data = files.read("index.json", limit=MANIFEST_LIMIT)
    index = Index.parse(data, source=f"{files.source} index.json")
    manifests = index.named(reference, source=files.source) if reference else index.manifests
    return stored_image(_Blobs(files), manifests, source=files.source, platform=platform)


class _Blobs:
    """The blobs of a layout in an archive."""

    def __init__(self, files: ArchiveFiles) -> None:
        self._files = files

    def open(self, digest: Digest) -> BinaryIO:
        return self._files.open_file(blob_name(digest))
