"""Results as JSON with stable, sorted keys and a schema version in ``schema``."""

import json

from envguard.model.codec import builtins


def render(schema: str, result: object, **more: object) -> str:
    """*result* (a dataclass) and *more* as one JSON object whose ``schema`` is *schema*."""
    document = {"schema": schema, **builtins(result), **builtins(more)}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
