"""The metadata files of a distribution: METADATA, PKG-INFO, WHEEL and direct_url.json.

Sources: core metadata specification, recording installed projects (PEP 376, 627), binary
distribution format (PEP 427), direct URL origin (PEP 610). METADATA is read without the email
module: it costs more than everything else that an inventory of an environment does.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from envguard.formats.url import without_credentials
from envguard.model.errors import UnreadableError
from envguard.model.package import DirectUrl, LocalFolder, Origin, Vcs

_HEADER_LINE = re.compile(rb"(?:[!-9;-~]+:|[ \t])[^\n]*(?:\n|\Z)")
_FIELD = re.compile(
    rb"^(name|version|requires-dist|tag|build):[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.I | re.M
)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]{0,199}")
_MODULE_SUFFIX = re.compile(r"(?:\.(?:[a-z]+-?\d[\w-]*|abi3))?\.(?:so|pyd)|\.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Who a distribution is: *name* normalised (PEP 503), *requires* as written."""

    name: str
    version: str
    requires: tuple[str, ...] = ()


def normalised(name: str) -> str:
    """*name* as PEP 503 compares names: ``Foo._Bar`` is ``foo-bar``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_metadata(data: bytes, source: str) -> Metadata:
    """Name, version and requirements of a METADATA or PKG-INFO.

    Raises `UnreadableError` naming every one of name and version that is absent, malformed, or
    stated twice with different values (two readers could then see two distributions).
    """
    fields = _fields(data)
    problems: list[str] = []
    name = _single(fields, "name", _NAME, problems)
    version = _single(fields, "version", _VERSION, problems)
    if problems:
        raise UnreadableError("; ".join(problems), where=source, expected="core metadata")
    return Metadata(
        name=normalised(name), version=version, requires=tuple(fields.get("requires-dist", ()))
    )


def read_wheel_build(data: bytes) -> str | None:
    """What a wheel's file name says after name and version, out of its WHEEL file.

    The parts of a compressed tag set are sorted, as PEP 425 asks: ``py2.py3-none-any``. ``None``
    when the tags are not those of one file name.
    """
    fields = _fields(data)
    tags = {tuple(tag.split("-")) for tag in fields.get("tag", ())}
    if not tags or any(len(tag) != 3 for tag in tags):
        return None
    parts = [sorted({tag[place] for tag in tags}) for place in range(3)]
    if set(product(*parts)) != tags:
        return None
    return "-".join([*fields.get("build", ())[:1], *(".".join(part) for part in parts)])


def read_origin(data: bytes, source: str) -> Origin:
    """Where a direct_url.json (PEP 610) says that a distribution came from, without credentials.

    Raises `UnreadableError` when it does not say.
    """
    try:
        stated = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"is no JSON: {error}", where=source) from error
    match stated:
        case {"url": str(url), "vcs_info": {"vcs": str(system), "commit_id": str(commit)}}:
            return Vcs(system=system, url=without_credentials(url), commit=commit)
        case {"url": str(url), "archive_info": dict()}:
            return DirectUrl(url=without_credentials(url))
        case {"url": str(url), "dir_info": dict() as info}:
            return LocalFolder(url=without_credentials(url), editable=_is_true(info))
        case _:
            raise UnreadableError(
                "does not say where the distribution came from",
                where=source,
                expected="url and one of vcs_info, archive_info, dir_info (PEP 610)",
            )


def top_level_modules(paths: Iterable[str]) -> tuple[str, ...]:
    """The importable top-level names among normalised *paths* (`envguard.formats.record`), sorted.

    A folder counts when it holds a module at any depth, so ``google`` of a namespace package
    counts and ``numpy.libs`` does not.
    """
    names: set[str] = set()
    for path in paths:
        scheme, _, rest = path.partition("/")
        if scheme != "lib":
            continue
        top, _, below = rest.partition("/")
        if top in names:
            continue
        name = top if below else module_name(top)
        if name and name.isidentifier() and (not below or module_name(below.rpartition("/")[2])):
            names.add(name)
    return tuple(sorted(name for name in names if not name.startswith("__editable__")))


def module_name(filename: str) -> str | None:
    """``six`` of ``six.py`` and of ``six.cpython-311-x86_64-linux-gnu.so``; ``None`` of others."""
    stem, dot, rest = filename.partition(".")
    return stem if stem and _MODULE_SUFFIX.fullmatch(dot + rest) else None


def _fields(data: bytes) -> dict[str, list[str]]:
    """The interesting header fields by lower-case name, unfolded; the body is not looked at."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    fields: dict[str, list[str]] = {}
    for match in _FIELD.finditer(data, 0, _end_of_headers(data)):
        value = " ".join(match[2].decode("utf-8", "replace").split("\n"))
        fields.setdefault(match[1].decode().lower(), []).append(value.strip())
    return fields


def _end_of_headers(data: bytes) -> int:
    """Where the first line begins that is neither a header nor folded (RFC 5322)."""
    end = 0
    while match := _HEADER_LINE.match(data, end):
        if match.end() == end:
            break
        end = match.end()
    return end


def _single(
    fields: dict[str, list[str]], field: str, grammar: re.Pattern[str], problems: list[str]
) -> str:
    values = sorted(set(fields.get(field, ())))
    if len(values) != 1:
        problems.append(
            f"{field} is stated {'as ' + ' and '.join(values) if values else 'nowhere'}"
        )
    elif not grammar.fullmatch(values[0]):
        problems.append(f"not a {field}: {values[0][:80]!r}")
    return values[0] if values else ""


def _is_true(info: dict[str, Any]) -> bool:
    return info.get("editable") is True
