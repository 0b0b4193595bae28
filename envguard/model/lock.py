"""What MAY be installed: pinned packages with the conditions under which each is chosen."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from envguard.model.digest import Digest
from envguard.model.environment import Environment, Section
from envguard.model.errors import MismatchError
from envguard.model.findings import Area, Gap
from envguard.model.package import Archive, Package
from envguard.model.target import Target

if TYPE_CHECKING:
    from packaging.tags import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class LockEntry:
    """A pinned package that is chosen where *marker* and *requires_python* hold."""

    package: Package
    marker: str | None = None
    requires_python: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock of any format. *digest* identifies its meaning, not its layout (see the reader)."""

    source: str
    digest: Digest
    entries: tuple[LockEntry, ...]
    requires_python: str | None = None
    environments: tuple[str, ...] = ()
    """Markers, one of which must hold where the lock is used; none means anywhere."""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    default_groups: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    """Lines that pin nothing, for example an unpinned requirement."""

    def select(
        self,
        target: Target,
        *,
        extras: Collection[str] = (),
        groups: Collection[str] | None = None,
    ) -> Environment:
        """The environment that this lock selects on *target*.

        Every selected package keeps the one archive that would be installed there: the wheel
        with the best tag, else the source distribution. Source: PEP 751, "Installation".

        Raises `MismatchError` when the lock does not allow *target* or selects a package twice.
        """
        values: dict[str, str | frozenset[str]] = {
            **target.marker_environment(),  # type: ignore[dict-item]
            "extras": frozenset(extras),
            "dependency_groups": frozenset(self.default_groups if groups is None else groups),
        }
        self._check_target(target, values)
        tags = list(target.tags())
        chosen: dict[str, Package] = {}
        for entry in self._applicable(target, values):
            package = entry.package
            if package.name in chosen:
                raise MismatchError(
                    f"{package.name} is selected more than once",
                    where=self.source,
                    expected="one entry for each package",
                    found=f"{chosen[package.name].version} and {package.version}",
                    hint="markers of the two entries overlap: make the lock again",
                )
            chosen[package.name] = _with_best_archive(package, tags, self.source)
        return Environment(
            source=self.source,
            interpreter=Section.seen(target.interpreter),
            platform=Section.seen(target.platform),
            packages=self._section(tuple(chosen[name] for name in sorted(chosen))),
            gaps=self.gaps,
        )

    def _section(self, packages: tuple[Package, ...]) -> Section[tuple[Package, ...]]:
        """What is pinned is all that there is, unless a line pins nothing."""
        if not self.gaps:
            return Section.seen(packages)
        return Section.partly(packages, "does not pin every requirement, so more may be installed")

    def _check_target(self, target: Target, values: dict[str, str | frozenset[str]]) -> None:
        from packaging.markers import Marker

        if not _python_allowed(self.requires_python, target):
            raise MismatchError(
                "the lock is for another Python",
                where=self.source,
                expected=f"Python {self.requires_python}",
                found=f"Python {target.interpreter.version}",
                hint="lock again with this Python among the targets",
            )
        if self.environments and not any(
            Marker(text).evaluate(values, context="lock_file") for text in self.environments
        ):
            raise MismatchError(
                "the lock is for other platforms",
                where=self.source,
                expected=" or ".join(self.environments),
                found=f"Python {target.interpreter.version} on {target.platform_tag}",
                hint="lock again with this platform among the targets",
            )

    def _applicable(
        self, target: Target, values: dict[str, str | frozenset[str]]
    ) -> Iterator[LockEntry]:
        from packaging.markers import Marker

        for entry in self.entries:
            if entry.marker and not Marker(entry.marker).evaluate(values, context="lock_file"):
                continue
            if not _python_allowed(entry.requires_python, target):
                raise MismatchError(
                    f"{entry.package.name} is locked for another Python",
                    where=self.source,
                    expected=f"Python {entry.requires_python}",
                    found=f"Python {target.interpreter.version}",
                )
            yield entry


def unpinned(source: str, requirement: str) -> Gap:
    """The gap that a requirement without an exact version leaves in a lock."""
    return Gap(
        area=Area.PACKAGES,
        subject=requirement,
        reason=f"{source} does not pin it to one version",
        fix="lock it with `envguard lock`",
    )


def _python_allowed(specifier: str | None, target: Target) -> bool:
    from packaging.specifiers import SpecifierSet

    version = target.marker_environment()["python_full_version"]
    return specifier is None or SpecifierSet(specifier).contains(version, prereleases=True)


def _with_best_archive(package: Package, tags: "list[Tag]", source: str) -> Package:
    """*package* with the one archive to install, and that archive's tags as its build."""
    from packaging.tags import create_compatible_tags_selector
    from packaging.utils import parse_wheel_filename

    wheels = [
        (archive, parse_wheel_filename(archive.filename)[-1])
        for archive in package.archives
        if archive.is_wheel and archive.filename
    ]
    best: Archive | None = next(create_compatible_tags_selector(tags)(wheels), None)
    if best is not None and best.filename:
        return replace(package, archives=(best,), build=wheel_build(best.filename))
    rest = tuple(archive for archive in package.archives if not archive.is_wheel)
    if package.archives and not rest:
        raise MismatchError(
            f"no wheel of {package.name} {package.version} fits, and there is no source archive",
            where=source,
            expected=f"a wheel for one of {tags[0]}, {tags[1]}, ... {tags[-1]}",
            found=_few([archive.filename or "?" for archive, _ in wheels]),
            hint="lock again for this platform, or choose a version with a wheel for it",
        )
    return replace(package, archives=rest)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def wheel_build(filename: str) -> str:
    """The build and tags of a wheel's name, as one text: what follows name and version.

    Compressed tag sets are sorted, because an installed WHEEL lists the same tags in any order.
    """
    parts = filename.removesuffix(".whl").split("-")[2:]
    return "-".join(".".join(sorted(part.split("."))) for part in parts)
