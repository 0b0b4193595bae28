"""What `docker save` writes beside or instead of an image layout: manifest.json.

Layers are named there by path; their tars are mostly not compressed, so that their digests are
the diff IDs which the configuration states.

Source: Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format".
"""

import hashlib
import io
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from envguard.images.archive_files import ArchiveFiles
from envguard.images.blobs import StoredImage, image_of
from envguard.images.config import CONFIG_LIMIT, ImageConfig
from envguard.images.descriptor import Descriptor, ImagePlatform
from envguard.images.documents import Fields, decode_list
from envguard.images.gzip_members import Compression
from envguard.images.image import MANIFEST_LIMIT, OCI_CONFIG, Manifest
from envguard.images.streams import BUFFER_SIZE
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError, UsageError

_FIELDS = ("Config", "RepoTags", "Layers")
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saved:
    """An entry of manifest.json: paths of configuration and layers in the archive, and names."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


def saved_image(
    files: ArchiveFiles, reference: str | None, *, platform: ImagePlatform | None = None
) -> StoredImage:
    """The image *reference* that manifest.json names, with a manifest made for it."""
    saved = _chosen(_entries(files), reference, files.source)
    data = files.read(saved.config, limit=CONFIG_LIMIT)
    config = Descriptor(media_type=OCI_CONFIG, digest=Digest.of(data), size=len(data))
    _check_name(saved.config, config.digest, files.source)
    diff_ids = ImageConfig.parse(data, source=f"{files.source} {saved.config}").diff_ids
    if len(diff_ids) != len(saved.layers):
        raise UnreadableError(
            "the configuration is not that of these layers",
            where=files.source,
            expected=f"{len(saved.layers)} diff_ids",
            found=f"{len(diff_ids)} diff_ids",
        )
    layers = tuple(
        _layer(files, name, diff_id) for name, diff_id in zip(saved.layers, diff_ids, strict=True)
    )
    manifest = Manifest(config=config, layers=layers)
    names = {layer.digest: name for layer, name in zip(layers, saved.layers, strict=True)}
    blobs = _Blobs(files, {config.digest: saved.config, **names}, manifest)
    return image_of(blobs, manifest.descriptor, manifest, source=files.source, platform=platform)


def check_same(files: ArchiveFiles, image: StoredImage) -> None:
    """Raise `UnreadableError` unless manifest.json names the blobs of *image* too.

    Some readers take an archive's index.json and others its manifest.json.
    """
    manifest = image.manifest
    for saved in _entries(files):
        names = [posixpath.basename(name) for name in (saved.config, *saved.layers)]
        if names == [item.digest.hex for item in (manifest.config, *manifest.layers)]:
            return
    raise UnreadableError(
        "index.json and manifest.json name different images",
        where=files.source,
        expected=str(manifest.config.digest),
        found=", ".join(saved.config for saved in _entries(files)),
    )


def _entries(files: ArchiveFiles) -> tuple[_Saved, ...]:
    where = f"{files.source} manifest.json"
    data = files.read("manifest.json", limit=MANIFEST_LIMIT)
    document = {"manifest": decode_list(data, source=where, limit=MANIFEST_LIMIT)}
    fields = Fields(document, where, known=("manifest",))
    entries = fields.objects("manifest", _saved, known=_FIELDS)
    fields.raise_problems()
    return entries


def _saved(fields: Fields) -> _Saved:
    return _Saved(
        config=posixpath.normpath(fields.text("Config")),
        layers=tuple(posixpath.normpath(name) for name in fields.texts("Layers")),
        tags=fields.texts("RepoTags"),
    )


def _chosen(entries: Sequence[_Saved], reference: str | None, source: str) -> _Saved:
    fitting = [
        entry
        for entry in entries
        if reference is None
        or reference in entry.tags
        or _hex(entry.config) == reference.removeprefix("sha256:")
    ]
    if len(fitting) != 1:
        raise UsageError(
            f"has {'several images' if fitting else 'no such image'}",
            where=source,
            expected=reference or "one image",
            found=", ".join(" ".join((*entry.tags, _hex(entry.config))) for entry in entries),
            hint="name one by its tag or image ID",
        )
    return fitting[0]


def _hex(name: str) -> str:
    return posixpath.basename(name).removesuffix(".json")


def _check_name(name: str, digest: Digest, source: str) -> None:
    """A configuration is named by its digest, which is the image ID."""
    if _hex(name) != digest.hex:
        raise IntegrityError(
            "the configuration is not the one that its name states",
            where=source,
            expected=name,
            found=str(digest),
        )


def _layer(files: ArchiveFiles, name: str, diff_id: Digest) -> Descriptor:
    """The descriptor of a layer; the digest of a plain tar is its diff ID, checked when read."""
    with files.open_file(name) as stream:
        if stream.read(2) != _GZIP_MAGIC:
            media_type = Compression.PLAIN.media_type
            return Descriptor(media_type=media_type, digest=diff_id, size=files.size(name))
    with files.open_file(name) as stream:
        hasher = hashlib.sha256()
        while data := stream.read(BUFFER_SIZE):
            hasher.update(data)
    return Descriptor(
        media_type=Compression.HYBRID.media_type,
        digest=Digest("sha256", hasher.hexdigest()),
        size=files.size(name),
    )


class _Blobs:
    """The blobs of a saved image by digest, and the manifest that was made for it."""

    def __init__(self, files: ArchiveFiles, names: dict[Digest, str], manifest: Manifest) -> None:
        self._files = files
        self._names = names
        self._manifest = manifest

    def open(self, digest: Digest) -> BinaryIO:
        if digest == self._manifest.descriptor.digest:
            return io.BytesIO(self._manifest.encode())
        return self._files.open_file(self._names[digest])
