"""Two environments against each other: findings, gaps, and what neither could say.

A section that one side does not state by its nature (a lock has no driver) is listed as not
compared. A section that was seen in part, and a package whose content one side cannot prove, is a
gap: the answer is then never "equal".
"""

from collections.abc import Iterator
from typing import Any

from envguard.compare import policy
from envguard.compare.packages import (
    Depth,
    FileDifferences,
    compare_package,
    pair,
    without_seeds,
)
from envguard.model.artifact import Artifact
from envguard.model.environment import Coverage, Environment, Interpreter, Platform, Section
from envguard.model.findings import Area, Change, Comparison, Finding, Gap, NotCompared


def compare(
    before: Environment,
    after: Environment,
    *,
    depth: Depth = Depth.CONTENT,
    file_differences: FileDifferences = lambda before, after: (),
) -> Comparison:
    """Compare *before* with *after*, area by area; findings are sorted worst first."""
    findings: list[Finding] = []
    gaps = [*_own_gaps(before), *_own_gaps(after)]
    if before.interpreter.value and after.interpreter.value:
        findings += _interpreters(before.interpreter.value, after.interpreter.value)
    if before.platform.value and after.platform.value:
        findings += _platforms(before.platform.value, after.platform.value)
    pairs, seeds = without_seeds(pair(before.packages.value or (), after.packages.value or ()))
    if before.packages.value is None or after.packages.value is None:
        gaps.append(_packages_unseen(before, after))
    else:
        for old, new in pairs:
            for result in compare_package(old, new, depth, file_differences):
                if isinstance(result, Gap):
                    # A side that knows why it cannot tell has said so already.
                    if all(gap.subject != result.subject for gap in gaps):
                        gaps.append(result)
                elif not _is_untold(result, before if old is None else after):
                    findings.append(result)
    return Comparison(
        before=before.source,
        after=after.source,
        findings=tuple(sorted(findings, key=order)),
        gaps=tuple(dict.fromkeys(gaps)),
        not_compared=(*_by_choice(depth), *seeds, *_not_compared(before, after)),
        packages=len(pairs),
    )


def compare_models(before: Artifact | None, after: Artifact | None) -> Finding | NotCompared | None:
    """What two sides' models differ in: nothing where they are the same or there is none."""
    if before is None and after is None:
        return None
    if before is None or after is None:
        known = before or after
        reason = "one side alone holds a model"
        return NotCompared(area=Area.ARTIFACT, subject=known.name if known else "", reason=reason)
    if before.digest == after.digest:
        return None
    return Finding(
        area=Area.ARTIFACT,
        change=Change.CONTENT,
        subject=after.name,
        before=f"{before.name} {before.digest.short}",
        after=f"{after.name} {after.digest.short}",
        severity=policy.severity(Area.ARTIFACT, Change.CONTENT, after.name),
        reason="another model",
        fix="deploy the model that was fingerprinted",
    )


def _by_choice(depth: Depth) -> Iterator[NotCompared]:
    if depth is not Depth.CONTENT:
        reason = f"asked to compare by {depth.name.lower()}"
        yield NotCompared(area=Area.PACKAGES, subject="package contents", reason=reason)


def _is_untold(finding: Finding, silent: Environment) -> bool:
    """Whether *silent* lacks a package because it does not list all that it has (a gap)."""
    absent = finding.change in (Change.MISSING, Change.EXTRA)
    return absent and silent.packages.coverage is Coverage.PART


def order(finding: Finding) -> tuple[int, bool, str, str]:
    """Worst first, then what the model needs, then by name."""
    return (-finding.severity.rank, not finding.needed, finding.area, finding.subject)


def _own_gaps(environment: Environment) -> Iterator[Gap]:
    yield from environment.gaps
    for area, section in _sections(environment).items():
        if section.coverage is Coverage.PART:
            yield Gap(area=area, subject=environment.source, reason=section.reason or "")


def _not_compared(before: Environment, after: Environment) -> Iterator[NotCompared]:
    """The areas, packages aside, that a side does not state."""
    old, new = _sections(before), _sections(after)
    for area in (area for area in old if area is not Area.PACKAGES):
        if old[area].value is None or new[area].value is None:
            reason = old[area].reason or new[area].reason or "not stated"
            yield NotCompared(area=area, subject=area, reason=reason)


def _sections(environment: Environment) -> dict[Area, Section[Any]]:
    return {
        Area.INTERPRETER: environment.interpreter,
        Area.PLATFORM: environment.platform,
        Area.PACKAGES: environment.packages,
        Area.ACCELERATOR: environment.accelerator,
        Area.VARIABLES: environment.variables,
    }


def _packages_unseen(before: Environment, after: Environment) -> Gap:
    blind = before if before.packages.value is None else after
    return Gap(
        area=Area.PACKAGES,
        subject=blind.source,
        reason=blind.packages.reason or "its packages could not be read",
    )


def _interpreters(before: Interpreter, after: Interpreter) -> Iterator[Finding]:
    yield from _field(
        Area.INTERPRETER, "implementation", before.implementation, after.implementation
    )
    if before.minor != after.minor:
        yield from _field(Area.INTERPRETER, "python", before.version, after.version)
    elif _both_full(before.version, after.version):
        yield from _field(Area.INTERPRETER, "python patch", before.version, after.version)
    if before.abi and after.abi:
        yield from _field(Area.INTERPRETER, "abi", before.abi, after.abi)
    flags = (before.free_threaded, before.debug), (after.free_threaded, after.debug)
    yield from _field(Area.INTERPRETER, "build flags", _flags(*flags[0]), _flags(*flags[1]))


def _both_full(*versions: str) -> bool:
    return all(version.count(".") >= 2 for version in versions)


def _flags(free_threaded: bool, debug: bool) -> str:
    names = [name for name, on in (("free-threaded", free_threaded), ("debug", debug)) if on]
    return " ".join(names) or "default"


def _platforms(before: Platform, after: Platform) -> Iterator[Finding]:
    yield from _field(Area.PLATFORM, "operating system", before.os, after.os)
    yield from _field(Area.PLATFORM, "architecture", before.machine, after.machine)
    if before.libc and after.libc:
        yield from _field(Area.PLATFORM, "libc", before.libc.family, after.libc.family)
        if before.libc.family == after.libc.family:
            old, new = (f"{libc.family} {libc.version}" for libc in (before.libc, after.libc))
            yield from _field(Area.PLATFORM, "libc version", old, new)
    if before.distribution and after.distribution:
        yield from _field(Area.PLATFORM, "distribution", before.distribution, after.distribution)


_REASONS = {
    "python": "another language version, with another ABI",
    "python patch": "another patch release: fixes can change behaviour",
    "libc version": "wheels are checked against it where they are installed",
}


def _field(area: Area, subject: str, before: str, after: str) -> Iterator[Finding]:
    if before != after:
        yield Finding(
            area=area,
            change=Change.VERSION,
            subject=subject,
            before=before,
            after=after,
            severity=policy.severity(area, Change.VERSION, subject),
            reason=_REASONS.get(subject, f"{subject} differs"),
        )
