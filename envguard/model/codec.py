"""Model values as JSON-ready builtins and back, through msgspec."""

from typing import Any

from msgspec.json import decode, encode

from envguard.model.digest import Digest


def builtins(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """A model value as dicts, lists and strings; digests as their text."""
    return decode(encode(value, enc_hook=encode_hook))


def encode_hook(value: object) -> object:
    """Digests as text, for msgspec."""
    if isinstance(value, Digest):
        return str(value)
    raise NotImplementedError(f"no JSON form for {type(value).__name__}")


def decode_hook(kind: type, value: object) -> object:
    """Digests from text, for msgspec; `ValueError` (its ``ValidationError``) for anything else."""
    if kind is not Digest:
        raise NotImplementedError(f"no reader for {kind.__name__}")
    if not isinstance(value, str):
        raise ValueError(f"not a digest (expected text): {type(value).__name__}")
    return Digest.parse(value)
