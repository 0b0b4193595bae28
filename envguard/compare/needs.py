"""Which packages of an environment a model needs: those it loads, and what they require."""

import sys
from collections.abc import Iterator

from envguard.compare.packages import same_version
from envguard.model.artifact import Artifact, Loads, Where, WrittenBy
from envguard.model.environment import Environment
from envguard.model.findings import Area, Change, Finding, Gap, Severity
from envguard.model.package import Package


def needed_packages(artifact: Artifact, environment: Environment) -> frozenset[str] | None:
    """The names of the packages that *artifact* needs, or ``None`` when that cannot be told.

    A package is needed when the model loads a module that it provides or states that it wrote
    the model, and when a needed package requires it: always (other markers than extras count as
    true: too many rather than too few), or for an extra that is asked for. Not knowable when part
    of the model was not understood, or when no package says which modules it provides.
    """
    packages = {package.name: package for package in environment.packages.value or ()}
    if artifact.gaps or not packages or not any(p.modules for p in packages.values()):
        return None
    found: set[tuple[str, str]] = set()
    queue = [(name, "") for name in _direct(artifact, packages)]
    while queue:
        wanted = queue.pop()
        if wanted not in found:
            found.add(wanted)
            queue += _required(packages.get(wanted[0]), extra=wanted[1])
    return frozenset(name for name, _ in found)


def contradictions(
    artifact: Artifact, environment: Environment
) -> tuple[tuple[Finding, ...], tuple[Gap, ...]]:
    """Where a model cannot be from *environment*: findings, and what nobody there provides: gaps.

    A finding is a stated writer in another version. Nothing is said about modules when no package
    tells which it provides.
    """
    packages = {package.name: package for package in environment.packages.value or ()}
    findings = [
        _other_writer(need, packages[need.distribution])
        for need in artifact.needs
        if isinstance(need, WrittenBy)
        and need.distribution in packages
        and not same_version(need.version, packages[need.distribution].version)
    ]
    provided = {module for package in packages.values() for module in package.modules}
    loaded = {
        need.module.partition(".")[0]: need.where
        for need in reversed(artifact.needs)
        if isinstance(need, Loads)
    }
    unprovided = loaded.keys() - provided - sys.stdlib_module_names if provided else set()
    gaps = [_unprovided(module, loaded[module]) for module in sorted(unprovided)]
    return tuple(dict.fromkeys(findings)), tuple(gaps)


def _other_writer(need: WrittenBy, package: Package) -> Finding:
    return Finding(
        area=Area.ARTIFACT,
        change=Change.VERSION,
        subject=need.distribution,
        before=need.version,
        after=package.version,
        severity=Severity.ERROR,
        reason=f"the model says that it was written by {need.version} ({need.where})",
        fix="name the lock and environment that the model was trained with",
        needed=True,
    )


def _unprovided(module: str, where: Where) -> Gap:
    own = module == "__main__"
    return Gap(
        area=Area.ARTIFACT,
        subject=module,
        reason=f"the model loads it ({where}), and no locked package provides it",
        fix="move what the training script defines into a module that is installed"
        if own
        else "lock the package that provides it",
    )


def _direct(artifact: Artifact, packages: dict[str, Package]) -> Iterator[str]:
    providers: dict[str, list[str]] = {}
    for package in packages.values():
        for module in package.modules:
            providers.setdefault(module, []).append(package.name)
    for need in artifact.needs:
        match need:
            case Loads(module=module):
                yield from providers.get(module.partition(".")[0], ())
            case WrittenBy(distribution=distribution):
                yield distribution


def _required(package: Package | None, *, extra: str) -> Iterator[tuple[str, str]]:
    """What *package* requires with *extra* (empty: without any), as names with an extra each."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for text in package.requires if package else ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if marker and "extra" in str(marker) and not marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            yield canonicalize_name(requirement.name), wanted
