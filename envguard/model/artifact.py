"""The files of a model, and what they demand of the environment that loads them."""

from dataclasses import dataclass

from msgspec import Struct

from envguard.model.digest import Digest
from envguard.model.findings import Gap


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Where:
    """Where in the artifact something was read: file, member of an archive, byte offset."""

    path: str
    member: str | None = None
    offset: int | None = None

    def __str__(self) -> str:
        member = f"!{self.member}" if self.member else ""
        return f"{self.path}{member}" + ("" if self.offset is None else f"@{self.offset}")


class WrittenBy(Struct, frozen=True, kw_only=True, tag="written-by"):
    """The model states that this *version* of *distribution* wrote it."""

    distribution: str
    version: str
    where: Where


class Loads(Struct, frozen=True, kw_only=True, tag="loads"):
    """Loading the model imports *module* and looks up *name* (dotted) in it."""

    module: str
    name: str
    where: Where


class Revision(Struct, frozen=True, kw_only=True, tag="revision"):
    """The model is in *revision* of *format*, for example pickle protocol 5."""

    format: str
    revision: str
    where: Where


Need = WrittenBy | Loads | Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """One file: its path in the model with ``/``, size in bytes, digest, and executable bit."""

    path: str
    size: int
    digest: Digest
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which model one side of a comparison has: its name for people, and its digest."""

    name: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A model: its manifest (sorted by path), the kinds of files in it, its needs, and gaps.

    *digest* is over the manifest alone, so it does not depend on order, workers, clocks or
    where the model lies (see `envguard.artifacts.manifest`).
    """

    name: str
    digest: Digest
    manifest: tuple[ManifestEntry, ...]
    kinds: tuple[str, ...]
    needs: tuple[Need, ...]
    gaps: tuple[Gap, ...] = ()

    @property
    def identity(self) -> ModelIdentity:
        """Its name and digest."""
        return ModelIdentity(name=self.name, digest=self.digest)

    @property
    def size(self) -> int:
        """Bytes in all files together."""
        return sum(entry.size for entry in self.manifest)
