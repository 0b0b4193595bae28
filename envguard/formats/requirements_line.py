"""Reads one line of a requirements file.

Follows pip's own order of questions (``parse_req_from_line``, ``parse_editable``), with one
difference: whether a word is a path is decided by its looks alone, never by what lies on a disk.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from envguard.formats.requirements_grammar import Given, GrammarError, expand, split
from envguard.formats.requirements_model import (
    Direct,
    Include,
    Line,
    Named,
    Place,
    Setting,
    is_archive,
    is_url,
)
from envguard.formats.url import redacted, without_credentials
from envguard.model.digest import Digest

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_EXTRAS = re.compile(r"(?P<before>[^\[]+)\[(?P<extras>[^\]]*)\]")
_NAMED_URL = re.compile(r"[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*@\s*(?P<url>\S+)")
_OF_REQUIREMENTS = frozenset({"--hash", "--config-settings", "--global-option"})
_OF_EDITABLES = frozenset({"--editable", "--config-settings"})
_INCLUDES = frozenset({"--requirement", "--constraint"})
_WITH_URL = frozenset({"--index-url", "--extra-index-url", "--find-links"})


def read_line(
    text: str, place: Place, *, variables: Mapping[str, str], is_constraint: bool
) -> tuple[Line | Include, ...]:
    """What the logical line *text* says. Raises `GrammarError`."""
    expanded = expand(text, variables)
    requirement, given = split(expanded)
    editable = any(option.name == "--editable" for option in given)
    if not requirement and not editable:
        return _settings(given, place, redacted(text))
    if requirement:
        _refuse_others(given, _OF_REQUIREMENTS, "on a requirement's line")
    else:
        _refuse_others(given, _OF_EDITABLES, "beside --editable")
    reference = _reference(requirement, given)
    line = _requirement(
        reference,
        written=reference if expanded == text else _reference(*split(text)) or text,
        place=place,
        shown=redacted(text),
        editable=editable,
    )
    stated = (_hash(option.value or "") for option in given if option.name == "--hash")
    line = replace(
        line,
        digests=tuple(sorted({*line.digests, *stated})),
        build_options=tuple(option for option in given if _builds(option)),
        is_constraint=is_constraint,
    )
    return (line,)


def _settings(given: tuple[Given, ...], place: Place, shown: str) -> tuple[Line | Include, ...]:
    """The options of a line without a requirement."""
    _refuse_others(given, {o.name for o in given} - _OF_REQUIREMENTS, "without a requirement")
    includes = [option for option in given if option.name in _INCLUDES]
    if includes and len(given) > 1:
        raise GrammarError(f"options beside {includes[0].name}, which pip drops")
    if includes:
        is_constraint = includes[0].name == "--constraint"
        return (Include(place=place, path=includes[0].value or "", is_constraint=is_constraint),)
    return tuple(
        Setting(place=place, text=shown, name=option.name, value=_without_secret(option))
        for option in given
    )


def _without_secret(option: Given) -> str | None:
    if option.value is None or option.name not in _WITH_URL:
        return option.value
    return without_credentials(option.value)


def _refuse_others(
    given: tuple[Given, ...], allowed: "frozenset[str] | set[str]", why: str
) -> None:
    if others := sorted({option.name for option in given} - allowed):
        raise GrammarError(f"{' and '.join(others)} {why}, which pip drops")


def _reference(requirement: str, given: tuple[Given, ...]) -> str:
    """The text that says what to install: the words before options, or the editable."""
    editables = [option.value or "" for option in given if option.name == "--editable"]
    if len(editables) > 1:
        raise GrammarError("several --editable on one line, of which pip reads the first")
    return requirement or "".join(editables)


def _builds(option: Given) -> bool:
    """Whether *option* is handed to a build backend."""
    if option.name == "--config-settings" and "=" not in (option.value or ""):
        raise GrammarError("--config-settings is not KEY=VALUE")
    return option.name in ("--config-settings", "--global-option")


def _hash(text: str) -> Digest:
    algorithm, _, digits = text.partition(":")
    try:
        return Digest.parse(f"{algorithm}:{digits.lower()}")
    except ValueError as error:
        raise GrammarError("a hash is not sha256, sha384 or sha512 and its hex digits") from error


def _requirement(
    text: str, *, written: str, place: Place, shown: str, editable: bool
) -> Named | Direct:
    """What *text*, without options, asks for; *written* is the same with variables unexpanded."""
    reference, marker = _without_marker(text)
    url = _url_in(reference, editable=editable)
    if url is None:
        parsed = _pep508(reference)
        return Named(
            place=place,
            text=shown,
            name=_normal(parsed.name),
            specifier=str(parsed.specifier),
            extras=tuple(sorted(parsed.extras)),
            marker=_marker(marker),
        )
    shown_url = _url_in(_without_marker(written)[0], editable=editable) or written
    line = Direct(
        place=place,
        text=shown,
        url=without_credentials(shown_url),
        marker=_marker(marker),
        editable=editable,
    )
    return _told_by(line, reference, url)


def _without_marker(text: str) -> tuple[str, str]:
    reference, _, marker = text.partition("; " if is_url(text) else ";")
    return reference.strip(), marker.strip()


def _url_in(reference: str, *, editable: bool) -> str | None:
    """The URL or path of a direct reference; ``None`` for a name with a specifier."""
    if match := _NAMED_URL.fullmatch(reference):
        return match["url"]
    if is_url(reference):
        return reference
    if "@" in reference and not _looks_like_path(reference.partition("@")[0]):
        return None
    match = _EXTRAS.fullmatch(reference)
    path = match["before"].strip() if match else reference
    if not (editable or _looks_like_path(path) or is_archive(path)):
        return None
    if "://" in path:
        raise GrammarError("a URL of a kind that pip does not know")
    return path


def _looks_like_path(text: str) -> bool:
    return "/" in text or text.startswith(".")


def _told_by(line: Direct, reference: str, url: str) -> Direct:
    """*line* with name, version, extras and digests as far as the reference itself tells them."""
    expanded = replace(line, url=url)
    if line.editable and not (expanded.vcs or expanded.is_local):
        raise GrammarError("only a folder or a version-control URL can be editable")
    fragment = parse_qs(url.partition("#")[2], max_num_fields=100)
    name, version = _of_filename(expanded.filename)
    stated, extras = _stated_name(reference, fragment.get("egg", [""])[0])
    if name and stated and name != stated:
        raise GrammarError(f"names {stated} for an archive of {name}")
    digests = (f"{key}:{fragment[key][0]}" for key in fragment if key.startswith("sha"))
    return replace(
        line,
        name=stated or name,
        version=version,
        extras=extras,
        digests=tuple(_hash(digest) for digest in digests if _is_strong(digest)),
    )


def _stated_name(reference: str, egg: str) -> tuple[str | None, tuple[str, ...]]:
    """Name and extras: of ``name[extra] @ url``, ``path[extra]`` or ``#egg=name[extra]``."""
    if _NAMED_URL.fullmatch(reference):
        parsed = _pep508(reference)
        return _normal(parsed.name), tuple(sorted(parsed.extras))
    match = _EXTRAS.fullmatch(egg or ("" if is_url(reference) else reference))
    extras = (extra.strip() for extra in match["extras"].split(",")) if match else ()
    name = match["before"] if egg and match else egg
    return _normal(name) if name else None, tuple(sorted({*extras} - {""}))


