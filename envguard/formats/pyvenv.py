"""pyvenv.cfg: the file that makes a folder a virtual environment (PEP 405).

Written by venv (``version``, ``executable``), virtualenv and uv (``version_info``, ``uv``).
"""

import re
from dataclasses import dataclass

from envguard.model.errors import UnreadableError

_LINE_END = re.compile(r"\r\n|\r|\n")
_VERSION = re.compile(
    r"(\d+\.\d+(?:\.\d+(?:(?:a|b|rc)\d+)?\+?)?)(?:\.(?:final|alpha|beta|candidate)\.\d+)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualEnvironment:
    """A pyvenv.cfg: *home* is the base interpreter's folder, *executable* that interpreter.

    *version* is what the maker wrote down then: the base may have been upgraded since.
    """

    home: str
    executable: str | None = None
    version: str | None = None
    system_site_packages: bool = False


def read_pyvenv(data: bytes, source: str) -> VirtualEnvironment:
    """Read a pyvenv.cfg as getpath and site do: the first ``home`` and the last of the others.

    Raises `UnreadableError` when it names no ``home``.
    """
    lines = [line.partition("=") for line in _LINE_END.split(data.decode("utf-8", "replace"))]
    pairs = [(key.strip().lower(), value.strip()) for key, equals, value in lines if equals]
    values = dict(pairs)
    values["home"] = next((value for key, value in pairs if key == "home"), "")
    if not values["home"]:
        raise UnreadableError("names no home", where=source, expected="a line `home = <folder>`")
    return VirtualEnvironment(
        home=values["home"],
        executable=values.get("executable") or values.get("base-executable") or None,
        version=_version(values.get("version_info") or values.get("version") or ""),
        system_site_packages=values.get("include-system-site-packages", "").lower() == "true",
    )


def _version(text: str) -> str | None:
    """``3.11.7`` of ``3.11.7.final.0`` (virtualenv) or of ``3.11.7`` (venv, uv)."""
    match = _VERSION.fullmatch(text)
    return match[1] if match else None
