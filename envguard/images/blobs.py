"""Streams that prove their digest, and images whose blobs lie somewhere by digest."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from envguard.images.config import CONFIG_LIMIT, ImageConfig
from envguard.images.descriptor import Descriptor, ImagePlatform
from envguard.images.image import CONFIGS, Manifest, check_layers
from envguard.images.index import choose
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, LimitError, MismatchError, UnreadableError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_SIZE = 256 << 10


def verified(stream: BinaryIO, digest: Digest, *, size: int | None, where: str) -> BinaryIO:
    """The bytes of *stream*, which is closed with the result.

    Reading the last of them raises `IntegrityError` when they are not those of *digest*; so does
    reading more than *size* bytes, or fewer, where it is known.
    """
    raw = _Verified(stream, digest, size, where)
    return cast("BinaryIO", io.BufferedReader(raw, BUFFER_SIZE))


class _Verified(io.RawIOBase):
    def __init__(self, stream: BinaryIO, digest: Digest, size: int | None, where: str) -> None:
        self._stream = stream
        self._digest = digest
        self._size = size
        self._where = where
        self._hasher = hashlib.new(digest.algorithm)
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self._stream.read(len(view))
        view[: len(data)] = data
        self._hasher.update(data)
        self._count += len(data)
        over = self._size is not None and self._count > self._size
        if over or self._count == self._size or (view and not data):
            self._check()
        return len(data)

    def _check(self) -> None:
        found = Digest(self._digest.algorithm, self._hasher.hexdigest())
        if found != self._digest or self._count != (self._size or self._count):
            raise IntegrityError(
                "these are not the bytes that the digest names",
                where=self._where,
                expected=f"{self._digest}, {self._size or '?'} bytes",
                found=f"{found}, {self._count} bytes",
                hint="fetch or build the image again",
            )

    def close(self) -> None:
        self._stream.close()
        super().close()


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
        named = (self.descriptor, self.manifest.config, *self.manifest.layers)
        size = next((item.size for item in named if item.digest == digest), None)
        if size is None:
            raise UnreadableError(f"{digest} is no blob of this image", where=self.source)
        return verified(self.blobs.open(digest), digest, size=size, where=f"{self.source} {digest}")


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
