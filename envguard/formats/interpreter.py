"""Which Python an installation is, from the files that it brings along; nothing is run.

Facts are believed in this order: build-details.json (PEP 739), the header patchlevel.h, the
version that the executable or libpython carries, the name of the standard library's folder.
"""

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from envguard.formats.binaries import find_texts
from envguard.model.environment import Interpreter
from envguard.model.errors import UnreadableError
from envguard.model.files import Files, Kind, join, read

_PY_VERSION = re.compile(rb'^#\s*define\s+PY_VERSION\s+"(3\.\d+[^"\s]{0,40})"', re.M)
_EXTENSION = re.compile(r"[^.]+\.((?:cpython|pypy)[\w-]+)\.so")
_SOABI = re.compile(rb"'SOABI': '([\w-]{1,100})'")
_ABI_FLAGS = re.compile(r"(?:cpython-|pypy)\d+([a-z]*)")
_RELEASE_LEVELS = {"final": "", "alpha": "a", "beta": "b", "candidate": "rc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A Python installation: its *prefix*, its standard *library* folder, its *program* if any."""

    prefix: str
    library: str
    program: str | None = None

    @property
    def name(self) -> str:
        """``python3.11`` or ``python3.13t``, as its folders below ``lib`` are called."""
        return posixpath.basename(self.library)

    @property
    def minor(self) -> str:
        """``3.11``."""
        return self.name.removeprefix("pypy").removeprefix("python").removesuffix("t")


def installed_interpreter(files: Files, installation: Installation) -> Interpreter:
    """The interpreter of *installation*; its version is ``3.11`` where no file states more."""
    if interpreter := _from_build_details(files, installation):
        return interpreter
    abi = _abi(files, installation)
    version = next(_versions(files, installation, abi), installation.minor)
    return interpreter_of(installation.name, version, abi)


def interpreter_of(name: str, version: str, abi: str | None) -> Interpreter:
    """An interpreter by the *name* of its library folder (``python3.13t``) and its SOABI."""
    flags = match[1] if abi and (match := _ABI_FLAGS.match(abi)) else ""
    return Interpreter(
        implementation="pypy" if name.startswith("pypy") else "cpython",
        version=version,
        abi=abi,
        free_threaded="t" in flags or name.endswith("t"),
        debug="d" in flags,
    )


def _from_build_details(files: Files, installation: Installation) -> Interpreter | None:
    """Source: PEP 739 and the build-details.json specification 1.0."""
    path = join(installation.library, "build-details.json")
    try:
        stated = json.loads(read(files, path, limit=1 << 20))
    except (UnreadableError, ValueError, RecursionError):
        return None
    match stated:
        case {
            "implementation": {"name": str(implementation)},
            "language": {"version_info": {"major": int(), "minor": int(), "micro": int()} as info},
            "abi": {"flags": list(flags), **abi},
        }:
            suffix = abi.get("extension_suffix")
            return Interpreter(
                implementation=implementation,
                version=_version_of(info),
                abi=str(suffix).removeprefix(".").removesuffix(".so") if suffix else None,
                free_threaded="t" in flags,
                debug="d" in flags,
            )
    return None


def _version_of(info: dict[str, Any]) -> str:
    """``3.14.0rc1`` of a ``sys.version_info`` as JSON."""
    level = _RELEASE_LEVELS.get(str(info.get("releaselevel", "final")), "")
    serial = str(info.get("serial", 0)) if level else ""
    return f"{info['major']}.{info['minor']}.{info['micro']}{level}{serial}"


def _abi(files: Files, installation: Installation) -> str | None:
    """SOABI: what the names of the standard library's extension modules say, else sysconfig's."""
    found = Counter(
        match[1]
        for folder in (join(installation.library, "lib-dynload"), installation.library)
        for entry in files.scan(folder)
        if (match := _EXTENSION.fullmatch(entry.name))
    )
    if found:
        return found.most_common(1)[0][0]
    for entry in files.scan(installation.library):
        if entry.name.startswith("_sysconfigdata_") and entry.name.endswith(".py"):
            return next(find_texts(files, join(installation.library, entry.name), _SOABI), None)
    return None


def _versions(files: Files, installation: Installation, abi: str | None) -> Iterator[str]:
    """Full versions of this minor version, the most trustworthy first."""
    for suffix in ("", "m", "d", "dm"):
        header = join(installation.prefix, f"include/{installation.name}{suffix}/patchlevel.h")
        yield from (
            version
            for version in find_texts(files, header, _PY_VERSION)
            if version.startswith(f"{installation.minor}.")
        )
    for path in _binaries(installation, abi):
        if _is_file(files, path) and (version := _version_inside(files, path, installation.minor)):
            yield version


def _binaries(installation: Installation, abi: str | None) -> Iterator[str]:
    if installation.program:
        yield installation.program
    triplet = "-".join(abi.split("-")[2:]) if abi else ""
    for folder in ("lib", f"lib/{triplet}", "lib64"):
        for suffix in ("", "m", "d"):
            yield join(installation.prefix, f"{folder}/lib{installation.name}{suffix}.so.1.0")


def _version_inside(files: Files, path: str, minor: str) -> str | None:
    """The one version of *minor* among a binary's texts; ``None`` when it carries several.

    PY_VERSION is a text of its own, but linkers merge a text into any longer one with the same
    end: ``/opt/python/3.11.7`` can be all that is left of ``3.11.7``.
    """
    text = rb"(%s\.\d{1,3}(?:(?:a|b|rc)\d{1,3})?\+?)\0" % re.escape(minor.encode())
    for before in (rb"\0", rb"(?<![\w.])", rb"(?<![\d.])"):
        found = set(find_texts(files, path, re.compile(before + text)))
        if len(found) == 1:
            return found.pop()
    return None


def _is_file(files: Files, path: str) -> bool:
    entry = files.stat(path)
    return entry is not None and entry.kind is Kind.FILE
