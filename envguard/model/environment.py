"""What IS there: an interpreter, a platform and packages, each saying how much of it was seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from envguard.model.digest import Digest
from envguard.model.findings import Gap
from envguard.model.package import Package

T = TypeVar("T")


class Coverage(StrEnum):
    """How much of a section was seen."""

    ALL = "all"
    PART = "part"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section(Generic[T]):
    """A part of an environment with its coverage; *reason* says why it is not ``ALL``."""

    value: T | None
    coverage: Coverage
    reason: str | None = None

    @classmethod
    def seen(cls, value: T) -> "Section[T]":
        """A section that was seen whole."""
        return cls(value=value, coverage=Coverage.ALL)

    @classmethod
    def partly(cls, value: T, reason: str) -> "Section[T]":
        """A section of which a part was seen."""
        return cls(value=value, coverage=Coverage.PART, reason=reason)

    @classmethod
    def unseen(cls, reason: str) -> "Section[T]":
        """A section that this source does not state at all."""
        return cls(value=None, coverage=Coverage.NONE, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python. *version* is full (``3.11.7``) or as much of it as the source states (``3.11``)."""

    implementation: str
    version: str
    abi: str | None = None
    """SOABI, for example ``cpython-311-x86_64-linux-gnu``."""
    free_threaded: bool = False
    debug: bool = False

    @property
    def minor(self) -> str:
        """``3.11`` of ``3.11.7``."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Libc:
    """A C library: *family* is ``glibc`` or ``musl``, *version* for example ``2.36``."""

    family: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """*os* as in OCI (``linux``), *machine* as in wheel tags (``x86_64``, ``aarch64``)."""

    os: str
    machine: str
    libc: Libc | None = None
    distribution: str | None = None
    """``ID VERSION_ID`` of os-release, for example ``debian 12``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A GPU stack: the driver's version and the names of the devices."""

    kind: str
    driver: str | None = None
    devices: tuple[str, ...] = ()


class UnownedKind(StrEnum):
    """What a file that no package owns does."""

    HOOK = "hook"
    """Runs whenever this Python starts."""
    SHADOW = "shadow"
    """Can be imported in place of what a package installed."""
    MODULE = "module"
    """Can be imported, or makes other folders importable."""
    BYTECODE = "bytecode"
    """Can run in place of source that anybody could read."""
    MAKER = "maker"
    """Looks like what the maker of the environment writes into it."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnownedFile:
    """A file in a site folder that belongs to no package, or a folder that holds such files only.

    *path* is normalised as in `envguard.formats.record` (``lib/sklearn.py``), or absolute for
    what lies in a folder that a .pth file adds. *digest* is over the bytes (of a folder: over all
    files in it), ``None`` where they could not be read. *why* says what it is, for people.
    """

    path: str
    kind: UnownedKind
    why: str
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment as one source states it.

    *source* is the locator text for people; *packages* are sorted by ecosystem and name;
    *variables* are the chosen environment variables; *gaps* name single things inside a section
    that could not be read; *unowned* are files that can be imported and that no package owns,
    sorted by path.
    """

    source: str
    interpreter: Section[Interpreter]
    platform: Section[Platform]
    packages: Section[tuple[Package, ...]]
    accelerator: Section[Accelerator] = field(
        default_factory=lambda: Section[Accelerator].unseen("not looked for")
    )
    variables: Section[Mapping[str, str]] = field(
        default_factory=lambda: Section[Mapping[str, str]].unseen("not looked for")
    )
    gaps: tuple[Gap, ...] = ()
    unowned: tuple[UnownedFile, ...] = ()
