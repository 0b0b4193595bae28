"""Where libraries state, inside a pickle, the version of themselves that wrote it.

Two tables. To teach envguard another library, add a line here; nothing else changes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class InState:
    """The version is the text under *key* in the state of an object of a class in *package*."""

    package: str
    key: str
    distribution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InContent:
    """The version is inside the bytes under *key* in the state of an object of *package*.

    *needle* occurs in every match of *pattern* and makes the search fast; the groups of *pattern*
    are turned into the version's parts by `_part`.
    """

    package: str
    key: str
    distribution: str
    needle: bytes
    pattern: re.Pattern[bytes]


IN_STATE = (
    # BaseEstimator.__getstate__
    InState(package="sklearn", key="_sklearn_version", distribution="scikit-learn"),
    # ARIMA.fit
    InState(package="pmdarima", key="pkg_version_", distribution="pmdarima"),
)

_UBJSON_NUMBER = rb"(i.|U.|I..)"
IN_CONTENT = (
    # Booster.__getstate__: the learner in Universal Binary JSON since 1.6 ...
    InContent(
        package="xgboost",
        key="handle",
        distribution="xgboost",
        needle=b"version[#L",
        pattern=re.compile(rb"version\[#L\0{7}\x03" + _UBJSON_NUMBER * 3, re.DOTALL),
    ),
    # ... and in JSON before.
    InContent(
        package="xgboost",
        key="handle",
        distribution="xgboost",
        needle=b'"version":[',
        pattern=re.compile(rb'"version":\[(\d{1,4}),(\d{1,4}),(\d{1,4})\]'),
    ),
)

KEPT_KEYS = frozenset(rule.key for rule in (*IN_STATE, *IN_CONTENT))
"""The keys of states that these tables ask for."""

_VERSION = re.compile(r"\d+(\.\d+)*[-+.\w]{0,40}")
_LONGEST = 64  # no pattern matches more bytes


def in_state(package: str, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Distribution and version for each rule that the *texts* of a state fulfil."""
    for rule in IN_STATE:
        version = texts.get(rule.key)
        if rule.package == package and version and _VERSION.fullmatch(version):
            yield rule.distribution, version


def in_content(pieces: Iterable[bytes]) -> dict[str, str]:
    """The versions stated in a long content, by distribution; the last one counts."""
    versions: dict[str, str] = {}
    tail = b""
    for piece in pieces:
        window = tail + piece
        for rule in IN_CONTENT:
            if rule.needle in window:
                for match in rule.pattern.finditer(window):
                    versions[rule.distribution] = ".".join(_part(g) for g in match.groups())
        tail = window[-_LONGEST:]
    return versions


def holds_content(package: str, key: str, distribution: str) -> bool:
    """Whether the content under *key* of an object of *package* speaks for *distribution*."""
    return any(
        (rule.package, rule.key, rule.distribution) == (package, key, distribution)
        for rule in IN_CONTENT
    )


def _part(raw: bytes) -> str:
    """One number: decimal digits, or a marker and a big-endian number (UBJSON types i, U, I)."""
    return raw.decode() if raw.isdigit() else str(int.from_bytes(raw[1:], "big"))
