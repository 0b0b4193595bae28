"""What was RECORDED of a model: one identity everywhere, and what was observed when it was made."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from envguard.model.artifact import Artifact
from envguard.model.digest import Digest
from envguard.model.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """All that decides whether two fingerprints are the same one.

    *interpreter* is ``cpython-3.11`` (with ``t`` for free-threaded, ``d`` for debug builds);
    *platform* is ``linux_x86_64``; *packages* is the digest over what the lock selects there (see
    `envguard.formats.packages_digest`).
    """

    artifact: Digest
    lock: Digest
    packages: Digest
    interpreter: str
    platform: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """The revision that the model was fingerprinted at; *remote* carries no credentials.

    *dirty* is ``None`` where looking would run a filter that the repository itself configures.
    """

    commit: str
    branch: str | None
    dirty: bool | None
    remote: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the model comes from."""

    git: GitState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A model bound to its locked environment.

    *id* is the digest over the canonical JSON of *identity*; *environment* is the locked or read
    environment with every package's content digest; *observations* are facts about the machine.
    """

    id: Digest
    name: str
    identity: Identity
    artifact: Artifact
    environment: Environment
    provenance: Provenance = field(default_factory=Provenance)
    observations: Mapping[str, str] = field(default_factory=dict)
