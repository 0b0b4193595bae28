"""The story of ``envguard fingerprint``: read the model, prove its environment, write both down."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from envguard import storage
from envguard.artifacts.limits import Limits
from envguard.compare.environments import compare
from envguard.formats import fingerprint as document
from envguard.model.artifact import Artifact
from envguard.model.environment import Environment, Interpreter
from envguard.model.errors import ExitCode, MismatchError, UsageError
from envguard.model.findings import Comparison, Severity, worst
from envguard.model.fingerprint import Fingerprint, Identity, Provenance
from envguard.model.lock import Lock
from envguard.model.progress import Progress, silent
from envguard.model.target import Target
from envguard.sources import reading
from envguard.sources.contents import selected, with_contents
from envguard.sources.locators import LockFile, locate
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


class EnvironmentDiffers(MismatchError):
    """The named environment is not the one that the lock selects; *comparison* says how."""

    def __init__(self, comparison: Comparison) -> None:
        super().__init__(
            "the environment is not what the lock says, so no fingerprint was written",
            where=comparison.after,
            expected=f"the packages of {comparison.before}",
            found="other packages there, or other bytes",
            hint="install the lock there, or lock what is there",
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
    recorded = _environment(pinned, lock_file, environment, access)
    result = _fingerprint(artifact, pinned, recorded, model)
    path = output or LOCKS / f"{stem(model)}{document.SUFFIX}"
    data = document.write(result)
    changed = not path.exists() or path.read_bytes() != data
    if changed:
        storage.write(path, data)
    return Fingerprinted(path=str(path), changed=changed, fingerprint=result)


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


def _named_lock(path: Path) -> LockFile:
    match locate(str(path)):
        case LockFile() as lock:
            return lock
        case other:
            kind = type(other).__name__
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
    target = Target.of(environment)
    identity = Identity(
        artifact=artifact.digest,
        lock=lock.digest,
        interpreter=interpreter_tag(target.interpreter),
        platform=target.platform_tag,
    )
    return Fingerprint(
        id=document.identify(identity),
        name=stem(model),
        identity=identity,
        artifact=artifact,
        environment=environment,
        provenance=Provenance(git=git.state(model.resolve().parent)),
        observations=_observations(model),
    )


def interpreter_tag(interpreter: Interpreter) -> str:
    """``cpython-3.11``, with ``t`` for a free-threaded and ``d`` for a debug build."""
    flags = ("t" if interpreter.free_threaded else "") + ("d" if interpreter.debug else "")
    return f"{interpreter.implementation}-{interpreter.minor}{flags}"


def _observations(model: Path) -> Mapping[str, str]:
    """Facts about this machine, and where the model lies from here, when it lies below."""
    facts = {"kernel": platform.release(), "machine": platform.machine()}
    path = Path(os.path.relpath(model.resolve()))
    return facts if ".." in path.parts else {**facts, "model": path.as_posix()}
