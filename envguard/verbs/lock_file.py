"""Locks on disk, in either format, with the notes by which `envguard lock` knows them again.

The notes are ``inputs`` (digest over inputs and options), ``lock`` (digest of the lock's own
meaning), ``resolver`` and ``python``: in ``[tool.envguard]`` of a pylock.toml, in comments of a
requirements file.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from envguard.engines.resolve.inputs import read_file
from envguard.formats import pylock, pylock_document, requirements, requirements_lock, toml
from envguard.model.lock import Lock


class LockFormat(StrEnum):
    """The formats that a lock is written in: PEP 751, or hashed requirements for pip."""

    PYLOCK = "pylock"
    REQUIREMENTS = "requirements"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFile:
    """A lock as it lies on disk, with what it says it was made from."""

    data: bytes
    lock: Lock
    notes: dict[str, str]


def read_lock_file(path: Path, form: LockFormat) -> LockFile | None:
    """The lock at *path*, or ``None``. Raises `UnreadableError` for what is no such lock."""
    if not path.exists():
        return None
    data, source = read_file(str(path)), str(path)
    if form is LockFormat.PYLOCK:
        document = toml.load(data, source)
        notes = pylock_document.notes(document)
        return LockFile(data=data, lock=pylock.from_document(document, source), notes=notes)
    locked = requirements_lock.to_lock(requirements.parse(source, read_file))
    return LockFile(data=data, lock=locked, notes=requirements_lock.notes(data))


def lock_file(
    document: dict[str, Any], form: LockFormat, *, path: Path, notes: dict[str, str], command: str
) -> LockFile:
    """A PEP 751 *document* in normal form as the file to write, with *notes* in it.

    A note on its own meaning is added. *command* is named in a requirements file. Raises
    `UsageError` for what the format cannot state, or for credentials in it.
    """
    source = str(path)
    made = pylock.from_document(document, source)
    if form is LockFormat.PYLOCK:
        notes = {**notes, "lock": str(made.digest)}
        data = pylock_document.write(document, source, notes=notes)
        return LockFile(data=data, lock=made, notes=notes)
    text = requirements_lock.write(made, command=command)
    made = requirements_lock.to_lock(requirements.parse(source, lambda _: text))
    notes = {**notes, "lock": str(made.digest)}
    data = requirements_lock.write(made, command=command, notes=notes)
    return LockFile(data=data, lock=made, notes=notes)


def why_stale(existing: LockFile | None, made_from: str) -> str | None:
    """Why the lock does not hold, or ``None``."""
    if existing is None:
        return "there is none yet"
    if "inputs" not in existing.notes:
        return "it was not made by envguard lock"
    if existing.notes.get("lock") != str(existing.lock.digest):
        return "it was edited after it was made"
    return None if existing.notes["inputs"] == made_from else "its inputs or options changed"
