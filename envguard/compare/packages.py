"""Two sides' packages against each other: by version, by build, by content."""

import re
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum

from envguard.compare import policy
from envguard.model.digest import Digest
from envguard.model.findings import Area, Change, Finding, Gap, NotCompared
from envguard.model.package import Index, Package

FileDifferences = Callable[[Package, Package], tuple[str, ...]]
"""Names the single files in which two builds of a package differ, as far as both sides know."""


class Depth(IntEnum):
    """How deep packages are compared; each depth includes those before it."""

    VERSION = 1
    BUILD = 2
    CONTENT = 3


Pair = tuple[Package | None, Package | None]

_SEEDS = {
    "pip": frozenset({"pip"}),
    "setuptools": frozenset({"setuptools", "pkg_resources", "_distutils_hack"}),
    "wheel": frozenset({"wheel"}),
}
"""Installers, and the modules that each of them has: a package is not one by its name alone."""
_REQUIRED_NAME = re.compile(r"[A-Za-z0-9._-]+")


def pair(before: Sequence[Package], after: Sequence[Package]) -> list[Pair]:
    """The packages of both sides by ecosystem and name, sorted."""
    old = {(package.ecosystem, package.name): package for package in before}
    new = {(package.ecosystem, package.name): package for package in after}
    return [(old.get(key), new.get(key)) for key in sorted(old.keys() | new.keys())]


def without_seeds(pairs: Sequence[Pair]) -> tuple[list[Pair], list[NotCompared]]:
    """*pairs* without installers that one side alone has and nothing requires.

    ``python -m venv`` puts pip (and setuptools, before Python 3.12) into every environment,
    ``uv venv`` does not, and no lock of an application names them. Where both sides have one, or
    a package requires it, it is compared like any other.
    """
    required = {
        match[0].lower()
        for both in pairs
        for package in both
        if package
        for text in package.requires
        if (match := _REQUIRED_NAME.match(text)) and "extra ==" not in text
    }
    kept: list[Pair] = []
    left_out: list[NotCompared] = []
    for before, after in pairs:
        only = after if before is None else before if after is None else None
        if only and _is_seed(only) and only.name not in required:
            reason = "an installer that one side alone has, and nothing requires it"
            subject = f"{only.name} {only.version}"
            left_out.append(NotCompared(area=Area.PACKAGES, subject=subject, reason=reason))
        else:
            kept.append((before, after))
    return kept, left_out


def _is_seed(package: Package) -> bool:
    modules = _SEEDS.get(package.name)
    return modules is not None and modules.issuperset(package.modules) and not package.modified


def compare_package(
    before: Package | None, after: Package | None, depth: Depth, files: FileDifferences
) -> Iterator[Finding | Gap]:
    """The differences of one package, the shallowest kind only, and what could not be told."""
    match before, after:
        case None, Package():
            yield _finding(Change.EXTRA, after, None, after.version, "only the second side has it")
        case Package(), None:
            reason = "the second side does not have it"
            yield _finding(Change.MISSING, before, before.version, None, reason)
        case Package(), Package():
            yield from _versions(before, after, depth, files)


def same_version(before: str | None, after: str | None) -> bool:
    """Whether two version texts name one version; local versions count (PEP 440)."""
    if before == after or before is None or after is None:
        return before == after
    from packaging.version import InvalidVersion, Version

    try:
        return Version(before) == Version(after)
    except InvalidVersion:
        return False


def _versions(
    before: Package, after: Package, depth: Depth, files: FileDifferences
) -> Iterator[Finding | Gap]:
    if not same_version(before.version, after.version):
        reason = "another version"
        yield _finding(Change.VERSION, before, before.version, after.version, reason)
    elif depth is Depth.VERSION:
        return
    elif _rebuilt(before, after):
        reason = "another wheel of the same version"
        yield _finding(Change.BUILD, before, before.build, after.build, reason)
    else:
        if _moved(before, after):
            reason = "the same version from elsewhere"
            yield _finding(Change.ORIGIN, before, _origin(before), _origin(after), reason)
        if depth is Depth.CONTENT:
            yield from _contents(before, after, files)


