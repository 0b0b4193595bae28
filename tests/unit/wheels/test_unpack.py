"""The plan of an installation: what uv installs, and nothing that a wheel must not touch."""

import csv
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from envguard.formats.record import read_record
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError
from envguard.wheels.archive import Wheel
from envguard.wheels.content import read_content
from envguard.wheels.unpack import Placed, plan
from envguard.wheels.zip import Member
from tests.support.wheels import make_wheel

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"opt/venv/lib/python{MINOR}/site-packages"
INFO = "demo-1.0.dist-info"
FILES = {
    "demo/__init__.py": b"def main():\n    return 0\n",
    "demo/data,with comma.txt": b"",
    "demo/tool.sh": b"#!/bin/sh\n",
    "demo/__pycache__/x.cpython-311.pyc": b"bytecode",
    "top.py": b"",
    "demo-1.0.data/purelib/pure.py": b"pure",
    "demo-1.0.data/platlib/plat.so": b"\x7fELF",
    "demo-1.0.data/scripts/rewritten": b"#!python -u\nprint('x')\n",
    "demo-1.0.data/scripts/shell": b"#!/bin/sh\necho x\n",
    "demo-1.0.data/scripts/binary": b"\x7fELF",
    "demo-1.0.data/headers/demo.h": b"int x;",
    "demo-1.0.data/data/share/man/demo.1": b"manual",
    f"{INFO}/entry_points.txt": (
        b"# comment\n[console_scripts]\ndemo = demo:main\ndemo-2.x = demo.sub : Class.run [extra]\n"
        b"\n[gui_scripts]\ndemo-gui=demo:main\n\n[other]\nx = not:a:script\n"
    ),
    f"{INFO}/INSTALLER": b"somebody\n",
    f"{INFO}/licenses/LICENSE": b"free",
}
MODES = {"demo/tool.sh": 0o100755, "top.py": 0o100600}


def planned(path: Path, prefix: str = "opt/venv") -> tuple[Placed, ...]:
    with Wheel.open(path) as wheel:
        members = read_content(wheel).members
        return plan(wheel, members, prefix=prefix, python_minor=MINOR)


def data_of(path: Path, placed: Placed) -> bytes:
    match placed.source:
        case Member() as member:
            with Wheel.open(path) as wheel:
                return wheel.read(member)
        case bytes() as data:
            return data


def installed(prefix: Path) -> dict[str, tuple[bool, bytes]]:
    files = (p for p in prefix.rglob("*") if p.is_file() and not p.is_symlink())
    return {
        str(p.relative_to(prefix)): (bool(p.stat().st_mode & 0o100), p.read_bytes()) for p in files
    }


def by_uv(wheel: Path, prefix: Path) -> dict[str, tuple[bool, bytes]]:
    """What `uv pip install` adds to a fresh virtual environment."""
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, prefix], check=True)
    before = installed(prefix).keys() | {".lock"}
    command = [uv, "pip", "install", "-q", "--offline", "--no-deps", "-p", str(prefix)]
    subprocess.run([*command, wheel], check=True)
    return {path: file for path, file in installed(prefix).items() if path not in before}


def compared(files: Mapping[str, tuple[bool, bytes]]) -> dict[str, tuple[bool, bytes]]:
    """Without what may differ: files that installers write, and the text of scripts."""
    own = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
    return {
        path: (executable, b"script" if data.startswith(b"#!") and "/bin/" in f"/{path}" else data)
        for path, (executable, data) in files.items()
        if not (".dist-info/" in path and path.endswith(own))
    }


@pytest.mark.parametrize("name", ["demo", "Demo_Name"])
def test_equal_to_what_uv_installs(name: str, tmp_path: Path):
    files = {path.replace("demo-1.0.", f"{name}-1.0."): data for path, data in FILES.items()}
    path = make_wheel(tmp_path, files, name=name, modes=MODES)
    mine = {
        placed.path.removeprefix("opt/venv/"): (placed.executable, data_of(path, placed))
        for placed in planned(path)
    }
    assert compared(mine) == compared(by_uv(path, tmp_path / "venv"))


def test_scripts_run_in_their_prefix(tmp_path: Path):
    prefix = tmp_path / "venv"
    path = make_wheel(tmp_path, FILES)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    for placed in planned(path, prefix=str(prefix).lstrip("/")):
        target = Path("/") / placed.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data_of(path, placed))
        target.chmod(0o755 if placed.executable else 0o644)
    assert subprocess.run([prefix / "bin" / "demo"]).returncode == 0
    done = subprocess.run([prefix / "bin" / "rewritten"], capture_output=True, text=True)
    assert done.stdout == "x\n"


