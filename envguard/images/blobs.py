"""Images whose blobs lie somewhere by digest: in a layout, an archive, a registry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from envguard.images.config import CONFIG_LIMIT, ImageConfig
from envguard.images.descriptor import Descriptor, ImagePlatform
from envguard.images.image import CONFIGS, Manifest, check_layers
from envguard.images.index import choose
from envguard.images.streams import verified
from envguard.model.digest import Digest
from envguard.model.errors import LimitError, MismatchError, UnreadableError


class Blobs(Protocol):
    """Where the blobs of images lie."""

    def open(self, digest: Digest) -> BinaryIO:
        """The bytes that are stored under *digest*; `UnreadableError` where there are none."""
        ...


def read_blob(blobs: Blobs, descriptor: Descriptor, *, limit: int, where: str) -> bytes:
    """The whole of a small blob; `LimitError` when it states more than *limit* bytes."""
    if descriptor.size > limit:
        raise LimitError(
            f"{descriptor.media_type} is too large",
            where=where,
            expected=f"at most {limit} bytes",
            found=f"{descriptor.size} bytes",
        )
    stream = blobs.open(descriptor.digest)
    with verified(stream, descriptor.digest, size=descriptor.size, where=where) as checked:
        return checked.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image whose blobs lie in *blobs*; *source* names it for people."""

    source: str
    descriptor: Descriptor
    manifest: Manifest
    config: ImageConfig
    blobs: Blobs

    def open_blob(self, digest: Digest) -> BinaryIO:
        """See `envguard.images.image.Image`."""
        size = self._size(digest)
        return verified(self.blobs.open(digest), digest, size=size, where=f"{self.source} {digest}")

    def open_seekable(self, digest: Digest) -> BinaryIO | None:
        """See `envguard.images.members.OpensSeekable`."""
        self._size(digest)
        stream = self.blobs.open(digest)
        if stream.seekable():
            return stream
        stream.close()
        return None

    def _size(self, digest: Digest) -> int:
        named = (self.descriptor, self.manifest.config, *self.manifest.layers)
        for item in named:
            if item.digest == digest:
                return item.size
        raise UnreadableError(f"{digest} is no blob of this image", where=self.source)


def stored_image(
    blobs: Blobs,
    manifests: Sequence[Descriptor],
    *,
    source: str,
    platform: ImagePlatform | None = None,
) -> StoredImage:
    """The one image that *manifests* (of images or indexes) lead to on *platform*.

    Raises `UsageError` listing them where they are several, and `UnreadableError` or
    `IntegrityError` for documents that cannot be read or are not the pinned ones.
    """

    def load(descriptor: Descriptor, limit: int) -> bytes:
        return read_blob(blobs, descriptor, limit=limit, where=f"{source} {descriptor.digest}")

    chosen, manifest = choose(manifests, load, source=source, platform=platform)
    return image_of(blobs, chosen, manifest, source=source, platform=platform)


def image_of(
    blobs: Blobs,
    descriptor: Descriptor,
    manifest: Manifest,
    *,
    source: str,
    platform: ImagePlatform | None = None,
) -> StoredImage:
    """The image of *manifest*, after its configuration has been read and checked against it."""
    if manifest.config.media_type not in CONFIGS:
        raise UnreadableError(
            "is no container image",
            where=source,
            expected=" or ".join(sorted(CONFIGS)),
            found=manifest.config.media_type,
        )
    where = f"{source} {manifest.config.digest}"
    data = read_blob(blobs, manifest.config, limit=CONFIG_LIMIT, where=where)
    config = ImageConfig.parse(data, source=where)
    check_layers(manifest, config, source)
    for wanted in filter(None, (platform, descriptor.platform)):
        if not wanted.accepts(config.platform):
            raise MismatchError(
                "the image is for another platform",
                where=source,
                expected=str(wanted),
                found=str(config.platform),
            )
    return StoredImage(
        source=source, descriptor=descriptor, manifest=manifest, config=config, blobs=blobs
    )
