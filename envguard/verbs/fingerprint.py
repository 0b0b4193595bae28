"""The story of ``envguard fingerprint``: read the model, prove its environment, write both down."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from envguard import storage
from envguard.artifacts.limits import Limits
from envguard.compare.environments import compare
from envguard.compare.needs import contradictions
from envguard.formats import fingerprint as document
from envguard.model.artifact import Artifact
from envguard.model.environment import Environment
from envguard.model.errors import (
    EnvguardError,
    ExitCode,
    MismatchError,
    UnreadableError,
    UsageError,
)
from envguard.model.findings import Comparison, Finding, Severity, worst
from envguard.model.fingerprint import Fingerprint, Provenance
from envguard.model.lock import Lock
from envguard.model.progress import Progress, silent
from envguard.model.target import Target
from envguard.sources import reading
from envguard.sources.contents import selected, with_contents
from envguard.sources.locators import LockFile, locate, words_for
from envguard.tools import git

LOCKS = Path("lockfiles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprinted:
    """A written fingerprint; *changed* is false when the file already said exactly this."""

    path: str
    changed: bool
    fingerprint: Fingerprint

    def exit_code(self, *, allow_incomplete: bool = False) -> ExitCode:
        """0 when the whole model and environment were seen, or a part may be missing; else 3."""
        gaps = self.fingerprint.artifact.gaps or self.fingerprint.environment.gaps
        return ExitCode.UNREADABLE if gaps and not allow_incomplete else ExitCode.OK


class ModelDiffers(MismatchError):
    """The model was not written by what the lock selects."""

    def __init__(self, model: str, findings: tuple[Finding, ...]) -> None:
        super().__init__(
            "the model is not from this lock, so no fingerprint was written",
            where=model,
            expected=", ".join(f"{found.subject} {found.before}" for found in findings),
            found=", ".join(f"{found.subject} {found.after} is locked" for found in findings),
            hint="name the lock that the model was trained with: --lock",
        )


class EnvironmentDiffers(MismatchError):
    """The named environment is not the one that the lock selects; *comparison* says how."""

    def __init__(self, comparison: Comparison) -> None:
        super().__init__(
            "the environment is not what the lock says, so no fingerprint was written",
            where=comparison.after,
            expected=f"the packages of {comparison.before}",
            found="other packages there, or other bytes",
            hint="install the lock there; or lock what is there: `uv pip freeze --python ENV "
            "> requirements.txt`, then `envguard lock requirements.txt`",
        )
        self.comparison = comparison


def fingerprint(
    model: Path,
    *,
    lock: Path | None = None,
    environment: str | None = None,
    output: Path | None = None,
    offline: bool = False,
    allow_incomplete: bool = False,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> Fingerprinted:
    """Fingerprint *model* (a file or folder) with *lock* and write it, whole or not at all.

    The model is never loaded. *environment* is the locator of the environment it was trained in,
    which must equal the lock; without it, what the lock selects on this Python is recorded.

    Raises `EnvironmentDiffers`, `UsageError` when model or lock cannot be told, and
    `UnreadableError` for a damaged model unless *allow_incomplete*.
    """
    access = reading.Access(offline=offline, limits=limits, progress=progress)
    if not model.exists():
        raise UsageError("there is no such file or folder", where=str(model))
    lock_file = _named_lock(lock or only_lock())
    artifact = reading.artifact(model, access, keep_damaged=allow_incomplete)
    pinned = reading.lock(lock_file)
    if pinned.gaps and not allow_incomplete:
        raise _unpinned(pinned)
    recorded = _environment(pinned, lock_file, environment, access)
    recorded = _fitting(artifact, recorded)
    result = _fingerprint(artifact, pinned, recorded, model)
    path = output or LOCKS / f"{stem(model)}{document.SUFFIX}"
    if output is None:
        _check_replaces(path, result)
    data = document.write(result)
    document.read(data, str(path))  # what cannot be read back (a hostile file name) is not written
    changed = not path.exists() or path.read_bytes() != data
    if changed:
        storage.write(path, data)
    return Fingerprinted(path=str(path), changed=changed, fingerprint=result)


def _fitting(artifact: Artifact, environment: Environment) -> Environment:
    """*environment* with a gap for all that the model loads and no package there provides.

    Raises `ModelDiffers` when the model states that another version wrote it.
    """
    findings, gaps = contradictions(artifact, environment)
    if findings:
        raise ModelDiffers(artifact.name, findings)
    return replace(environment, gaps=(*environment.gaps, *gaps))


def only_lock(folder: Path = LOCKS) -> Path:
    """The one pylock file in *folder*; `UsageError` when there is none or more than one."""
    found = sorted(folder.glob("pylock*.toml"))
    if len(found) == 1:
        return found[0]
    raise UsageError(
        "there are several locks" if found else "there is no lock",
        where=str(folder),
        expected="one pylock.<name>.toml",
        found=", ".join(path.name for path in found) or "none",
        hint="name one with --lock" if found else "make one: envguard lock requirements.in",
    )


def stem(model: Path) -> str:
    """The name of *model* without its suffix: ``churn`` for ``models/churn.joblib``."""
    path = model.resolve()
    return path.name if path.is_dir() else path.name.partition(".")[0] or path.name


def _unpinned(lock: Lock) -> UnreadableError:
    return UnreadableError(
        "does not pin every package",
        where=lock.source,
        found=", ".join(gap.subject for gap in lock.gaps[:5]),
        hint=f"lock it: envguard lock {lock.source}",
    )


def _check_replaces(path: Path, made: Fingerprint) -> None:
    """Refuse to put one model's fingerprint in the place of another's."""
    if not path.exists():
        return
    try:
        before = reading.fingerprint(path)
    except EnvguardError:
        return  # damaged or of another version: better replaced
    old = before.observations.get("model", before.artifact.name)
    new = made.observations.get("model", made.artifact.name)
    if old != new:
        raise UsageError(
            "is the fingerprint of another model",
            where=str(path),
            expected=new,
            found=old,
            hint="name another file with --output",
        )


def _named_lock(path: Path) -> LockFile:
    match locate(str(path)):
        case LockFile() as lock:
            return lock
        case other:
            kind = words_for(other)
            raise UsageError("is no lock", where=str(path), expected="a lock", found=kind)


def _environment(
    lock: Lock, lock_file: LockFile, named: str | None, access: reading.Access
) -> Environment:
    """What the lock selects, with every content digest; proved against *named* where given."""
    folder, source = lock_file.path.parent, lock_file.path.name
    if named is None:
        locked = selected(lock, reading.this_target(), access)
        return replace(with_contents(locked, folder, access), source=source)
    actual = reading.environment(locate(named), access, source=named)
    locked = with_contents(selected(lock, Target.of(actual), access), folder, access)
    comparison = compare(locked, actual)
    found = worst(comparison.findings)
    if found is not None and found.rank >= Severity.WARNING.rank:
        raise EnvironmentDiffers(comparison)
    return replace(
        locked,
        source=source,
        accelerator=actual.accelerator,
        gaps=tuple(dict.fromkeys(locked.gaps + actual.gaps)),
    )


def _fingerprint(
    artifact: Artifact, lock: Lock, environment: Environment, model: Path
) -> Fingerprint:
    identity = document.identity_of(artifact, lock.digest, environment)
    return Fingerprint(
        id=document.identify(identity),
        name=stem(model),
        identity=identity,
        artifact=artifact,
        environment=environment,
        provenance=Provenance(git=git.state(model.resolve().parent)),
        observations=_observations(model),
    )


def _observations(model: Path) -> Mapping[str, str]:
    """Facts about this machine, and where the model lies from here, when it lies below."""
    facts = {"kernel": platform.release(), "machine": platform.machine()}
    path = Path(os.path.relpath(model.resolve()))
    return facts if ".." in path.parts else {**facts, "model": path.as_posix()}
