"""What a build made."""

from dataclasses import dataclass

from envguard.model.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltLayer:
    """One layer that this build added; *size* in bytes as stored."""

    title: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An image: *digest* is its manifest's, *image_id* its configuration's."""

    digest: Digest
    image_id: Digest
    platform: str
    size: int
    layers: tuple[BuiltLayer, ...]
    proved: bool
    written: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What is not wrong and yet worth knowing, for example another patch release of Python."""