def _rebuilt(before: Package, after: Package) -> bool:
    """Whether both sides say which wheel they have, and it is not the same.

    The same content is the same build, whatever tags an installed WHEEL file claims.
    """
    if before.content is not None and before.content == after.content:
        return False
    return bool(before.build and after.build and before.build != after.build)


def _moved(before: Package, after: Package) -> bool:
    """Whether both sides name a source, and not both of them an index."""
    old, new = before.origin, after.origin
    if old is None or new is None or old == new:
        return False
    return not (isinstance(old, Index) and isinstance(new, Index))


def _origin(package: Package) -> str:
    url = package.origin.url if package.origin else None
    return url or "index"


def _contents(before: Package, after: Package, files: FileDifferences) -> Iterator[Finding | Gap]:
    modified = tuple(dict.fromkeys(before.modified + after.modified))
    if before.content and after.content and before.content != after.content:
        old, new = f"content {before.content.short}", f"content {after.content.short}"
        changed_in_place = "files were changed after they were installed"
        reason = changed_in_place if modified else "the same version with other bytes"
        details = files(before, after) or modified
        yield _finding(Change.CONTENT, before, old, new, reason, details)
    elif modified:
        reason = "files were changed after they were installed"
        changed = f"{len(modified)} changed"
        yield _finding(Change.CONTENT, before, "as installed", changed, reason, modified)
    if before.content is None or after.content is None:
        yield from _pins(before, after)


def _pins(before: Package, after: Package) -> Iterator[Finding | Gap]:
    """Two packages whose contents are not both known, by the archives they are pinned to."""
    old, new = _digests(before), _digests(after)
    shared = old.keys() & new.keys()
    differing = sorted(algorithm for algorithm in shared if not _agree(old, new, algorithm))
    if differing:
        algorithm = differing[0]
        reason = "pinned to other files of the same version"
        pins = (_pin(old[algorithm]), _pin(new[algorithm]))
        yield _finding(Change.CONTENT, before, *pins, reason)
    elif not shared:
        side = "first" if before.content is None else "second"
        yield Gap(
            area=Area.PACKAGES,
            subject=f"{before.name} {before.version}",
            reason=f"the {side} side does not tell its content, so bytes were not compared",
            fix="compare with --by build, or with a side that tells it",
        )


def _digests(package: Package) -> dict[str, frozenset[Digest]]:
    """The digests of a package's archives by algorithm."""
    pins = [digest for archive in package.archives for digest in archive.digests]
    algorithms = {digest.algorithm for digest in pins}
    return {name: frozenset(pin for pin in pins if pin.algorithm == name) for name in algorithms}


def _agree(
    old: dict[str, frozenset[Digest]], new: dict[str, frozenset[Digest]], algorithm: str
) -> bool:
    """Whether both sides accept the same files.

    Hashed requirements list all files of a release, a selected wheel is one of them; but two such
    lists must be the same, or one side accepts a file that the other does not.
    """
    before, after = old[algorithm], new[algorithm]
    if len(before) == 1 or len(after) == 1:
        return before <= after or after <= before
    return before == after


def _pin(digests: frozenset[Digest]) -> str:
    more = f" and {len(digests) - 1} more" if len(digests) > 1 else ""
    return f"{min(digests).short}{more}"


def _finding(  # noqa: PLR0917
    change: Change,
    package: Package,
    before: str | None,
    after: str | None,
    reason: str,
    details: tuple[str, ...] = (),
) -> Finding:
    return Finding(
        area=Area.PACKAGES,
        change=change,
        subject=package.name,
        before=before,
        after=after,
        severity=policy.severity(Area.PACKAGES, change, package.name),
        reason=reason,
        fix=_fix(change, package),
        details=details,
    )


def _fix(change: Change, package: Package) -> str:
    match change:
        case Change.VERSION | Change.MISSING:
            return f"install {package.name}=={package.version}"
        case Change.EXTRA:
            return f"remove {package.name}, or lock it"
        case _:
            return f"reinstall {package.name} from the lock"
