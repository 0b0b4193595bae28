"""Which packages of an environment a model needs: those it loads, and what they require."""

from collections.abc import Iterator

from envguard.model.artifact import Artifact, Loads, WrittenBy
from envguard.model.environment import Environment
from envguard.model.package import Package


def needed_packages(artifact: Artifact, environment: Environment) -> frozenset[str] | None:
    """The names of the packages that *artifact* needs, or ``None`` when that cannot be told.

    A package is needed when the model loads a module that it provides or states that it wrote
    the model, and when a needed package requires it (extras and markers count as required: too
    many rather than too few). Not knowable when part of the model was not understood, or when
    no package says which modules it provides.
    """
    packages = {package.name: package for package in environment.packages.value or ()}
    if artifact.gaps or not packages or not any(p.modules for p in packages.values()):
        return None
    found: set[str] = set()
    queue = list(_direct(artifact, packages))
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += _required(packages.get(name))
    return frozenset(found)


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


def _required(package: Package | None) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for text in package.requires if package else ():
        try:
            yield canonicalize_name(Requirement(text).name)
        except InvalidRequirement:
            continue
