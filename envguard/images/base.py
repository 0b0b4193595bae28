"""Facts of a base image, and whether it fits what is put onto it; nothing of it is run."""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envguard.formats.interpreter import Installation, installed_interpreter
from envguard.formats.python_prefix import is_file, read_platform
from envguard.images.links import follow, target_in
from envguard.model.environment import Environment, Interpreter, Libc, Platform
from envguard.model.errors import MismatchError, UsageError
from envguard.model.files import Files, join
from envguard.model.package import Package
from envguard.model.target import Target

if TYPE_CHECKING:
    from packaging.tags import Tag

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What engines set where an image states no PATH."""

_COMMANDS = ("python3", "python")
_LIBRARY = re.compile(r"python3\.\d+t?")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFacts:
    """What matters of a base. *source* is its name for people.

    *command* is the path that PATH gives for Python, *python* the program that it leads to; both
    absolute. *environment* are the variables that the image sets, *user* who a container runs as.
    *obstacles* say why nothing can be put at the prefix that was asked about.
    """

    source: str
    command: str
    python: str
    interpreter: Interpreter
    platform: Platform
    environment: Mapping[str, str]
    user: str | None = None
    obstacles: tuple[str, ...] = ()


def read_base(
    files: Files,
    *,
    source: str,
    os: str,
    architecture: str,
    environment: Mapping[str, str],
    prefix: str,
    user: str | None = None,
    python: str | None = None,
) -> BaseFacts:
    """The facts of the base in *files*; *os* and *architecture* in Go's words (``amd64``).

    *prefix* is where something is to be put, relative to the root (``opt/venv``); *python* names
    the command where PATH leads to several Pythons.
    Raises `UsageError` when there is none, or several and none is named.
    """
    target_of = target_in(files)
    path = environment.get("PATH", DEFAULT_PATH)
    commands = [python] if python else list(_commands(files, path))
    found = {
        real: command
        for command in reversed(commands)
        if is_file(files, real := follow(command, target_of).path)
        and not posixpath.basename(real).startswith("python2")
    }
    if len(found) != 1:
        raise _not_one(source, path, python, found)
    ((real, command),) = found.items()
    installation = installation_of(files, real)
    machine = _MACHINES.get(architecture, architecture)
    return BaseFacts(
        source=source,
        command=command,
        python=f"/{real}",
        interpreter=installed_interpreter(files, installation),
        platform=read_platform(files, os=os, machine=machine, prefix=installation.prefix),
        environment=environment,
        user=user,
        obstacles=obstacles(prefix, target_of, lambda path: files.stat(path) is not None),
    )


def check_base(facts: BaseFacts, wanted: Environment) -> None:
    """Raise `MismatchError` naming everything that keeps *wanted* from being put onto the base.

    *wanted* is what a lock selects: its wheels must be for the base's machine, Python, ABI and C
    library.
    """
    problems = [
        *_platform_problems(facts.platform, wanted.platform.value),
        *_interpreter_problems(facts.interpreter, wanted.interpreter.value),
    ]
    if not problems:
        # Only now it is the wheel's fault alone.
        problems += _wheel_problems(facts, wanted.packages.value or ())
    problems += facts.obstacles
    if problems:
        raise MismatchError(
            f"the base does not fit {wanted.source}: " + "; ".join(problems),
            where=facts.source,
            hint="choose another base, or lock again for this one",
        )


def obstacles(
    prefix: str, target_of: Callable[[str], str | None], exists: Callable[[str], bool]
) -> tuple[str, ...]:
    """Why nothing can be put at *prefix*: it is there already, or it lies below a link.

    Engines disagree about names below a link, and the layers of an image must not need them.
    """
    links = [
        f"/{prefix} would lie below the link /{link} -> {target}"
        for link, target in follow(prefix, target_of).links
    ]
    return (*links, *([f"/{prefix} is there already"] if exists(prefix) else []))


def installation_of(files: Files, program: str) -> Installation:
    """The installation that *program*, a path without links, starts.

    It is found by the landmark that CPython's getpath looks for. Raises `UsageError`.
    """
    program = program.lstrip("/")
    name, prefix = posixpath.basename(program), posixpath.dirname(program)
    while prefix:
        prefix = posixpath.dirname(prefix)
        libraries = dict(_libraries(files, prefix))
        if len(libraries) == 1 and name.startswith("python"):
            libraries[name] = next(iter(libraries.values()))
        if name in libraries:
            return Installation(prefix=prefix, library=libraries[name], program=program)
    raise UsageError(
        "is the program of no Python installation",
        where=f"/{program}",
        expected=f"lib/{name}/os.py below one of its parent folders",
        hint="name the interpreter of a whole installation",
    )


def _libraries(files: Files, prefix: str) -> Iterator[tuple[str, str]]:
    for base in ("lib64", "lib"):
        for entry in files.scan(join(prefix, base)):
            path = join(prefix, f"{base}/{entry.name}")
            if _LIBRARY.fullmatch(entry.name) and is_file(files, join(path, "os.py")):
                yield entry.name, path


def _commands(files: Files, path: str) -> Iterator[str]:
    for folder in path.split(":"):
        for name in _COMMANDS:
            command = posixpath.join(folder, name)
            if folder.startswith("/") and is_file(files, command.lstrip("/")):
                yield command


def _not_one(source: str, path: str, python: str | None, found: Mapping[str, str]) -> UsageError:
    if found:
        return UsageError(
            "has several Pythons: say which one the image is for",
            where=source,
            expected="one Python on PATH, or the path of one",
            found=", ".join(f"{command} (/{real})" for real, command in sorted(found.items())),
            hint="name its command, for example " + min(found.values()),
        )
    return UsageError(
        f"has no {python}" if python else "has no Python",
        where=source,
        expected="python3 in one of the folders of PATH",
        found=f"PATH={path}",
        hint="choose a base with Python, or use `--base host`",
    )


def _platform_problems(base: Platform, wanted: Platform | None) -> Iterator[str]:
    if wanted is None:
        return
    if (base.os, base.machine) != (wanted.os, wanted.machine):
        yield f"it is for {base.os} {base.machine}, not {wanted.os} {wanted.machine}"
    if base.libc and wanted.libc and base.libc.family != wanted.libc.family:
        yield f"its C library is {base.libc.family}, not {wanted.libc.family}"


def _interpreter_problems(base: Interpreter, wanted: Interpreter | None) -> Iterator[str]:
    if wanted is None:
        return
    before, after = _kind(wanted), _kind(base)
    if before != after:
        yield f"its Python is {after} ({base.version}), not {before}"
    elif base.abi and wanted.abi and base.abi != wanted.abi:
        yield f"its Python has the ABI {base.abi}, not {wanted.abi}"


def _kind(interpreter: Interpreter) -> str:
    """``cpython 3.13 free-threaded``: what a Python must have in common with another."""
    words = [interpreter.implementation, interpreter.minor]
    words += ["free-threaded"] if interpreter.free_threaded else []
    words += ["debug"] if interpreter.debug else []
    return " ".join(words)


def _wheel_problems(facts: BaseFacts, packages: Iterable[Package]) -> Iterator[str]:
    """Packages whose wheel has no tag that the base accepts."""
    from packaging.utils import parse_wheel_filename

    accepted = frozenset(Target(interpreter=facts.interpreter, platform=facts.platform).tags())
    for package in packages:
        for archive in package.archives:
            if archive.is_wheel and archive.filename:
                tags = parse_wheel_filename(archive.filename)[-1]
                if tags.isdisjoint(accepted):
                    yield _wheel_problem(package, tags, facts.platform.libc)


def _wheel_problem(package: Package, tags: "frozenset[Tag]", libc: Libc | None) -> str:
    wheel = f"the wheel of {package.name} {package.version}"
    platforms = sorted({tag.platform for tag in tags})
    if any("linux" in platform for platform in platforms):
        found = f"{libc.family} {libc.version}" if libc else "an unknown C library"
        return f"{wheel} is for {' or '.join(platforms)}, and the base has {found}"
    return f"{wheel} is for {' or '.join(sorted(map(str, tags)))}"
