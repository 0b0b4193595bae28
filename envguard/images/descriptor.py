"""What names a blob of an image: digest, size and media type, and for which platform it is.

Source: OCI image specification 1.1, "Content Descriptors", "Image Index" (platform).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from envguard.images.documents import Fields
from envguard.model.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlatform:
    """*os* and *architecture* in Go's words: ``linux``, ``amd64``; *variant* as in ``v8``."""

    os: str
    architecture: str
    variant: str | None = None

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    def accepts(self, other: "ImagePlatform") -> bool:
        """Whether *other* is this platform, of any variant where none is asked for."""
        same = (self.os, self.architecture) == (other.os, other.architecture)
        return same and self.variant in (None, other.variant)

    def document(self) -> dict[str, object]:
        """The JSON object."""
        named = {"os": self.os, "architecture": self.architecture, "variant": self.variant}
        return {key: value for key, value in named.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Names a blob by its digest, size in bytes and media type."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: ImagePlatform | None = None
    artifact_type: str | None = None

    def document(self) -> dict[str, object]:
        """The JSON object."""
        document: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        if self.platform:
            document["platform"] = self.platform.document()
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        return document


DESCRIPTOR_FIELDS = (
    "mediaType",
    "digest",
    "size",
    "annotations",
    "platform",
    "artifactType",
    "urls",
    "data",
)
PLATFORM_FIELDS = ("os", "architecture", "variant", "os.version", "os.features")


def descriptor(fields: Fields) -> Descriptor:
    """Read a descriptor."""
    return Descriptor(
        media_type=fields.text("mediaType"),
        digest=fields.digest("digest"),
        size=fields.number("size"),
        annotations=fields.table("annotations"),
        platform=fields.nested("platform", platform, known=PLATFORM_FIELDS)
        if fields.has("platform")
        else None,
        artifact_type=fields.text("artifactType", "") or None,
    )


def platform(fields: Fields) -> ImagePlatform:
    """Read a platform, also out of an image configuration."""
    return ImagePlatform(
        os=fields.text("os"),
        architecture=fields.text("architecture"),
        variant=fields.text("variant", "") or None,
    )
