"""URLs without the secrets that people put in them.

A credential is user information before the host (RFC 3986, 3.2.1), except the user ``git`` alone,
which ssh remotes need and which opens nothing, and a query parameter whose name says so.
"""

import re

# Every repetition is bounded or ends at the next delimiter: linear in any text.
_USER = re.compile(r"(://)(?!git@[^/\s@]*(?:[/\s]|$))[^/\s]*@")
_PARAMETER = re.compile(
    r"([?&])([\w.-]{0,64}(?:token|passw|secret|signature|credential|auth|api[_-]?key)[\w.-]{0,64}="
    r"|(?:sig|key|pwd)=)[^&#\s]*",
    re.IGNORECASE,
)


def without_credentials(url: str) -> str:
    """*url* without user information and without query parameters that carry a secret."""
    url = _USER.sub(r"\1", url)
    base, separator, query = url.partition("?")
    if not separator:
        return url
    query, mark, fragment = query.partition("#")
    kept = "&".join(p for p in query.split("&") if not _PARAMETER.fullmatch(f"?{p}"))
    return base + ("?" if kept else "") + kept + mark + fragment


def redacted(text: str) -> str:
    """*text* for people to read, with ``***`` wherever a URL in it carries a secret."""
    return _PARAMETER.sub(r"\1\2***", _USER.sub(r"\1***@", text))


def has_credentials(text: str) -> bool:
    """Whether any URL in *text* carries a secret."""
    return bool(_USER.search(text) or _PARAMETER.search(text))
