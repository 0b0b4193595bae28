"""An image index, and the one image that is meant by it.

Source: OCI image specification 1.1, "Image Index".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from envguard.images.descriptor import DESCRIPTOR_FIELDS, Descriptor, ImagePlatform, descriptor
from envguard.images.documents import Fields, decode, encode
from envguard.images.image import (
    INDEXES,
    MANIFEST_LIMIT,
    MANIFESTS,
    OCI_INDEX,
    REFERENCE_NAME,
    Manifest,
    checked_type,
)
from envguard.model.digest import Digest
from envguard.model.errors import LimitError, UnreadableError, UsageError

DEPTH_LIMIT = 4
MANIFESTS_LIMIT = 1_000

Load = Callable[[Descriptor, int], bytes]
"""``load(descriptor, limit)``: the verified bytes of a document of at most *limit* bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A list of manifests, or of further indexes; `parse` and `encode` round-trip."""

    manifests: tuple[Descriptor, ...]
    media_type: str = OCI_INDEX
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes, *, source: str, media_type: str | None = None) -> "Index":
        """Read an index whose descriptor says *media_type* (``None``: nothing says it).

        Raises `UnreadableError`, also for one that could be read as an image manifest
        (CVE-2021-41190).
        """
        document = decode(data, source=source, limit=MANIFEST_LIMIT)
        fields = Fields(document, source, known=_INDEX_FIELDS)
        stated = checked_type(fields, INDEXES, media_type, default=OCI_INDEX)
        for name in ("layers", "config", "fsLayers"):
            if name in document:
                fields.problem(name, "does not belong in an index")
        if not fields.has("manifests"):
            fields.problem("manifests", "is missing")
        index = cls(
            media_type=stated,
            manifests=fields.objects("manifests", descriptor, known=DESCRIPTOR_FIELDS),
            annotations=fields.table("annotations"),
        )
        fields.raise_problems()
        return index

    def encode(self) -> bytes:
        """Canonical JSON."""
        return encode(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "manifests": [item.document() for item in self.manifests],
                "annotations": dict(self.annotations),
            },
            required=("manifests",),
        )

    def named(self, reference: str, *, source: str) -> tuple[Descriptor, ...]:
        """The manifests that have the name or digest *reference*.

        Raises `UsageError` listing what there is when there is none.
        """
        found = tuple(item for item in self.manifests if reference in _names(item))
        if not found:
            raise UsageError(
                f"has no image {reference}",
                where=source,
                expected="one of " + ", ".join(_label(item) for item in self.manifests),
            )
        return found


_INDEX_FIELDS = (
    "schemaVersion",
    "mediaType",
    "manifests",
    "annotations",
    "subject",
    "artifactType",
    "layers",
    "config",
    "fsLayers",
)
_CONTAINERD_NAME = "io.containerd.image.name"


def _names(item: Descriptor) -> tuple[str | None, ...]:
    annotations = item.annotations
    return (annotations.get(REFERENCE_NAME), annotations.get(_CONTAINERD_NAME), str(item.digest))


def _label(item: Descriptor) -> str:
    name = item.annotations.get(REFERENCE_NAME)
    platform = f" ({item.platform})" if item.platform else ""
    return (f"{name} = " if name else "") + str(item.digest) + platform


def choose(
    manifests: Sequence[Descriptor],
    load: Load,
    *,
    source: str,
    platform: ImagePlatform | None = None,
) -> tuple[Descriptor, Manifest]:
    """The one image manifest on *platform* that *manifests* lead to, through indexes.

    Attestations and other attached artifacts are no images and are passed over. Raises
    `UsageError` listing the images where they are none or several.
    """
    images = {item.digest: item for item in _images(manifests, load, source, above=())}
    fitting = [
        item
        for item in images.values()
        if platform is None or item.platform is None or platform.accepts(item.platform)
    ]
    if len(fitting) != 1:
        raise UsageError(
            f"has {'several images' if fitting else 'no image'}"
            + (f" for {platform}" if platform else ""),
            where=source,
            found=", ".join(_label(item) for item in fitting or images.values()) or "none at all",
            hint="name one by its tag or digest, or say for which platform",
        )
    data = load(fitting[0], MANIFEST_LIMIT)
    where = f"{source} {fitting[0].digest}"
    return fitting[0], Manifest.parse(data, source=where, media_type=fitting[0].media_type)


def _images(
    manifests: Sequence[Descriptor], load: Load, source: str, above: tuple[Digest, ...]
) -> Iterator[Descriptor]:
    if len(manifests) > MANIFESTS_LIMIT or len(above) > DEPTH_LIMIT:
        raise LimitError(
            "index is too large",
            where=source,
            expected=f"at most {MANIFESTS_LIMIT} manifests, indexes at most {DEPTH_LIMIT} deep",
        )
    for item in manifests:
        if item.media_type in MANIFESTS:
            if not _is_attached(item):
                yield item
        elif item.media_type in INDEXES:
            where = f"{source} {item.digest}"
            if item.digest in above:
                raise UnreadableError("the index contains itself", where=where)
            data = load(item, MANIFEST_LIMIT)
            inner = Index.parse(data, source=where, media_type=item.media_type)
            yield from _images(inner.manifests, load, source, (*above, item.digest))


def _is_attached(item: Descriptor) -> bool:
    """Whether a manifest is an attestation of another one (as BuildKit writes) or a referrer."""
    return item.artifact_type is not None or "vnd.docker.reference.type" in item.annotations
