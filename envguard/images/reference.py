"""Image names as engines and registries take them.

Source: the distribution project's reference grammar (``[domain[:port]/]path[:tag]``).
"""

import re

from envguard.model.errors import UsageError

_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?(?::\d{1,5})?/)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TAG = r"(?::[A-Za-z0-9_][\w.-]{0,127})?"
_REFERENCE = re.compile(rf"{_DOMAIN}{_COMPONENT}(?:/{_COMPONENT})*{_TAG}", re.ASCII)


def check_reference(text: str) -> str:
    """*text*, when it is a name that an image can have; `UsageError` otherwise."""
    if len(text) > 255 or not _REFERENCE.fullmatch(text):
        raise UsageError(
            "is no name for an image",
            where=text,
            expected="small letters, digits and . _ - / , then :TAG, for example team/churn:1.4",
        )
    return text