def _is_strong(digest: str) -> bool:
    return digest.startswith(("sha256:", "sha384:", "sha512:"))


def _of_filename(filename: str | None) -> tuple[str | None, str | None]:
    """Name and version in an archive's name; a wheel must have them, any other archive may."""
    from packaging.utils import (
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    if filename is None:
        return None, None
    try:
        if filename.endswith(".whl"):
            name, version, *_ = parse_wheel_filename(filename)
        else:
            name, version = parse_sdist_filename(filename)
    except InvalidWheelFilename as error:
        raise GrammarError("the wheel's file name is not valid (PEP 427)") from error
    except InvalidSdistFilename:
        return None, None
    return name, str(version)


def _pep508(text: str) -> "Requirement":
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement as error:
        why = str(error).partition("\n")[0]
        raise GrammarError(
            f"{redacted(text)[:100]!r} is no requirement: {redacted(why)}"
        ) from error
    except RecursionError as error:
        raise GrammarError("is nested too deeply") from error


def _marker(text: str) -> str | None:
    from packaging.markers import InvalidMarker, Marker

    try:
        return str(Marker(text)) if text else None
    except InvalidMarker as error:
        raise GrammarError(f"{redacted(text)[:100]!r} is no environment marker") from error
    except RecursionError as error:
        raise GrammarError("the marker is nested too deeply") from error


def _normal(name: str) -> str:
    from packaging.utils import InvalidName, canonicalize_name

    try:
        return canonicalize_name(name, validate=True)
    except InvalidName as error:
        raise GrammarError(f"{redacted(name)[:100]!r} is no distribution name") from error
