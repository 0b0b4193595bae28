"""The two sides of a comparison: each an environment, or a lock that becomes one for a target."""

from dataclasses import dataclass, replace
from pathlib import Path

from envguard.artifacts import manifest
from envguard.compare.packages import same_version
from envguard.engines.assemble.plan import MODEL
from envguard.formats.record import InstalledFile
from envguard.formats.site_packages import installed_files
from envguard.model.artifact import Artifact, ModelIdentity
from envguard.model.environment import Environment
from envguard.model.errors import UsageError
from envguard.model.files import Below, Files, Kind, join
from envguard.model.lock import Lock
from envguard.model.package import Package
from envguard.model.target import Target
from envguard.sources import reading
from envguard.sources.contents import selected, wheel_files, with_contents
from envguard.sources.locators import FingerprintFile, ImageRef, Located, LockFile, Model
from envguard.sources.reading import Access, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A side that states one environment; *tree* where its files can be looked at."""

    environment: Environment
    tree: Tree | None = None
    artifact: Artifact | None = None
    model: ModelIdentity | None = None

    @property
    def target(self) -> Target | None:
        """The Python and platform that it is, where it says so."""
        says = self.environment.interpreter.value and self.environment.platform.value
        return Target.of(self.environment) if says else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A side that is an environment only once a target is known; *folder* is where it lies."""

    lock: Lock
    folder: Path


Side = Stated | Locked


def open_side(located: Located, access: Access, *, source: str) -> Side:
    """Read one side; `UsageError` for a model, which has no environment of its own."""
    match located:
        case LockFile(path=path):
            return Locked(lock=reading.lock(located), folder=path.parent)
        case FingerprintFile(path=path):
            recorded = reading.fingerprint(path)
            environment = replace(recorded.environment, source=source)
            return Stated(
                environment=environment,
                artifact=recorded.artifact,
                model=recorded.artifact.identity,
            )
        case Model(path=path) if path.is_dir():
            raise UsageError(
                "holds no Python environment and no image",
                where=source,
                expected="pyvenv.cfg, lib/python3.x or oci-layout in it",
            )
        case Model():
            raise UsageError(
                "is a model, which has no environment of its own",
                where=source,
                hint="compare its fingerprint, or judge two environments for it with --model",
            )
        case place:
            environment, tree = reading.look(place, access, source=source)
            model = _model_in(tree.files) if isinstance(place, ImageRef) else None
            return Stated(environment=environment, tree=tree, model=model)


def matched(
    before: Side, after: Side, access: Access, *, contents: bool
) -> tuple[Environment, Environment]:
    """Both sides as environments for one target: that of the side which states one.

    With *contents*, the wheels of a lock are fetched where the other side has bytes to compare.
    """
    target = _target(before) or _target(after) or reading.this_target()
    old, new = (_selected(side, target) for side in (before, after))
    if contents and isinstance(before, Locked):
        old = _told(before, target, old, new, access)
    if contents and isinstance(after, Locked):
        new = _told(after, target, new, old, access)
    return old, new


def file_differences(
    before: tuple[Side, Package], after: tuple[Side, Package], access: Access
) -> tuple[str, ...]:
    """The files in which two builds of a package differ, as far as both can be looked into."""
    old, new = (
        {file.path: file for file in _files(side, package, access)}
        for side, package in (before, after)
    )
    if not old or not new:
        return ()
    return tuple(
        f"{path.removeprefix('lib/')} ({_kind(path, old, new)})"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def _model_in(files: Files) -> ModelIdentity | None:
    """The model in an image that `build` made: a file in its folder, or a folder of files there."""
    entries = files.scan(MODEL)
    if not entries:
        return None
    only = entries[0]
    folder = join(MODEL, only.name) if len(entries) == 1 and only.kind is Kind.FOLDER else MODEL
    found = manifest.build(Below(files, folder))
    return ModelIdentity(name=only.name, digest=manifest.digest(found))


def _target(side: Side) -> Target | None:
    return side.target if isinstance(side, Stated) else None


def _selected(side: Side, target: Target) -> Environment:
    return side.environment if isinstance(side, Stated) else side.lock.select(target)


def _told(
    locked: Locked, target: Target, environment: Environment, other: Environment, access: Access
) -> Environment:
    """*environment* with the contents that can be compared with those of *other*."""
    only = _comparable(environment, other)
    if not only:
        return environment
    return with_contents(selected(locked.lock, target, access), locked.folder, access, only=only)


def _comparable(locked: Environment, other: Environment) -> set[str]:
    """The packages whose content the other side knows and no archive digest decides."""
    others = {package.name: package for package in other.packages.value or ()}
    return {
        package.name
        for package in locked.packages.value or ()
        if (found := others.get(package.name))
        and found.content is not None
        and not found.archives
        and same_version(package.version, found.version)
    }


def _files(side: Side, package: Package, access: Access) -> tuple[InstalledFile, ...]:
    if isinstance(side, Stated) and side.tree is not None:
        return installed_files(side.tree.files, side.tree.prefix, package.name)
    return wheel_files(package, access)


def _kind(path: str, old: dict[str, InstalledFile], new: dict[str, InstalledFile]) -> str:
    if path not in old:
        return "added"
    return "removed" if path not in new else "changed"
