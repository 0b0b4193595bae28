"""An image as the OCI image specification defines it: a manifest, a configuration, and blobs.

Docker's schema 2 differs in its media types alone, so the same types read both. What is written
is canonical JSON: equal values are equal bytes.

Source: OCI image specification 1.1, "Image Manifest".
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Protocol

from envguard.images.config import History, ImageConfig, Runtime
from envguard.images.descriptor import DESCRIPTOR_FIELDS, Descriptor, ImagePlatform, descriptor
from envguard.images.documents import Fields, decode, encode
from envguard.images.streams import verified
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError

__all__ = [
    "Descriptor",
    "History",
    "Image",
    "ImageConfig",
    "ImagePlatform",
    "Manifest",
    "NewImage",
    "Runtime",
    "check_layers",
    "new_image",
]

MANIFEST_LIMIT = 4 << 20

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})

REFERENCE_NAME = "org.opencontainers.image.ref.name"
"""The annotation in an index that holds an image's tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An image manifest; `parse` and `encode` round-trip."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = OCI_MANIFEST
    annotations: Mapping[str, str] = field(default_factory=dict)
    subject: Descriptor | None = None
    artifact_type: str | None = None

    @classmethod
    def parse(cls, data: bytes, *, source: str, media_type: str | None = None) -> "Manifest":
        """Read a manifest whose descriptor says *media_type* (``None``: nothing says it).

        Raises `UnreadableError`, also for one that could be read as an index or as another
        media type (CVE-2021-41190).
        """
        document = decode(data, source=source, limit=MANIFEST_LIMIT)
        fields = Fields(document, source, known=_MANIFEST_FIELDS)
        stated = checked_type(fields, MANIFESTS, media_type, default=OCI_MANIFEST)
        for name in ("manifests", "fsLayers"):
            if name in document:
                fields.problem(name, "does not belong in an image manifest")
        for name in ("config", "layers"):
            if not fields.has(name):
                fields.problem(name, "is missing")
        manifest = cls(
            media_type=stated,
            config=fields.nested("config", descriptor, known=DESCRIPTOR_FIELDS),
            layers=fields.objects("layers", descriptor, known=DESCRIPTOR_FIELDS),
            annotations=fields.table("annotations"),
            subject=fields.nested("subject", descriptor, known=DESCRIPTOR_FIELDS)
            if fields.has("subject")
            else None,
            artifact_type=fields.text("artifactType", "") or None,
        )
        fields.raise_problems()
        return manifest

    def encode(self) -> bytes:
        """Canonical JSON."""
        return encode(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "config": self.config.document(),
                # Required by the specification even where there is no layer.
                "layers": [layer.document() for layer in self.layers],
                "annotations": dict(self.annotations),
                "subject": self.subject.document() if self.subject else None,
                "artifactType": self.artifact_type,
            },
            required=("layers",),
        )

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of `encode`'s bytes."""
        data = self.encode()
        return Descriptor(media_type=self.media_type, digest=Digest.of(data), size=len(data))


class Image(Protocol):
    """An image in any place.

    `open_blob` gives the exact bytes of the manifest, the configuration or a layer by digest and
    raises `IntegrityError` at the end of a stream that has not this digest; each call gives a
    stream of its own, which several threads may do at once.
    """

    @property
    def descriptor(self) -> Descriptor:
        """Names the manifest."""
        ...

    @property
    def manifest(self) -> Manifest:
        """The manifest."""
        ...

    @property
    def config(self) -> ImageConfig:
        """The configuration."""
        ...

    def open_blob(self, digest: Digest) -> BinaryIO:
        """The bytes of one blob."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """An image that is being made: documents in memory, layers from wherever *open_layer* has them.

    Raises nothing itself: make it with a manifest whose descriptors are those of *config* and
    the layers, for example through `new_image`.
    """

    manifest: Manifest
    config: ImageConfig
    open_layer: Callable[[Digest], BinaryIO]

    @property
    def descriptor(self) -> Descriptor:
        """Names the manifest."""
        return replace(self.manifest.descriptor, platform=self.config.platform)

    def open_blob(self, digest: Digest) -> BinaryIO:
        """The bytes of one blob."""
        if digest == self.manifest.descriptor.digest:
            return io.BytesIO(self.manifest.encode())
        if digest == self.manifest.config.digest:
            return io.BytesIO(self.config.encode())
        size = {layer.digest: layer.size for layer in self.manifest.layers}.get(digest)
        return verified(self.open_layer(digest), digest, size=size, where=f"new image {digest}")


def new_image(
    config: ImageConfig,
    layers: Sequence[Descriptor],
    open_layer: Callable[[Digest], BinaryIO],
    *,
    annotations: Mapping[str, str] | None = None,
) -> NewImage:
    """The image of *config* and *layers*, lowest first.

    Raises `UnreadableError` when *config* does not state one diff ID for each layer.
    """
    data = config.encode()
    manifest = Manifest(
        config=Descriptor(media_type=OCI_CONFIG, digest=Digest.of(data), size=len(data)),
        layers=tuple(layers),
        annotations=annotations or {},
    )
    check_layers(manifest, config, "new image")
    return NewImage(manifest=manifest, config=config, open_layer=open_layer)


def check_layers(manifest: Manifest, config: ImageConfig, source: str) -> None:
    """Raise `UnreadableError` unless *config* states one diff ID for each layer of *manifest*."""
    if len(manifest.layers) != len(config.diff_ids):
        raise UnreadableError(
            "the configuration is not that of these layers",
            where=source,
            expected=f"{len(manifest.layers)} diff_ids",
            found=f"{len(config.diff_ids)} diff_ids",
        )


_MANIFEST_FIELDS = (
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "annotations",
    "subject",
    "artifactType",
    "manifests",
    "fsLayers",
)


def checked_type(
    fields: Fields, allowed: frozenset[str], expected: str | None, *, default: str
) -> str:
    """The media type that a document states for itself; a contradiction is noted."""
    if fields.number("schemaVersion") != 2:
        fields.problem("schemaVersion", "must be 2")
    stated = fields.text("mediaType", expected or default)
    if stated not in allowed or stated != (expected or stated):
        fields.problem("mediaType", f"must be {expected or ' or '.join(sorted(allowed))}")
    return stated
