"""The story of ``envguard lock``: inputs become one hashed lock, or it is proved to hold still.

The lock itself says what it was made from (`envguard.verbs.lock_file`), so an unchanged one is
recognised without running a resolver or asking a network, and an edit by hand is noticed.
"""

import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from envguard import storage
from envguard.engines.resolve import RESOLVERS
from envguard.engines.resolve.inputs import Inputs, read_inputs
from envguard.engines.resolve.platforms import LockPlatform
from envguard.engines.resolve.request import Request, Resolution
from envguard.formats import pylock, pylock_document
from envguard.formats.canonical import JsonValue
from envguard.formats.url import redacted
from envguard.model.errors import MismatchError, UsageError
from envguard.model.lock import Lock
from envguard.model.progress import Progress, silent
from envguard.verbs.lock_file import LockFile, LockFormat, lock_file, read_lock_file, why_stale

LOCKS = Path("lockfiles")
_PYLOCK_NAME = re.compile(r"pylock(?:\.[^.]+)?\.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOptions:
    """What to lock.

    *inputs* are requirements files and ``pyproject.toml`` files; *extras* and *groups* are those
    of the latter. *targets* are names that `LockPlatform.parse` knows (none: every platform),
    *python_version* is the oldest Python (``3.11``), *exclude_newer* a date. *allow_build* lets
    packages without a wheel run code of their own; *check* never writes.
    """

    inputs: tuple[Path, ...]
    output: Path | None = None
    name: str | None = None
    format: LockFormat = LockFormat.PYLOCK
    resolver: str = "uv"
    targets: tuple[str, ...] = ()
    python_version: str | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    constraints: tuple[Path, ...] = ()
    upgrade: bool = False
    upgrade_packages: tuple[str, ...] = ()
    exclude_newer: str | None = None
    allow_build: bool = False
    check: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """A package whose locked versions changed; ``None`` on the side where it is not locked."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOutcome:
    """The lock at *path*. *stale* says why it was made again (``None``: it held); *changed* is
    whether its bytes are new; *changes* are sorted by name.
    """

    path: Path
    lock: Lock
    changed: bool
    stale: str | None = None
    changes: tuple[PackageChange, ...] = ()


def lock(options: LockOptions, progress: Progress = silent) -> LockOutcome:
    """Make the lock of *options*, unless the one that is there still holds.

    Versions that are locked already are kept where they fit the inputs. The lock is proved to
    select an archive of every package on each target before it is written.

    Raises `MismatchError` with *check* when the lock is stale, and when a target has a package
    without an archive; `UsageError`, `UnreadableError` and `ToolError` as inputs and resolver do.
    """
    _check(options)
    inputs = read_inputs(
        options.inputs,
        constraints=options.constraints,
        extras=options.extras,
        groups=options.groups,
    )
    path = _path(options, inputs)
    existing = read_lock_file(path, options.format)
    request = _request(options, inputs, existing)
    made_from = str(inputs.digest(_decisive(options, request)))
    stale = why_stale(existing, made_from)
    if existing and not stale and not (options.upgrade or options.upgrade_packages):
        return LockOutcome(path=path, lock=existing.lock, changed=False)
    if options.check:
        raise MismatchError(
            f"lock is stale: {stale}", where=str(path), hint=f"run: {_command(options)}"
        )
    resolution = _resolve(options.resolver, request, progress)
    notes = {"inputs": made_from, "resolver": options.resolver, "python": request.python}
    document = pylock_document.normalise(
        resolution.document,
        str(path),
        made_in=resolution.made_in,
        folder=str(path.parent.resolve()),
        environments=resolution.environments,
    )
    _prove(document, request, str(path))
    made = lock_file(document, options.format, path=path, notes=notes, command=_command(options))
    changed = existing is None or existing.data != made.data
    if changed:
        storage.write(path, made.data)
    return LockOutcome(
        path=path,
        lock=made.lock,
        changed=changed,
        stale=stale,
        changes=tuple(_changes(existing.lock if existing else None, made.lock)),
    )


def _check(options: LockOptions) -> None:
    if not options.inputs:
        raise UsageError("there is nothing to lock", expected="pyproject.toml, *.in or *.txt")
    if options.resolver not in RESOLVERS:
        raise UsageError(
            "is no resolver", where=options.resolver[:60], expected=" or ".join(RESOLVERS)
        )
    if options.check and (options.upgrade or options.upgrade_packages):
        raise UsageError("checking writes nothing, so it cannot upgrade", where="--check")
    if options.exclude_newer:
        _check_date(options.exclude_newer)


def _check_date(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            "is no date", where="--exclude-newer", expected="2026-01-31", found=text[:60]
        ) from error


def _path(options: LockOptions, inputs: Inputs) -> Path:
    """Where the lock lies. Raises `UsageError` for a name that no installer takes for a lock."""
    name = options.name or inputs.name
    file = f"pylock.{name}.toml" if options.format is LockFormat.PYLOCK else f"{name}.txt"
    path = options.output or LOCKS / file
    if options.name and not re.fullmatch(r"[\w-]+", options.name, re.ASCII):
        raise UsageError("is no name of a lock", where=name, expected="letters, digits, - and _")
    if options.format is LockFormat.PYLOCK and not _PYLOCK_NAME.fullmatch(path.name):
        raise UsageError(
            "is no file name of a lock (PEP 751)",
            where=str(path),
            expected="pylock.toml or pylock.<name>.toml",
        )
    if path.resolve() in (given.resolve() for given in options.inputs):
        raise UsageError("is an input and the lock to write", where=str(path))
    return path


def _request(options: LockOptions, inputs: Inputs, existing: LockFile | None) -> Request:
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    locked_for = existing.notes.get("python") if existing else None
    python = options.python_version or inputs.python or locked_for or running
    if not re.fullmatch(r"3\.\d{1,3}(?:\.\d{1,3})?", python):
        raise UsageError("is no version of Python", where=python[:60], expected="3.11 or 3.11.7")
    keep = existing is not None and not options.upgrade
    return Request(
        inputs=options.inputs,
        constraints=options.constraints,
        extras=options.extras,
        groups=options.groups,
        python=python,
        platforms=tuple(map(LockPlatform.parse, options.targets)),
        existing=existing.lock if existing and keep else None,
        upgrade=options.upgrade,
        upgrade_packages=options.upgrade_packages,
        exclude_newer=options.exclude_newer,
        allow_build=options.allow_build,
    )


def _decisive(options: LockOptions, request: Request) -> dict[str, JsonValue]:
    """The options that another lock would follow from."""
    return {
        "resolver": options.resolver,
        "python": request.python,
        "targets": [*sorted(options.targets)],
        "extras": [*sorted(options.extras)],
        "exclude_newer": options.exclude_newer,
        "allow_build": options.allow_build,
    }


def _resolve(resolver: str, request: Request, progress: Progress) -> Resolution:
    label = f"resolving with {resolver}"
    progress(label, 0, None)
    resolution = RESOLVERS[resolver].resolve(request)
    progress(label, 1, 1)
    return resolution


def _prove(document: dict[str, Any], request: Request, source: str) -> None:
    """Select from the lock for each target: an archive of every package must fit there."""
    made = pylock.from_document(document, source)
    for platform in request.platforms:
        try:
            made.select(platform.target(request.python))
        except MismatchError as error:
            raise MismatchError(
                f"no lock for {platform.name}: {error.message}",
                where=source,
                hint="ask for a version with a wheel there, or lock this target by itself",
            ) from error


def _changes(before: Lock | None, after: Lock) -> Iterator[PackageChange]:
    old, new = _versions(before), _versions(after)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield PackageChange(name=name, before=old.get(name), after=new.get(name))


def _versions(lock: Lock | None) -> dict[str, str]:
    """The locked versions of each package as text; several where markers choose among them."""
    versions: dict[str, list[str]] = {}
    for entry in lock.entries if lock else ():
        versions.setdefault(entry.package.name, []).append(entry.package.version or "(no version)")
    return {name: ", ".join(sorted(found)) for name, found in versions.items()}


def _command(options: LockOptions) -> str:
    """The command that makes this lock again."""
    words = ["envguard", "lock", *map(str, options.inputs)]
    words += _repeated("--constraint", options.constraints) + _repeated("--extra", options.extras)
    words += _repeated("--group", options.groups) + _repeated("--target", options.targets)
    single = {
        "--python-version": options.python_version,
        "--exclude-newer": options.exclude_newer,
        "--resolver": options.resolver if options.resolver != "uv" else None,
        "--format": options.format.value if options.format is not LockFormat.PYLOCK else None,
        "--name": options.name,
        "--output": options.output,
    }
    words += [word for flag, value in single.items() if value for word in (flag, str(value))]
    words += ["--allow-build"] if options.allow_build else []
    return redacted(shlex.join(words))


def _repeated(flag: str, values: Iterable[object]) -> list[str]:
    return [word for value in values for word in (flag, str(value))]
