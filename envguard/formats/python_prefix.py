"""Pythons in a tree of files: where they are and which they are, without running any of them.

A *prefix* is the folder that ``sys.prefix`` names: a virtual environment (it holds pyvenv.cfg,
PEP 405) or an installation (it holds ``lib/python3.x/os.py``, the landmark that CPython itself
looks for). One code path serves this machine and an image: paths are relative to the root of a
`Files` tree, so ``/opt/venv`` is ``opt/venv``.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping

from envguard.formats.interpreter import Installation, installed_interpreter, interpreter_of
from envguard.formats.libc import read_libc
from envguard.formats.os_release import distribution
from envguard.formats.pyvenv import VirtualEnvironment, read_pyvenv
from envguard.model.environment import Interpreter, Platform
from envguard.model.errors import UnreadableError
from envguard.model.files import Entry, Files, Kind, join, read

_LIBRARY = re.compile(r"(?:python|pypy)3\.\d+t?")
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_WELL_KNOWN = ("opt/venv", "venv", ".venv", "usr/local", "usr", "opt/conda")
_NOT_SEARCHED = re.compile(r"bin|boot|dev|etc|lib\w*|media|mnt|proc|run|sbin|sys|tmp|usr|var")
_SEARCH_DEPTH = 5
_SEARCH_LIMIT = 20_000
_MAXIMUM_LINKS = 40


def read_interpreter(files: Files, prefix: str) -> Interpreter | None:
    """The Python of *prefix*, an installation or a virtual environment; ``None`` where none is.

    A virtual environment is what its base says that it is: pyvenv.cfg was true on the day it was
    written. Where the base is not in the tree, pyvenv.cfg is all there is.
    """
    if installation := find_installation(files, prefix):
        return installed_interpreter(files, installation)
    settings = read_settings(files, prefix)
    if settings is None or settings.version is None:
        return None
    name = next(library_names(files, prefix), "python" + ".".join(settings.version.split(".")[:2]))
    return interpreter_of(name, settings.version, None)


def read_platform(files: Files, *, os: str, machine: str, prefix: str = "usr") -> Platform:
    """The platform of a tree: *os* as in OCI and *machine* as in wheel tags come from its owner.

    The C library is the one that the Python of *prefix* runs on.
    """
    installation = find_installation(files, prefix)
    program = installation.program if installation else None
    names = ("etc/os-release", "usr/lib/os-release")
    release = next((path for path in names if is_file(files, path)), None)
    return Platform(
        os=os,
        machine=machine,
        libc=read_libc(files, machine, program) if os == "linux" else None,
        distribution=distribution(read(files, release, limit=1 << 20)) if release else None,
    )


def find_prefixes(files: Files, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Every Python prefix of the tree, the one that ``python`` means first.

    First by *environment* (an image's): VIRTUAL_ENV, CONDA_PREFIX, PATH. Then the well-known
    places, then a search of bounded depth below the folders that hold applications.
    """
    found: dict[str, None] = {}
    for candidate in (*_stated_prefixes(environment or {}), *_WELL_KNOWN, *_searched(files)):
        if candidate not in found and is_prefix(files, candidate):
            found[candidate] = None
    return tuple(found)


def is_prefix(files: Files, prefix: str) -> bool:
    """Whether *prefix* is a virtual environment or a Python installation."""
    if is_file(files, join(prefix, "pyvenv.cfg")):
        return True
    installation = _installation(files, prefix)
    return installation is not None and installation.program is not None


def find_installation(files: Files, prefix: str) -> Installation | None:
    """The installation behind *prefix*: itself, or the base that its pyvenv.cfg leads to."""
    settings = read_settings(files, prefix)
    if settings is None:
        return _installation(files, prefix)
    wanted = next(library_names(files, prefix), None)
    bases = dict.fromkeys(_bases(files, settings))
    return next((found for base in bases if (found := _installation(files, base, wanted))), None)


def read_settings(files: Files, prefix: str) -> VirtualEnvironment | None:
    """The pyvenv.cfg of *prefix*, or ``None`` when it is no virtual environment."""
    path = join(prefix, "pyvenv.cfg")
    return read_pyvenv(read(files, path, limit=1 << 20), path) if is_file(files, path) else None


