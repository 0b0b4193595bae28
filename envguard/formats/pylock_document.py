"""Writes ``pylock.toml``: a resolver's document in envguard's normal form.

Normal form (PEP 751): packages in order of name, version and marker, wheels in order of file
name, ``created-by = "envguard"``, no index and no credentials, and what lies on this machine as a
path relative to the lock. ``[tool.envguard]`` holds notes on what the lock was made from.
"""

import os.path
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from envguard.formats.toml import load
from envguard.formats.url import has_credentials, without_credentials
from envguard.model.errors import UsageError
from envguard.model.lock import Lock

_PACKAGE_KEYS = ("name", "version", "marker", "requires-python")
_SOURCE_KEYS = ("vcs", "directory", "archive", "sdist")
_LOCATIONS = ("url", "path")


def normalise(
    document: bytes, source: str, *, made_in: str, folder: str, environments: Iterable[str] = ()
) -> dict[str, Any]:
    """A resolver's *document* in normal form.

    *made_in* and *folder* are absolute: the folders that its relative paths start from now, and
    in the lock. *environments* are the markers that the lock is limited to. Raises as
    `toml.load` does.
    """
    stated = load(document, source)
    result: dict[str, Any] = {
        "lock-version": stated.get("lock-version", ""),
        "created-by": "envguard",
    }
    if requires_python := stated.get("requires-python"):
        result["requires-python"] = requires_python
    if limits := list(environments) or stated.get("environments"):
        result["environments"] = limits
    result["packages"] = sorted(
        (
            _package(package, made_in, folder, _implied(requires_python))
            for package in stated.get("packages", ())
        ),
        key=_order,
    )
    return result


def write(document: Mapping[str, Any], source: str, *, notes: Mapping[str, str]) -> bytes:
    """A document in normal form as text, with *notes* in ``[tool.envguard]``.

    Raises `UsageError` when a URL in it still carries a secret.
    """
    from tomli_w import dumps

    text = dumps({**document, "tool": {"envguard": dict(notes)}})
    if has_credentials(text):
        raise UsageError(
            "the lock would contain credentials",
            where=source,
            hint="keep credentials in the index configuration or in a keyring, not in requirements",
        )
    return text.encode()


def notes(document: Mapping[str, Any]) -> dict[str, str]:
    """The notes that `write` put into a lock; empty for a lock that another tool wrote."""
    match document.get("tool"):
        case {"envguard": dict() as stated}:
            return {key: value for key, value in stated.items() if isinstance(value, str)}
        case _:
            return {}


def pins(lock: Lock) -> bytes:
    """*lock*'s versions alone, as a document that a resolver takes its preferences from."""
    from tomli_w import dumps

    packages = [
        {"name": e.package.name, "version": e.package.version}
        | ({"marker": e.marker} if e.marker else {})
        for e in lock.entries
        if e.package.version
    ]
    return dumps({"lock-version": "1.0", "created-by": "envguard", "packages": packages}).encode()


def _implied(requires_python: str | None) -> str:
    """The marker that says no more than the lock's own ``requires-python``."""
    bound = (requires_python or "").removeprefix(">=").strip()
    return f"python_full_version >= '{bound}'"


def _package(stated: Mapping[str, Any], made_in: str, folder: str, implied: str) -> dict[str, Any]:
    package = {key: stated[key] for key in _PACKAGE_KEYS if key in stated}
    if package.get("marker") == implied:
        del package["marker"]
    for key in _SOURCE_KEYS:
        if key in stated:
            package[key] = _source(stated[key], made_in, folder)
    if "wheels" in stated:
        wheels = (_source(wheel, made_in, folder) for wheel in stated["wheels"])
        package["wheels"] = sorted(wheels, key=_filename)
    return package


def _source(stated: Mapping[str, Any], made_in: str, folder: str) -> dict[str, Any]:
    """A place to install from, with its location first."""
    rest = {key: value for key, value in stated.items() if key not in _LOCATIONS}
    url, path = stated.get("url"), stated.get("path")
    if path is None and url is not None and url.startswith("file:"):
        path = unquote(urlsplit(url).path)
    if path is None:
        return {"url": without_credentials(url or ""), **rest}
    absolute = os.path.normpath(os.path.join(made_in, path))  # noqa: PTH118 - no disk is asked
    return {"path": os.path.relpath(absolute, folder), **rest}


def _filename(source: Mapping[str, Any]) -> str:
    location: str = source.get("url") or source.get("path") or ""
    return str(source.get("name") or location.rpartition("/")[2])


def _order(package: Mapping[str, Any]) -> tuple[str, str, str]:
    return package.get("name", ""), package.get("version", ""), package.get("marker", "")
