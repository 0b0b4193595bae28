"""What a resolver is asked for, and what it gives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from envguard.engines.resolve.platforms import LockPlatform
from envguard.model.lock import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Inputs to lock together.

    *inputs* are requirements files and ``pyproject.toml`` files; *extras* and *groups* are those
    of the latter. *python* is the oldest Python (``3.11``) that the lock has to work on.
    *platforms*: none for a lock that holds everywhere. *existing* is a lock whose
    versions are kept where they still fit, except for *upgrade_packages*, or for all with
    *upgrade*, which also asks the index anew. *allow_build* lets packages without a wheel run
    their build to tell their metadata.
    """

    inputs: tuple[Path, ...]
    constraints: tuple[Path, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    python: str
    platforms: tuple[LockPlatform, ...] = ()
    existing: Lock | None = None
    upgrade: bool = False
    upgrade_packages: tuple[str, ...] = ()
    exclude_newer: str | None = None
    allow_build: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A PEP 751 document; its relative paths start at *made_in* (absolute).

    *environments* are the markers that it is limited to; none: it holds everywhere.
    """

    document: bytes
    made_in: str
    environments: tuple[str, ...] = ()


class Resolver(Protocol):
    """A program that chooses versions."""

    def resolve(self, request: Request) -> Resolution:
        """The packages that *request* needs, pinned and hashed.

        Raises `UsageError` when the program is not there or cannot do what is asked, `ToolError`
        with its explanation when it finds no answer.
        """
        ...