def test_digests_and_record_are_those_of_the_bytes(tmp_path: Path):
    path = make_wheel(tmp_path, FILES)
    files = planned(path)
    assert [file.path for file in files] == sorted(file.path for file in files)
    for file in files:
        assert file.digest == Digest.of(data_of(path, file))
    [record] = [file for file in files if file.path == f"{SITE}/{INFO}/RECORD"]
    assert isinstance(record.source, bytes)
    rows = read_record(record.source, "RECORD")
    assert {row.path: (row.digest, row.size) for row in rows} == {
        relative(file.path): (file.digest, len(data_of(path, file)))
        if file is not record
        else (None, None)
        for file in files
    }
    names = [row[0] for row in csv.reader(record.source.decode().splitlines())]
    assert sorted(f"{SITE}/{name}" for name in names if not name.startswith("..")) == [
        f"{SITE}/{name}" for name in names if not name.startswith("..")
    ]


def relative(path: str) -> str:
    inside = path.removeprefix(f"{SITE}/")
    return inside if inside != path else "../../../" + path.removeprefix("opt/venv/")


def test_rewritten_scripts_name_the_interpreter(tmp_path: Path):
    files = {file.path: file for file in planned(make_wheel(tmp_path, FILES))}
    assert files["opt/venv/bin/rewritten"].source == b"#!/opt/venv/bin/python\nprint('x')\n"
    assert isinstance(files["opt/venv/bin/shell"].source, Member)
    assert files[f"{SITE}/{INFO}/INSTALLER"].source == b"envguard\n"


def test_pip_gets_the_commands_that_installers_give_it(tmp_path: Path):
    info = "pip-99.dist-info"
    scripts = b"[console_scripts]\npip = pip:main\npip3 = pip:main\npip3.9 = pip:main\n"
    path = make_wheel(
        tmp_path,
        {"pip/__init__.py": b"", f"{info}/entry_points.txt": scripts},
        name="pip",
        version="99",
    )
    mine = {file.path for file in planned(path) if "/bin/" in file.path}
    assert mine == {f"opt/venv/bin/{name}" for name in ("pip", "pip3", f"pip{MINOR}")}
    theirs = by_uv(path, tmp_path / "venv")
    assert mine == {f"opt/venv/{name}" for name in theirs if name.startswith("bin/")}


def points(text: str) -> dict[str, bytes]:
    return {f"{INFO}/entry_points.txt": text.encode()}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"demo-1.0.data/unknown/x": b""}, "in no scheme"),
        ({"demo-1.0.data/x": b""}, "in no scheme"),
        ({"x.py": b"", "demo-1.0.data/purelib/x.py": b""}, "two files are to be"),
        ({"demo-1.0.data/scripts/d": b"", **points("[console_scripts]\nd = a:b")}, "two files"),
        ({"x/y.py": b"", "demo-1.0.data/purelib/x": b""}, "a file and a folder"),
        ({"demo-1.0.data/scripts/python": b""}, "belongs to the environment"),
        ({f"demo-1.0.data/data/bin/python{MINOR}": b""}, "belongs to the environment"),
        ({"demo-1.0.data/data/pyvenv.cfg": b""}, "belongs to the environment"),
        ({"demo-1.0.data/data/lib64/x": b""}, "belongs to the environment"),
        (points("[console_scripts]\npython3 = a:b"), "belongs to the environment"),
        (points("[console_scripts]\n../x = a:b"), "no script can be made"),
        (points("[console_scripts]\nx = a"), "no script can be made"),
        (points("[console_scripts]\nx = a:b; import os"), "no script can be made"),
        (points("[console_scripts]\nx = a:b\nx = c:d"), "cannot be read"),
        (points("no section"), "cannot be read"),
        ({f"{INFO}/entry_points.txt": b"\xff"}, "cannot be read"),
    ],
)
def test_what_cannot_be_installed(files: dict[str, bytes], says: str, tmp_path: Path):
    with pytest.raises(UnreadableError, match=says):
        planned(make_wheel(tmp_path, {"demo/__init__.py": b"", **files}))


@pytest.mark.parametrize("change", ["lacks", "adds"])
def test_digests_of_other_members_are_refused(change: str, tmp_path: Path) -> None:
    """As a remembered content could be that somebody edited."""
    with Wheel.open(make_wheel(tmp_path, FILES)) as wheel:
        members = dict(read_content(wheel).members)
        if change == "lacks":
            del members["top.py"]
        else:
            members["another.py"] = Digest.of(b"")
        with pytest.raises(IntegrityError, match="those of another file") as raised:
            plan(wheel, members, prefix="opt/venv", python_minor=MINOR)
    assert raised.value.found in ("top.py", "another.py")
