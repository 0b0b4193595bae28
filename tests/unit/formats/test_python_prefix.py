"""Pythons in trees: synthetic images, and every Python of this machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from envguard.formats.python_prefix import (
    find_prefixes,
    inside,
    is_prefix,
    read_interpreter,
    read_platform,
)
from envguard.model.environment import Interpreter, Libc
from envguard.places.folder import Folder
from tests.support.memory_files import MemoryFiles

_GNU = "cpython-311-x86_64-linux-gnu"


def installation(
    prefix: str = "usr", name: str = "python3.11", abi: str = _GNU, **more: bytes
) -> dict[str, bytes]:
    library = f"{prefix}/lib/{name}"
    return {
        f"{library}/os.py": b"",
        f"{library}/lib-dynload/_json.{abi}.so": b"",
        f"{prefix}/bin/{name}": b"\x7fELF",
        f"{prefix}/bin/python3": b"\x7fELF",
        **more,
    }


def header(version: str) -> bytes:
    return f'#define PY_MAJOR_VERSION 3\n#define PY_VERSION      "{version}"\n'.encode()


def venv_files(home: str, version: str = "3.11.2", name: str = "python3.11") -> dict[str, bytes]:
    return {
        "opt/venv/pyvenv.cfg": f"home = {home}\nversion = {version}\n".encode(),
        f"opt/venv/lib/{name}/site-packages/six.py": b"",
    }


def test_header_states_the_version() -> None:
    files = installation() | {"usr/include/python3.11/patchlevel.h": header("3.11.7")}
    assert read_interpreter(MemoryFiles(files), "usr") == Interpreter(
        implementation="cpython", version="3.11.7", abi=_GNU
    )


def test_build_details_beat_the_header() -> None:
    details = {
        "schema_version": "1.0",
        "language": {
            "version_info": {"major": 3, "minor": 14, "micro": 0, "releaselevel": "candidate",
                             "serial": 2}
        },
        "implementation": {"name": "cpython"},
        "abi": {"flags": ["t", "d"], "extension_suffix": ".cpython-314td-x86_64-linux-gnu.so"},
    }  # fmt: skip
    files = installation(name="python3.14t") | {
        "usr/lib/python3.14t/build-details.json": json.dumps(details).encode(),
        "usr/include/python3.14t/patchlevel.h": header("3.14.9"),
    }
    assert read_interpreter(MemoryFiles(files), "usr") == Interpreter(
        implementation="cpython",
        version="3.14.0rc2",
        abi="cpython-314td-x86_64-linux-gnu",
        free_threaded=True,
        debug=True,
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (b"\x003.11.7\x00", "3.11.7"),
        (b"\x00/opt/3.11.7\x00", "3.11.7"),
        (b"\x003.11.7\x00/built/3.11.2\x00", "3.11.7"),
        (b"\x003.11.0rc1\x00", "3.11.0rc1"),
        (b"\x003.12.1\x00 13.11.7\x00", "3.11"),
        (b"\x003.11.7\x00x\x003.11.8\x00", "3.11"),
        (b"a" * ((1 << 20) - 3) + b"\x003.11.7\x00", "3.11.7"),
    ],
)
def test_executable_carries_the_version(text: bytes, version: str) -> None:
    files = installation() | {"usr/bin/python3.11": text}
    interpreter = read_interpreter(MemoryFiles(files), "usr")
    assert interpreter is not None
    assert interpreter.version == version


@pytest.mark.parametrize(
    ("abi", "free_threaded", "debug"),
    [
        ("cpython-313t-x86_64-linux-gnu", True, False),
        ("cpython-313d-x86_64-linux-gnu", False, True),
        ("cpython-36m-x86_64-linux-gnu", False, False),
    ],
)
def test_abi_flags(abi: str, free_threaded: bool, debug: bool) -> None:
    interpreter = read_interpreter(MemoryFiles(installation(abi=abi)), "usr")
    assert interpreter is not None
    assert (interpreter.free_threaded, interpreter.debug) == (free_threaded, debug)


def test_abi_from_sysconfig_where_modules_are_built_in() -> None:
    files = installation()
    del files[f"usr/lib/python3.11/lib-dynload/_json.{_GNU}.so"]
    files["usr/lib/python3.11/_sysconfigdata__linux_x.py"] = b"x = {'SOABI': 'cpython-311-x', }"
    interpreter = read_interpreter(MemoryFiles(files), "usr")
    assert interpreter is not None
    assert interpreter.abi == "cpython-311-x"


def test_venv_is_what_its_base_is() -> None:
    files = installation("usr/local") | venv_files("/usr/local/bin")
    files["usr/local/include/python3.11/patchlevel.h"] = header("3.11.9")
    interpreter = read_interpreter(MemoryFiles(files), "opt/venv")
    assert interpreter is not None
    assert interpreter.version == "3.11.9"


def test_base_behind_a_link() -> None:
    files = installation("opt/py") | venv_files("/usr/bin")
    tree = MemoryFiles(files, links={"usr/bin/python3": "../../opt/py/bin/python3.11"})
    interpreter = read_interpreter(tree, "opt/venv")
    assert interpreter is not None
    assert interpreter.abi == _GNU


def test_venv_without_its_base_is_what_pyvenv_says() -> None:
    interpreter = read_interpreter(MemoryFiles(venv_files("/gone/bin")), "opt/venv")
    assert interpreter == Interpreter(implementation="cpython", version="3.11.2")


def test_of_several_libraries_the_venv_names_its_own() -> None:
    files = installation() | installation(name="python3.12", abi="cpython-312-x")
    newer = venv_files("/usr/bin", "3.12.1", "python3.12")
    for venv, minor in ((venv_files("/usr/bin"), "3.11"), (newer, "3.12")):
        interpreter = read_interpreter(MemoryFiles(files | venv), "opt/venv")
        assert interpreter is not None
        assert interpreter.minor == minor


def test_of_several_libraries_python3_names_the_main_one() -> None:
    files = installation() | installation(name="python3.12", abi="cpython-312-x")
    del files["usr/bin/python3"]
    interpreter = read_interpreter(
        MemoryFiles(files, links={"usr/bin/python3": "python3.12"}), "usr"
    )
    assert interpreter is not None
    assert interpreter.minor == "3.12"


def test_no_python_is_none() -> None:
    assert read_interpreter(MemoryFiles({"usr/lib/python3/dist-packages/x.py": b""}), "usr") is None


def test_prefixes_by_path_then_known_places_then_search() -> None:
    files = installation() | installation("usr/local") | venv_files("/usr/bin")
    files["home/me/project/.venv/pyvenv.cfg"] = b"home = /usr/bin\n"
    files["proc/1/pyvenv.cfg"] = b"home = /usr/bin\n"
    path = {"PATH": "/usr/bin:/usr/local/bin"}
    assert find_prefixes(MemoryFiles(files), path) == (
        "usr",
        "usr/local",
        "opt/venv",
        "home/me/project/.venv",
    )
    stated = {"VIRTUAL_ENV": "/home/me/project/.venv"}
    assert find_prefixes(MemoryFiles(files), stated)[0] == "home/me/project/.venv"


def test_a_library_without_a_program_is_no_prefix() -> None:
    assert not is_prefix(MemoryFiles({"usr/lib/python3.11/os.py": b""}), "usr")


_RELEASE = {"usr/lib/os-release": b'ID=debian\nVERSION_ID="12"\n'}
_GLIBC = b"\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\nCopyright"
_MUSL = b"musl libc (x86_64)\nVersion %s\n\0Dynamic\x001.2.5\0"


def platform_of(files: dict[str, bytes]) -> tuple[Libc | None, str | None]:
    platform = read_platform(MemoryFiles(files), os="linux", machine="x86_64", prefix="usr")
    return platform.libc, platform.distribution


def test_platform_of_glibc() -> None:
    files = installation() | _RELEASE | {"lib/x86_64-linux-gnu/libc.so.6": _GLIBC}
    assert platform_of(files) == (Libc(family="glibc", version="2.36"), "debian 12")


def test_the_interpreter_decides_between_two_libraries() -> None:
    both = {"lib64/libc.so.6": _GLIBC, "lib/ld-musl-x86_64.so.1": _MUSL}
    musl = {"usr/bin/python3.11": b"ELF\0/lib/ld-musl-x86_64.so.1\0"}
    glibc = {"usr/bin/python3.11": b"ELF\0/lib64/ld-linux-x86-64.so.2\0"}
    assert platform_of(installation() | both | musl)[0] == Libc(family="musl", version="1.2.5")
    assert platform_of(installation() | both | glibc)[0] == Libc(family="glibc", version="2.36")


def test_no_libc_is_not_guessed() -> None:
    assert platform_of(installation()) == (None, None)


def pythons() -> list[Path]:
    """Installations of this machine: the running one's neighbours in a folder of versions."""
    own = Path(sys.base_prefix)
    found = [own, *own.parent.glob("3.*")] if own.parent.name == "versions" else [own]
    return sorted({path for path in found if (path / "bin/python3").exists()})


@pytest.mark.parametrize("prefix", pythons(), ids=lambda path: path.name)
def test_agrees_with_the_running_interpreter(prefix: Path) -> None:
    code = (
        "import platform as p, sysconfig as s; print(p.python_version(), s.get_config_var('SOABI'))"
    )
    told = subprocess.run(
        [prefix / "bin/python3", "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    files = Folder(Path("/"))
    interpreter = read_interpreter(files, inside(str(prefix)))
    assert interpreter is not None
    assert f"{interpreter.version} {interpreter.abi}" == told.stdout.strip()
