"""TOML documents that strangers wrote, read within limits.

`tomllib` takes quadratic time for a key of many parts and recurses into nested arrays, so both
are bounded before a document reaches it.
"""

import re
import tomllib
from typing import Any

from envguard.formats.url import redacted
from envguard.model.errors import LimitError, UnreadableError

MAX_BYTES = 32 << 20
MAX_KEY_PARTS = 64

_STRING_OR_COMMENT = re.compile(
    rb'"""(?s:\\.|.)*?"""'
    rb"|'''(?s:.)*?'''"
    rb'|"(?:[^"\\\n]|\\.)*+"'
    rb"|'[^'\n]*+'"
    rb"|#[^\n]*+"
)
_DEEP_KEY = re.compile(rb"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){%d}" % MAX_KEY_PARTS)


def load(data: bytes, source: str) -> dict[str, Any]:
    """The document in *data*.

    Raises `UnreadableError` for anything that is no TOML, `LimitError` beyond `MAX_BYTES` or
    `MAX_KEY_PARTS`, and for arrays nested deeper than Python recurses.
    """
    if len(data) > MAX_BYTES:
        raise LimitError("is too large", where=source, expected=f"at most {MAX_BYTES} bytes")
    if _DEEP_KEY.search(_STRING_OR_COMMENT.sub(b"s", data)):
        raise LimitError("has a key of too many parts", where=source, expected=f"{MAX_KEY_PARTS}")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise LimitError("is nested too deeply", where=source) from error
    except ValueError as error:  # not UTF-8, not TOML, or an integer of thousands of digits
        raise UnreadableError(f"is no TOML: {redacted(str(error))}", where=source) from error
