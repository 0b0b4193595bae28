"""What a comparison says: findings, gaps and the verdict that follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is, in SARIF's words (SARIF 2.1.0, 3.27.10)."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for a note, 2 for an error."""
        return (Severity.NOTE, Severity.WARNING, Severity.ERROR).index(self)

    def lowered(self) -> "Severity":
        """One step less severe; a note stays a note."""
        return (Severity.NOTE, Severity.NOTE, Severity.WARNING)[self.rank]


class Area(StrEnum):
    """The part of an environment that a finding or gap is about."""

    INTERPRETER = "interpreter"
    PLATFORM = "platform"
    PACKAGES = "packages"
    ACCELERATOR = "accelerator"
    VARIABLES = "variables"
    ARTIFACT = "artifact"


class Change(StrEnum):
    """The kind of difference."""

    MISSING = "missing"
    EXTRA = "extra"
    VERSION = "version"
    BUILD = "build"
    CONTENT = "content"
    ORIGIN = "origin"
    UNOWNED = "unowned"
    """A file that no package installed, and that Python would run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference: *before* is the first side, *after* the second."""

    area: Area
    change: Change
    subject: str
    before: str | None
    after: str | None
    severity: Severity
    reason: str
    fix: str | None = None
    needed: bool | None = None
    """Whether the model needs the subject; ``None`` where no model was asked about."""
    details: tuple[str, ...] = ()
    """The single files or fields that differ, worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that should have been seen and was not."""

    area: Area
    subject: str
    reason: str
    fix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCompared:
    """Something that was left out by rule, not for want of looking: no gap, but said."""

    area: Area
    subject: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two environments differ in, what could not be told, and what was left out by rule."""

    before: str
    after: str
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    not_compared: tuple[NotCompared, ...]
    packages: int
    """How many packages were looked at on both sides together, each name once."""

    @property
    def equal(self) -> bool:
        """Whether nothing at all was found and everything was seen."""
        return not self.findings and not self.gaps


class Outcome(StrEnum):
    """The four answers of a verdict."""

    SAME = "same"
    CHANGES = "changes"
    BREAKS = "breaks"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An outcome with everything that led to it."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()


def worst(findings: Iterable[Finding]) -> Severity | None:
    """The highest severity among *findings*, or ``None`` when there are none."""
    return max((f.severity for f in findings), key=lambda s: s.rank, default=None)
