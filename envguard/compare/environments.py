"""Two environments against each other: findings, gaps, and what neither could say.

A section that one side does not state by its nature (a lock has no driver) is listed as not
compared. A section that was seen in part, and a package whose content one side cannot prove, is a
gap: the answer is then never "equal".
"""

from collections.abc import Iterator, Sequence
from typing import Any

from envguard.compare import policy
from envguard.compare.packages import (
    Depth,
    FileDifferences,
    Pair,
    compare_package,
    pair,
    without_seeds,
)
from envguard.compare.unowned import compare_unowned
from envguard.model.artifact import ModelIdentity
from envguard.model.environment import Coverage, Environment, Interpreter, Platform, Section
from envguard.model.findings import Area, Change, Comparison, Finding, Gap, NotCompared

Result = Finding | Gap | NotCompared


def compare(
    before: Environment,
    after: Environment,
    *,
    depth: Depth = Depth.CONTENT,
    file_differences: FileDifferences = lambda before, after: (),
    models: tuple[ModelIdentity | None, ModelIdentity | None] = (None, None),
) -> Comparison:
    """Compare *before* with *after*, area by area; findings are sorted worst first.

    *models* are those that the two sides have.
    """
    pairs, seeds = without_seeds(pair(before.packages.value or (), after.packages.value or ()))
    results: list[Result] = [
        *_own_gaps(before),
        *_own_gaps(after),
        *_models(*models),
        *_interpreters(before.interpreter.value, after.interpreter.value),
        *_platforms(before.platform.value, after.platform.value),
        *_packages(before, after, pairs, depth, file_differences),
        *(compare_unowned(before.unowned, after.unowned) if depth is Depth.CONTENT else ()),
        *_by_choice(depth),
        *seeds,
        *_not_compared(before, after),
    ]
    findings = (result for result in results if isinstance(result, Finding))
    gaps = (result for result in results if isinstance(result, Gap))
    return Comparison(
        before=before.source,
        after=after.source,
        findings=tuple(sorted(findings, key=order)),
        gaps=tuple(dict.fromkeys(gaps)),
        not_compared=tuple(result for result in results if isinstance(result, NotCompared)),
        packages=len(pairs),
    )


def order(finding: Finding) -> tuple[int, bool, str, str]:
    """Worst first, then what the model needs, then by name."""
    return (-finding.severity.rank, not finding.needed, finding.area, finding.subject)


def _models(
    before: ModelIdentity | None, after: ModelIdentity | None
) -> Iterator[Finding | NotCompared]:
    """Whether both sides have the same model, where they have any."""
    match before, after:
        case ModelIdentity(), ModelIdentity() if before.digest != after.digest:
            yield Finding(
                area=Area.ARTIFACT,
                change=Change.CONTENT,
                subject=after.name,
                before=before.digest.short,
                after=after.digest.short,
                severity=policy.severity(Area.ARTIFACT, Change.CONTENT, after.name),
                reason="another model",
                fix="deploy the model that was fingerprinted",
            )
        case (ModelIdentity(name=name), None) | (None, ModelIdentity(name=name)):
            reason = "one side alone has a model"
            yield NotCompared(area=Area.ARTIFACT, subject=name, reason=reason)


def _by_choice(depth: Depth) -> Iterator[NotCompared]:
    if depth is not Depth.CONTENT:
        reason = f"asked to compare by {depth.name.lower()}"
        yield NotCompared(area=Area.PACKAGES, subject="package contents", reason=reason)


def _is_untold(finding: Finding, silent: Environment) -> bool:
    """Whether *silent* lacks a package because it does not list all that it has (a gap)."""
    absent = finding.change in (Change.MISSING, Change.EXTRA)
    return absent and silent.packages.coverage is Coverage.PART


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


def _packages(
    before: Environment,
    after: Environment,
    pairs: Sequence[Pair],
    depth: Depth,
    files: FileDifferences,
) -> Iterator[Finding | Gap]:
    blind = next((side for side in (before, after) if side.packages.value is None), None)
    if blind is not None:
        reason = blind.packages.reason or "its packages could not be read"
        yield Gap(area=Area.PACKAGES, subject=blind.source, reason=reason)
        return
    if not pairs:
        reason = "neither side has any package, so nothing was compared"
        yield Gap(area=Area.PACKAGES, subject=after.source, reason=reason)
    told = {gap.subject for gap in (*before.gaps, *after.gaps)}
    for old, new in pairs:
        for result in compare_package(old, new, depth, files):
            # A side that knows why it cannot tell has said so already.
            if isinstance(result, Gap) and result.subject in told:
                continue
            if isinstance(result, Finding) and _is_untold(result, before if old is None else after):
                continue
            yield result


def _interpreters(before: Interpreter | None, after: Interpreter | None) -> Iterator[Finding]:
    if before is None or after is None:
        return
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


def _platforms(before: Platform | None, after: Platform | None) -> Iterator[Finding]:
    if before is None or after is None:
        return
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
