"""The content of locked packages: their wheels, fetched into the vault and hashed."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from envguard.engines.assemble.plan import PinnedWheel
from envguard.formats.record import InstalledFile
from envguard.model.digest import Digest
from envguard.model.environment import Environment
from envguard.model.errors import MismatchError, UnreadableError
from envguard.model.findings import Area, Gap
from envguard.model.lock import Lock
from envguard.model.package import Package
from envguard.model.target import Target
from envguard.sources.reading import Access
from envguard.wheels.content import cached_content
from envguard.wheels.fetch import fetch


def selected(lock: Lock, target: Target, access: Access) -> Environment:
    """What *lock* selects on *target*, each package with the one file to install.

    A requirements lock names hashes only: unless offline, the index is asked for their files.
    """
    environment = lock.select(target)
    if access.offline:
        return environment
    from envguard.engines.resolve.locate import locate_files

    packages = tuple(locate_files(environment.packages.value or (), target))
    return replace(environment, packages=replace(environment.packages, value=packages))


def with_contents(
    environment: Environment,
    folder: Path,
    access: Access,
    *,
    only: Collection[str] | None = None,
) -> Environment:
    """*environment* with the content digest of every package (or of those in *only*).

    Wheels are fetched where the vault lacks them; *folder* is where the lock lies. A package
    whose content cannot be told (a source archive, or a wheel that is not in the vault while
    offline) keeps none, and a gap says why. Raises `IntegrityError` for a wheel that is not the
    pinned one.
    """
    packages = environment.packages.value or ()
    wanted = [
        package
        for package in packages
        if package.content is None and (only is None or package.name in only)
    ]
    wheels = {package.name: package for package in wanted if wheel_of(package)}
    gaps = [_no_wheel(package) for package in wanted if package.name not in wheels]
    if access.offline:
        missing = [name for name, package in wheels.items() if not _is_stored(package, access)]
        gaps += [_not_stored(wheels.pop(name)) for name in missing]
    archives = [package.archives[0] for package in wheels.values()]
    fetch(archives, access.vault, base=folder, offline=access.offline, progress=access.progress)
    known = {package.name: _with_content(package, access) for package in wheels.values()}
    result = tuple(known.get(package.name, package) for package in packages)
    return replace(
        environment,
        packages=replace(environment.packages, value=result),
        gaps=(*environment.gaps, *gaps),
    )


def pinned_wheels(environment: Environment, folder: Path, access: Access) -> list[PinnedWheel]:
    """The wheel of every package of *environment*, fetched into the vault.

    Raises `MismatchError` naming every package that is locked without a wheel.
    """
    packages = environment.packages.value or ()
    without = [f"{package.name} {package.version}" for package in packages if not wheel_of(package)]
    if without and not any(package.archives for package in packages):
        raise UnreadableError(
            "pins no files: its packages have no hashes",
            where=environment.source,
            hint="lock it: envguard lock FILE",
        )
    if without:
        raise MismatchError(
            "an image is built from wheels only",
            where=environment.source,
            expected="a wheel for every package",
            found=f"none for {', '.join(without)}",
            hint="lock versions that have wheels for this platform",
        )
    archives = [package.archives[0] for package in packages]
    paths = fetch(
        archives, access.vault, base=folder, offline=access.offline, progress=access.progress
    )
    return [
        PinnedWheel(
            package=package,
            path=path,
            filename=archive.filename or path.name,
            digest=digest,
            size=path.stat().st_size,
        )
        for package, archive, path in zip(packages, archives, paths, strict=True)
        if (digest := wheel_of(package))
    ]


def wheel_of(package: Package) -> Digest | None:
    """The sha256 of the one wheel that *package* was selected as; ``None`` where it is none."""
    if len(package.archives) != 1 or not package.archives[0].is_wheel:
        return None
    pins = (pin for pin in package.archives[0].digests if pin.algorithm == "sha256")
    return next(pins, None)


def wheel_files(package: Package, access: Access) -> tuple[InstalledFile, ...]:
    """What the wheel of *package* installs, as far as the vault holds it."""
    digest = wheel_of(package)
    if digest is None or not access.vault.has(digest):
        return ()
    filename = package.archives[0].filename or ""
    return cached_content(access.vault, digest, filename).files


def _with_content(package: Package, access: Access) -> Package:
    digest = wheel_of(package)
    if digest is None:
        raise UnreadableError("has no sha256 to find its wheel by", where=package.name)
    content = cached_content(access.vault, digest, package.archives[0].filename or "")
    found = content.package
    return replace(package, content=found.content, requires=found.requires, modules=found.modules)


def _is_stored(package: Package, access: Access) -> bool:
    digest = wheel_of(package)
    return digest is not None and access.vault.has(digest)


def _no_wheel(package: Package) -> Gap:
    named = any(archive.filename for archive in package.archives)
    if not package.archives:
        return Gap(
            area=Area.PACKAGES,
            subject=f"{package.name} {package.version}",
            reason="is pinned without a hash, so its bytes are not known",
            fix="lock it with `envguard lock`, or compare with --by build",
        )
    return Gap(
        area=Area.PACKAGES,
        subject=f"{package.name} {package.version}",
        reason="is locked as a source archive, so what it installs is not known"
        if named
        else "its lock names no file to fetch, so its bytes were not compared",
        fix="lock a version that has a wheel for this platform"
        if named
        else "lock it as pylock.toml, or compare with --by build",
    )


def _not_stored(package: Package) -> Gap:
    return Gap(
        area=Area.PACKAGES,
        subject=f"{package.name} {package.version}",
        reason="its wheel is not in the vault, and --offline forbids to fetch it",
        fix="run once without --offline",
    )
