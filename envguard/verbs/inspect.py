"""The story of ``envguard inspect``: say what a thing is, then what is in it."""

from dataclasses import dataclass

from envguard.artifacts.limits import Limits
from envguard.model.artifact import Artifact
from envguard.model.environment import Environment
from envguard.model.errors import ExitCode
from envguard.model.fingerprint import Fingerprint
from envguard.model.lock import Lock
from envguard.model.progress import Progress, silent
from envguard.sources import reading
from envguard.sources.locators import FingerprintFile, LockFile, Model, locate


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What *thing* is: ``model``, ``lock``, ``fingerprint`` or ``environment``."""

    kind: str
    thing: Artifact | Lock | Fingerprint | Environment

    def exit_code(self, *, allow_incomplete: bool = False) -> ExitCode:
        """0 when everything was seen, or when a part of it may be missing; else 3."""
        gaps = self.thing.artifact.gaps if isinstance(self.thing, Fingerprint) else self.thing.gaps
        return ExitCode.UNREADABLE if gaps and not allow_incomplete else ExitCode.OK


def inspect(
    thing: str,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> Inspection:
    """Read *thing*, whatever it is; nothing of it is executed.

    Raises `UsageError` when there is no such thing, `UnreadableError` when it is damaged.
    """
    access = reading.Access(limits=limits, progress=progress)
    match locate(thing):
        case Model(path=path):
            return Inspection(kind="model", thing=reading.artifact(path, access))
        case LockFile() as lock:
            return Inspection(kind="lock", thing=reading.lock(lock))
        case FingerprintFile(path=path):
            return Inspection(kind="fingerprint", thing=reading.fingerprint(path))
        case place:
            environment = reading.environment(place, access, source=thing)
            return Inspection(kind="environment", thing=environment)
