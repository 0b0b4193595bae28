"""The files that an installer would put into a prefix, planned without writing any of them.

Equal to what pip and uv install, but for RECORD, INSTALLER and the text of scripts, which are
pure functions of the wheel, the prefix and the Python here.

Source: PyPA "Binary distribution format" (PEP 427), "Entry points", "Recording installed
projects" (PEP 376, 627).
"""

import configparser
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from envguard.formats.record import record_hash
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError
from envguard.wheels.archive import Wheel
from envguard.wheels.zip import Member

_SCRIPT_NAME = re.compile(r"[\w.@+-][\w.@+ -]*")
_TARGET = re.compile(r"\s*(?P<module>[\w.]+)\s*(?::\s*(?P<attr>[\w.]+)\s*)?(?:\[.*\]\s*)?")
_WRITTEN_BY_INSTALLERS = ("RECORD", "INSTALLER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A file at *path* (no leading slash): the bytes of a member, or bytes made here."""

    path: str
    executable: bool
    source: Member | bytes
    digest: Digest


def plan(
    wheel: Wheel, members: Mapping[str, Digest], *, prefix: str, python_minor: str
) -> tuple[Placed, ...]:
    """All files of *wheel* in the virtual environment *prefix* (``opt/venv``), sorted by path.

    *members* are the digests of the wheel's members (`envguard.wheels.content.Content.members`),
    *python_minor* is ``3.11``. Raises `UnreadableError` naming every member without a place, every
    entry point that makes no script, and every path that two files claim or that belongs to the
    environment itself; `IntegrityError` when *members* are not those of this wheel.
    """
    _check_covers(wheel, members)
    layout = _Layout(prefix=prefix, python_minor=python_minor, wheel=wheel)
    problems: list[str] = []
    placed = [
        *_from_members(wheel, members, layout, problems),
        *_entry_points(wheel, layout, problems),
        _generated(f"{layout.site}/{wheel.dist_info}/INSTALLER", b"envguard\n"),
    ]
    record = f"{layout.site}/{wheel.dist_info}/RECORD"
    placed.append(_generated(record, _record(placed, record, layout)))
    problems.extend(_collisions(placed, layout))
    if problems:
        raise UnreadableError(
            "; ".join(problems), where=wheel.filename, expected="a wheel that can be installed"
        )
    return tuple(sorted(placed, key=lambda file: file.path))


class _Layout:
    """Where the schemes of a virtual environment lie (``sysconfig``, scheme ``venv``)."""

    def __init__(self, *, prefix: str, python_minor: str, wheel: Wheel) -> None:
        self.prefix = prefix
        self.python_minor = python_minor
        self.site = f"{prefix}/lib/python{python_minor}/site-packages"
        self.schemes = {
            "purelib": self.site,
            "platlib": self.site,
            "scripts": f"{prefix}/bin",
            "headers": f"{prefix}/include/site/python{python_minor}/{wheel.name}",
            "data": prefix,
        }
        self.interpreter = f"/{prefix}/bin/python"
        names = ("", "3", python_minor)
        self.reserved = {f"{prefix}/bin/python{name}" for name in names} | {
            f"{prefix}/pyvenv.cfg",
            f"{prefix}/lib64",
        }


def _check_covers(wheel: Wheel, members: Mapping[str, Digest]) -> None:
    """RECORD alone has no digest: it is made anew."""
    has = {member.path for member in wheel.members} - {f"{wheel.dist_info}/RECORD"}
    if differing := sorted(has ^ members.keys()):
        raise IntegrityError(
            "the digests of its members are those of another file",
            where=wheel.filename,
            found=", ".join(differing[:5]),
            hint="delete the folder notes in the vault, and run this again",
        )


def _from_members(
    wheel: Wheel, members: Mapping[str, Digest], layout: _Layout, problems: list[str]
) -> Iterator[Placed]:
    skipped = {f"{wheel.dist_info}/{name}" for name in _WRITTEN_BY_INSTALLERS}
    for member in wheel.members:
        if member.path in skipped:
            continue
        if not member.path.startswith(f"{wheel.data_folder}/"):
            yield _placed(member, f"{layout.site}/{member.path}", members)
            continue
        scheme, _, rest = member.path[len(wheel.data_folder) + 1 :].partition("/")
        if not rest or scheme not in layout.schemes:
            problems.append(f"{member.path} is in no scheme that installers know")
        elif scheme == "scripts":
            yield _script(wheel, member, f"{layout.schemes[scheme]}/{rest}", layout, members)
        else:
            yield _placed(member, f"{layout.schemes[scheme]}/{rest}", members)


def _placed(member: Member, path: str, members: Mapping[str, Digest]) -> Placed:
    return Placed(
        path=path, executable=member.executable, source=member, digest=members[member.path]
    )


def _script(
    wheel: Wheel, member: Member, path: str, layout: _Layout, members: Mapping[str, Digest]
) -> Placed:
    """A file of the scripts scheme, executable.

    "If the first line of a file in scripts/ starts with exactly b'#!python', rewrite to point to
    the correct interpreter."
    """
    if wheel.head(member, 8) == b"#!python":
        _, newline, rest = wheel.read(member).partition(b"\n")
        data = b"#!" + layout.interpreter.encode() + newline + rest
        return _generated(path, data, executable=True)
    return Placed(path=path, executable=True, source=member, digest=members[member.path])


def _generated(path: str, data: bytes, *, executable: bool = False) -> Placed:
    return Placed(path=path, executable=executable, source=data, digest=Digest.of(data))


def _entry_points(wheel: Wheel, layout: _Layout, problems: list[str]) -> Iterator[Placed]:
    """A script for each console and GUI entry point."""
    member = wheel.by_path.get(f"{wheel.dist_info}/entry_points.txt")
    if member is None:
        return
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(wheel.read(member).decode())
    except (UnicodeDecodeError, configparser.Error) as error:
        problems.append(f"{member.path} cannot be read: {error}")
        return
    for section in ("console_scripts", "gui_scripts"):
        for name, target in parser.items(section) if parser.has_section(section) else ():
            match = _TARGET.fullmatch(target)
            if match and match["attr"] and _SCRIPT_NAME.fullmatch(name):
                for command in _commands(wheel, name, layout):
                    yield _wrapper(command, match["module"], match["attr"], layout)
            else:
                problems.append(f"{member.path}: no script can be made of {name} = {target}")


def _commands(wheel: Wheel, name: str, layout: _Layout) -> tuple[str, ...]:
    """Installers give pip itself a command for the Python at hand, whatever its wheel names."""
    if wheel.name != "pip" or not name.startswith("pip3"):
        return (name,)
    return ("pip3", f"pip{layout.python_minor}") if name == "pip3" else ()


def _wrapper(name: str, module: str, attribute: str, layout: _Layout) -> Placed:
    from installer.scripts import Script

    script = Script(name, module, attribute, "console")
    _, data = script.generate(layout.interpreter, "posix")
    return _generated(f"{layout.prefix}/bin/{name}", data, executable=True)


def _record(placed: list[Placed], record: str, layout: _Layout) -> bytes:
    """RECORD of what is placed, sorted by path; its own row has neither digest nor size."""
    rows = [(record, "", "")]
    for file in placed:
        size = len(file.source) if isinstance(file.source, bytes) else file.source.size
        rows.append((file.path, record_hash(file.digest), str(size)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for path, digest, length in sorted(rows):
        writer.writerow((_relative(path, layout), digest, length))
    return text.getvalue().encode()


def _relative(path: str, layout: _Layout) -> str:
    """*path* as RECORD writes it: relative to site-packages, three folders below the prefix."""
    if path.startswith(f"{layout.site}/"):
        return path[len(layout.site) + 1 :]
    return "../../../" + path[len(layout.prefix) + 1 :]


def _collisions(placed: list[Placed], layout: _Layout) -> Iterator[str]:
    """Paths that two files claim, that are a file and a folder, or that the environment owns."""
    paths = Counter(file.path for file in placed)
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    yield from (f"two files are to be {path}" for path, count in paths.items() if count > 1)
    yield from (f"{path} is to be a file and a folder" for path in sorted(paths.keys() & folders))
    owned = layout.reserved & (paths.keys() | folders)
    yield from (f"{path} belongs to the environment itself" for path in sorted(owned))
