"""The story of ``envguard diff``: read both sides, compare, judge for the model."""

from dataclasses import dataclass, replace

from envguard.artifacts.limits import Limits
from envguard.compare import policy
from envguard.compare.environments import compare, order
from envguard.compare.needs import needed_packages
from envguard.compare.packages import Depth
from envguard.model.artifact import Artifact, ModelIdentity
from envguard.model.environment import Environment
from envguard.model.errors import ExitCode, UsageError
from envguard.model.findings import Area, Comparison, NotCompared, Severity, worst
from envguard.model.progress import Progress, silent
from envguard.sources import reading, sides
from envguard.sources.locators import FingerprintFile, Model, locate


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The comparison, and the name of the model that it was judged for."""

    comparison: Comparison
    model: str | None = None

    def exit_code(
        self, *, fail_on: Severity = Severity.WARNING, allow_incomplete: bool = False
    ) -> ExitCode:
        """1 for a finding at or above *fail_on*, else 3 for a gap, else 0."""
        found = worst(self.comparison.findings)
        if found is not None and found.rank >= fail_on.rank:
            return ExitCode.MISMATCH
        if self.comparison.gaps and not allow_incomplete:
            return ExitCode.UNREADABLE
        return ExitCode.OK


def diff(
    before: str,
    after: str,
    *,
    model: str | None = None,
    depth: Depth = Depth.CONTENT,
    verify_files: bool = True,
    offline: bool = False,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> Difference:
    """Compare two environments, given as locators.

    A lock is selected for the other side's Python and platform. Where one side has content and
    the other is a lock, the lock's wheels are fetched into the vault to compare byte by byte.
    With *model*, or where a side is a fingerprint, the findings are judged for that model.

    Raises `UsageError` for what cannot be compared, `UnreadableError` for what is damaged.
    """
    access = reading.Access(
        offline=offline, verify_files=verify_files, limits=limits, progress=progress
    )
    left, right = (sides.open_side(locate(text), access, source=text) for text in (before, after))
    old, new = sides.matched(left, right, access, contents=depth is Depth.CONTENT)
    comparison = compare(
        old,
        new,
        depth=depth,
        file_differences=lambda a, b: sides.file_differences((left, a), (right, b), access),
        models=(_model_of(left), _model_of(right)),
    )
    if not verify_files:
        comparison = _believing_record(comparison)
    artifact = _model(model, access) or _artifact(left) or _artifact(right)
    if artifact is None:
        return Difference(comparison=comparison)
    return Difference(comparison=judged(comparison, artifact, old, new), model=artifact.name)


def judged(comparison: Comparison, artifact: Artifact, *environments: Environment) -> Comparison:
    """*comparison* with severities that follow what *artifact* needs in any of *environments*."""
    known = [
        names
        for environment in environments
        if (names := needed_packages(artifact, environment)) is not None
    ]
    if not known:
        return comparison
    needed = frozenset().union(*known)
    findings = (policy.judged_for_model(finding, needed) for finding in comparison.findings)
    return replace(comparison, findings=tuple(sorted(findings, key=order)))


def _believing_record(comparison: Comparison) -> Comparison:
    believed = NotCompared(
        area=Area.PACKAGES, subject="installed files", reason="asked to believe RECORD"
    )
    return replace(comparison, not_compared=(believed, *comparison.not_compared))


def _model_of(side: sides.Side) -> ModelIdentity | None:
    return side.model if isinstance(side, sides.Stated) else None


def _artifact(side: sides.Side) -> Artifact | None:
    return side.artifact if isinstance(side, sides.Stated) else None


def _model(model: str | None, access: reading.Access) -> Artifact | None:
    if model is None:
        return None
    match locate(model):
        case Model(path=path):
            return reading.artifact(path, access)
        case FingerprintFile(path=path):
            return reading.fingerprint(path).artifact
        case _:
            raise UsageError(
                "is neither a model nor a fingerprint", where=model, hint="give --model a model"
            )
