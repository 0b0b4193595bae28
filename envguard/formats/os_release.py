"""os-release: which distribution a tree is. Source: os-release(5)."""

import re
from collections.abc import Mapping

_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)")
_ESCAPED = re.compile(r"\\([\"'$`\\])")


def read_os_release(data: bytes) -> Mapping[str, str]:
    """The assignments of an os-release, unquoted; other lines are skipped, the last value wins."""
    found = (
        _ASSIGNMENT.fullmatch(line.strip()) for line in data.decode("utf-8", "replace").split("\n")
    )
    return {match[1]: _unquoted(match[2]) for match in found if match}


def distribution(data: bytes) -> str | None:
    """``ID VERSION_ID`` (``debian 12``), ``ID`` alone for rolling releases, else ``None``."""
    values = read_os_release(data)
    words = (values.get("ID", ""), values.get("VERSION_ID", "")) if values.get("ID") else ()
    return " ".join(word for word in words if word) or None


def _unquoted(text: str) -> str:
    r"""A shell word without its quotes; in double quotes a backslash escapes ``" $ ` \``."""
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return _ESCAPED.sub(r"\1", text[1:-1])
    return text
