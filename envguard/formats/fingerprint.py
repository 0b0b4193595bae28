"""Fingerprint files: ``<model>.fingerprint.json``.

The file is JSON with sorted keys, indented so that a review shows what changed. ``id`` is the
sha256 over the canonical JSON (RFC 8785) of ``identity``; ``digest`` the same over the whole
document without ``digest``, so a torn or edited file is noticed. Both are checked on reading, and
so is that all parts of the file belong together (see `envguard.formats.fingerprint_checks`).
"""

import json
from dataclasses import dataclass
from typing import Any

from msgspec import ValidationError, convert
from msgspec.json import schema_components

from envguard.formats import packages_digest
from envguard.formats.canonical import dumps
from envguard.formats.fingerprint_checks import contradictions, malformed
from envguard.model.artifact import Artifact
from envguard.model.codec import builtins, decode_hook
from envguard.model.digest import Digest
from envguard.model.environment import Environment
from envguard.model.errors import IntegrityError, UnreadableError
from envguard.model.fingerprint import Fingerprint, Identity
from envguard.model.target import Target

SCHEMA = "envguard.fingerprint/1"
LIMIT = 256 << 20
SUFFIX = ".fingerprint.json"


def identity_of(artifact: Artifact, lock: Digest, environment: Environment) -> Identity:
    """The identity of *artifact* with the lock whose digest is *lock*, as *environment* selects it.

    Raises `UsageError` when *environment* states no interpreter or platform.
    """
    target = Target.of(environment)
    return Identity(
        artifact=artifact.digest,
        lock=lock,
        packages=packages_digest.digest(environment.packages.value or ()),
        interpreter=target.interpreter_tag,
        platform=target.platform_tag,
    )


def identify(identity: Identity) -> Digest:
    """The fingerprint's id: the digest over the canonical JSON of *identity*."""
    return Digest.of(dumps(builtins(identity)))


def write(fingerprint: Fingerprint) -> bytes:
    """The bytes of the fingerprint file of *fingerprint*."""
    document: dict[str, Any] = {"schema": SCHEMA, **builtins(fingerprint)}
    document["digest"] = str(Digest.of(dumps(document)))
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
    return text.encode() + b"\n"


def read(data: bytes, source: str) -> Fingerprint:
    """The fingerprint in *data*.

    Raises `UnreadableError` for anything malformed or of a newer schema, `IntegrityError` when
    the id or the digest is not that of the content, or parts of it contradict each other.
    """
    document = _parse(data, source)
    stated = document.pop("digest", None)
    computed = str(Digest.of(_canonical(document, source)))
    if stated != computed:
        raise IntegrityError(
            "the fingerprint was changed after it was written",
            where=source,
            expected=str(stated),
            found=computed,
            hint="restore the file from version control, or fingerprint the model again",
        )
    document.pop("schema")
    try:
        fingerprint = convert(document, Fingerprint, dec_hook=decode_hook, strict=True)
    except (ValidationError, ValueError) as error:
        raise UnreadableError(f"is no fingerprint: {error}", where=source) from error
    _check(fingerprint, source)
    return fingerprint


def _check(fingerprint: Fingerprint, source: str) -> None:
    if problems := malformed(fingerprint):
        raise UnreadableError(f"is no fingerprint: {'; '.join(problems)}", where=source)
    computed = identify(fingerprint.identity)
    if fingerprint.id != computed:
        raise IntegrityError(
            "the fingerprint's id is not that of its identity",
            where=source,
            expected=str(computed),
            found=str(fingerprint.id),
        )
    parts = identity_of(fingerprint.artifact, fingerprint.identity.lock, fingerprint.environment)
    if found := contradictions(fingerprint, parts):
        raise IntegrityError(
            f"the fingerprint contradicts itself: {'; '.join(found)}",
            where=source,
            hint="restore the file from version control, or fingerprint the model again",
        )


def _parse(data: bytes, source: str) -> dict[str, Any]:
    try:
        document = json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"is no JSON: {error}", where=source) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise UnreadableError(
            "is no fingerprint that this version reads",
            where=source,
            expected=f'"schema": "{SCHEMA}"',
            found=f'"schema": {json.dumps(schema)[:80]}',
            hint="a newer envguard wrote it: upgrade" if _is_newer(schema) else None,
        )
    return document  # type: ignore[no-any-return]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are stated once: two readers could choose differently (RFC 8259, 4)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands there twice in one object")
    return found


def _is_newer(schema: object) -> bool:
    return isinstance(schema, str) and schema.startswith("envguard.fingerprint/")


def _canonical(document: dict[str, Any], source: str) -> bytes:
    try:
        return dumps(document)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"has no canonical form: {error}", where=source) from error


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a fingerprint file."""
    (reference,), components = schema_components(
        [_Document], schema_hook=lambda kind: {"type": "string", "pattern": "^sha[0-9]+:[0-9a-f]+$"}
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        **reference,
        "$defs": components,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document(Fingerprint):
    """A fingerprint file as its schema describes it."""

    schema: str
    digest: Digest
