"""Which packages of an environment a model needs: those it loads, and what they require."""

from collections.abc import Iterator

from envguard.model.artifact import Artifact, Loads, WrittenBy
from envguard.model.environment import Environment
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