def library_names(files: Files, prefix: str) -> Iterator[str]:
    """The names below ``lib`` and ``lib64`` that are a Python's: ``python3.11``."""
    for folder in ("lib", "lib64"):
        for entry in files.scan(join(prefix, folder)):
            if entry.kind is not Kind.FILE and _LIBRARY.fullmatch(entry.name):
                yield entry.name


def is_file(files: Files, path: str) -> bool:
    """Whether *path* is a regular file of the tree, after following links."""
    entry = files.stat(path)
    return entry is not None and entry.kind is Kind.FILE


def inside(path: str) -> str:
    """An absolute path as the tree names it: ``/usr/bin`` is ``usr/bin``."""
    return posixpath.normpath("/" + path).lstrip("/")


def _stated_prefixes(environment: Mapping[str, str]) -> Iterator[str]:
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if environment.get(variable, "").startswith("/"):
            yield inside(environment[variable])
    for folder in environment.get("PATH", _DEFAULT_PATH).split(":"):
        if folder.startswith("/"):
            yield posixpath.dirname(inside(folder)) or "usr"  # /bin is a link to /usr/bin


def _searched(files: Files) -> Iterator[str]:
    """Folders that look like a prefix, breadth first, until the search's limits are reached."""
    level, seen = [""], 0
    for depth in range(_SEARCH_DEPTH):
        below: list[str] = []
        for folder in level:
            try:
                entries = files.scan(folder)
            except UnreadableError:
                continue
            names = {entry.name for entry in entries}
            if folder and ("pyvenv.cfg" in names or {"bin", "lib"} <= names):
                yield folder
            else:
                below += [
                    join(folder, entry.name) for entry in entries if _is_searched(entry, depth)
                ]
            seen += len(entries)
            if seen > _SEARCH_LIMIT:
                return
        level = below


def _is_searched(entry: Entry, depth: int) -> bool:
    if entry.kind is not Kind.FOLDER or entry.name in ("node_modules", ".git", "__pycache__"):
        return False
    return depth > 0 or not _NOT_SEARCHED.fullmatch(entry.name)


def _bases(files: Files, settings: VirtualEnvironment) -> Iterator[str]:
    """Prefixes that pyvenv.cfg may mean: home's parent, then where home's interpreter leads to."""
    yield posixpath.dirname(inside(settings.home))
    programs = [settings.executable] if settings.executable else []
    for program in (*programs, f"{settings.home}/python3", f"{settings.home}/python"):
        yield posixpath.dirname(posixpath.dirname(_followed(files, inside(program))))


def _followed(files: Files, path: str) -> str:
    """Where the chain of links that begins at *path* ends."""
    for _ in range(_MAXIMUM_LINKS):
        folder, name = posixpath.split(path)
        entry = next((entry for entry in files.scan(folder) if entry.name == name), None)
        if entry is None or entry.kind is not Kind.LINK or entry.target is None:
            break
        path = inside(posixpath.join("/", folder, entry.target))
    return path


def _installation(files: Files, prefix: str, wanted: str | None = None) -> Installation | None:
    """The installation in *prefix*; of several the one named *wanted*, else the ``python3`` one."""
    libraries = dict(reversed([*_libraries(files, prefix)]))
    if wanted not in libraries and len(libraries) > 1:
        wanted = posixpath.basename(_followed(files, join(prefix, "bin/python3")))
    name = wanted if wanted in libraries else next(iter(libraries), None)
    if name is None or (len(libraries) > 1 and name != wanted):
        return None
    programs = (join(prefix, f"bin/{program}") for program in (name, "python3", "python"))
    program = next((path for path in programs if is_file(files, path)), None)
    return Installation(prefix=prefix, library=libraries[name], program=program)


def _libraries(files: Files, prefix: str) -> Iterator[tuple[str, str]]:
    """Names and paths of the standard libraries in *prefix*, found by CPython's own landmark."""
    for folder in ("lib", "lib64"):
        for entry in files.scan(join(prefix, folder)):
            path = join(prefix, f"{folder}/{entry.name}")
            if _LIBRARY.fullmatch(entry.name) and is_file(files, join(path, "os.py")):
                yield entry.name, path
