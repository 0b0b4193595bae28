"""Two sides' packages against each other: by version, by build, by content."""

import re
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum

from envguard.compare import policy
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

_SEEDS = frozenset({"pip", "setuptools", "wheel"})
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
        if only and only.name in _SEEDS and only.name not in required:
            reason = "an installer that one side alone has, and nothing requires it"
            subject = f"{only.name} {only.version}"
            left_out.append(NotCompared(area=Area.PACKAGES, subject=subject, reason=reason))
        else:
            kept.append((before, after))
    return kept, left_out


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
    elif before.build and after.build and before.build != after.build:
        reason = "another wheel of the same version"
        yield _finding(Change.BUILD, before, before.build, after.build, reason)
    else:
        if _moved(before, after):
            reason = "the same version from elsewhere"
            yield _finding(Change.ORIGIN, before, _origin(before), _origin(after), reason)
        if depth is Depth.CONTENT:
            yield from _contents(before, after, files)


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
    old = {digest for archive in before.archives for digest in archive.digests}
    new = {digest for archive in after.archives for digest in archive.digests}
    if old and new and old.isdisjoint(new):
        reason = "pinned to another file of the same version"
        pins = (f"{min(old).short} ...", f"{min(new).short} ...")
        yield _finding(Change.CONTENT, before, *pins, reason)
    elif not old or not new:
        side = "first" if before.content is None else "second"
        yield Gap(
            area=Area.PACKAGES,
            subject=f"{before.name} {before.version}",
            reason=f"the {side} side does not tell its content, so bytes were not compared",
            fix="compare with --by build, or with a side that tells it",
        )


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
