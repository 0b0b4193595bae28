import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envguard.images.base import DEFAULT_PATH, BaseFacts, check_base, read_base
from envguard.images.gzip_members import Compression
from envguard.images.host import host_base
from envguard.images.layer import LayerEntry, LayerFile, LayerFolder, LayerLink
from envguard.images.loader import Loader
from envguard.images.tree import ImageFiles
from envguard.model.environment import Environment, Interpreter, Libc, Platform, Section
from envguard.model.errors import MismatchError, UnreadableError, UsageError
from envguard.model.package import Archive, Package
from tests.support.images import image_of_layers

_PROGRAM = Path(sys.executable).resolve().read_bytes()
_LIBC = b"\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n\0"
_GLIBC = Libc(family="glibc", version="2.36")
_PYTHON = Interpreter(
    implementation="cpython", version="3.11.9", abi="cpython-311-x86_64-linux-gnu"
)
_PLATFORM = Platform(os="linux", machine="x86_64", libc=_GLIBC, distribution="debian 12")


def _file(path: str, data: bytes = b"") -> LayerFile:
    return LayerFile(path=path, source=data, executable="/bin/" in path)


def _python(prefix: str, minor: str = "3.11", version: str = "3.11.9") -> list[LayerEntry]:
    abi = f"cpython-{minor.replace('.', '')}-x86_64-linux-gnu"
    return [
        _file(f"{prefix}/bin/python{minor}", _PROGRAM),
        _file(f"{prefix}/lib/python{minor}/os.py"),
        _file(f"{prefix}/lib/python{minor}/lib-dynload/_ssl.{abi}.so"),
        _file(
            f"{prefix}/include/python{minor}/patchlevel.h",
            f'#define PY_VERSION "{version}"\n'.encode(),
        ),
        LayerLink(path=f"{prefix}/bin/python3", target=f"python{minor}"),
        LayerLink(path=f"{prefix}/bin/python", target="python3"),
    ]


_SYSTEM: list[LayerEntry] = [
    LayerLink(path="bin", target="usr/bin"),
    LayerLink(path="lib", target="usr/lib"),
    LayerLink(path="lib64", target="/usr/lib64"),
    _file("usr/lib/x86_64-linux-gnu/libc.so.6", _LIBC),
    _file("usr/lib/os-release", b"ID=debian\nVERSION_ID=12\n"),
    LayerLink(path="etc/os-release", target="../usr/lib/os-release"),
]


def _files(*entries: LayerEntry) -> ImageFiles:
    image = image_of_layers(list(entries), compression=Compression.PLAIN)
    return ImageFiles(image, cached=False)


def _read(*entries: LayerEntry, **options: Any) -> BaseFacts:
    settings: dict[str, Any] = {
        "source": "base:1",
        "os": "linux",
        "architecture": "amd64",
        "environment": {"PATH": "/usr/local/bin:/usr/bin:/bin"},
        "prefix": "opt/venv",
    }
    return read_base(_files(*entries), **(settings | options))


def test_the_facts_of_a_base():
    assert _read(*_SYSTEM, *_python("usr/local"), user="app") == BaseFacts(
        source="base:1",
        command="/usr/local/bin/python3",
        python="/usr/local/bin/python3.11",
        interpreter=_PYTHON,
        platform=_PLATFORM,
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        user="app",
    )


def test_one_python_that_path_reaches_twice_is_one_python():
    facts = _read(*_SYSTEM, *_python("usr"))
    assert facts.command == "/usr/bin/python3"
    assert facts.python == "/usr/bin/python3.11"


def test_an_environment_and_its_installation_are_one_python():
    entries = [
        *_SYSTEM,
        *_python("usr/local"),
        LayerLink(path="srv/env/bin/python", target="/usr/local/bin/python3.11"),
    ]
    facts = _read(*entries, environment={"PATH": "/srv/env/bin:/usr/local/bin"})
    assert facts.command == "/srv/env/bin/python"
    assert facts.python == "/usr/local/bin/python3.11"


def test_where_the_image_states_no_path_the_engines_one_counts():
    assert "/usr/local/bin" in DEFAULT_PATH
    assert _read(*_SYSTEM, *_python("usr/local"), environment={}).interpreter == _PYTHON


def test_python_2_is_no_candidate():
    old: list[LayerEntry] = [
        _file("usr/bin/python2.7"),
        LayerLink(path="usr/bin/python", target="python2.7"),
    ]
    assert _read(*_SYSTEM, *_python("usr/local"), *old).interpreter == _PYTHON


_TWO = [*_SYSTEM, *_python("usr/local"), *_python("usr", "3.13", "3.13.1")]


def test_several_pythons_are_listed():
    with pytest.raises(UsageError, match="several Pythons") as caught:
        _read(*_TWO)
    assert caught.value.where == "base:1"
    assert caught.value.found == (
        "/usr/bin/python3 (/usr/bin/python3.13), /usr/local/bin/python3 (/usr/local/bin/python3.11)"
    )


def test_one_of_several_pythons_can_be_named():
    facts = _read(*_TWO, python="/usr/bin/python3")
    assert facts.interpreter.version == "3.13.1"
    assert facts.interpreter.abi == "cpython-313-x86_64-linux-gnu"


def test_several_libraries_in_one_prefix_are_told_apart_by_the_program():
    entries = [*_SYSTEM, *_python("usr"), _file("usr/lib/python3.13/os.py")]
    assert _read(*entries).interpreter == _PYTHON


@pytest.mark.parametrize("python", [None, "/usr/bin/python3.12"])
def test_a_base_without_python_is_refused(python):
    entries = _SYSTEM if python is None else _TWO
    with pytest.raises(UsageError, match="has no") as caught:
        _read(*entries, python=python)
    assert "PATH=/usr/local/bin:/usr/bin:/bin" in (caught.value.found or "")


def test_a_python_that_is_a_link_to_itself_is_unreadable():
    entries = [*_SYSTEM, LayerLink(path="usr/bin/python3", target="/bin/python3")]
    with pytest.raises(UnreadableError, match="go round"):
        _read(*entries)


def _wanted(*filenames: str, **changes: Any) -> Environment:
    packages = tuple(
        Package(name=name.partition("-")[0], version="1", archives=(Archive(filename=name),))
        for name in filenames
    )
    wanted = Environment(
        source="model.lock",
        interpreter=Section.seen(replace(_PYTHON, version="3.11")),
        platform=Section.seen(_PLATFORM),
        packages=Section.seen(packages),
    )
    return replace(wanted, **changes)


def _facts(**changes: Any) -> BaseFacts:
    facts = BaseFacts(
        source="base:1",
        command="/usr/bin/python3",
        python="/usr/bin/python3.11",
        interpreter=_PYTHON,
        platform=_PLATFORM,
        environment={},
    )
    return replace(facts, **changes)


def test_a_base_that_fits():
    check_base(
        _facts(),
        _wanted(
            "a-1-py3-none-any.whl",
            "b-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "c-1-cp39-abi3-manylinux_2_36_x86_64.whl",
            "d-1.tar.gz",
        ),
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"platform": replace(_PLATFORM, machine="aarch64")},
            "for linux aarch64, not linux x86_64",
        ),
        ({"platform": replace(_PLATFORM, libc=Libc(family="musl", version="1.2.5"))}, "is musl"),
        ({"interpreter": replace(_PYTHON, version="3.12.1")}, "is cpython 3.12 (3.12.1)"),
        ({"interpreter": replace(_PYTHON, free_threaded=True)}, "3.11 free-threaded"),
        ({"interpreter": replace(_PYTHON, debug=True)}, "3.11 debug"),
        ({"interpreter": replace(_PYTHON, implementation="pypy")}, "is pypy 3.11"),
        ({"interpreter": replace(_PYTHON, abi="cpython-311-x86_64-linux-musl")}, "has the ABI"),
        ({"obstacles": ("/opt/venv is there already",)}, "/opt/venv is there already"),
    ],
)
def test_a_base_that_does_not_fit(changes, problem):
    with pytest.raises(MismatchError) as caught:
        check_base(_facts(**changes), _wanted())
    assert problem in str(caught.value)
    assert caught.value.where == "base:1"
    assert caught.value.hint


def test_a_wheel_that_asks_for_a_newer_libc_is_named():
    wheels = ["a-1-py3-none-any.whl", "numpy-1-cp311-cp311-manylinux_2_38_x86_64.whl"]
    with pytest.raises(MismatchError) as caught:
        check_base(_facts(), _wanted(*wheels))
    assert "the wheel of numpy 1 is for manylinux_2_38_x86_64" in str(caught.value)
    assert "glibc 2.36" in str(caught.value)
    assert "of a 1" not in str(caught.value)


def test_a_libc_that_is_not_known_accepts_no_wheel_that_asks_for_one():
    with pytest.raises(MismatchError, match="an unknown C library"):
        check_base(
            _facts(platform=replace(_PLATFORM, libc=None)),
            _wanted("numpy-1-cp311-cp311-manylinux_2_17_x86_64.whl"),
        )


def test_all_problems_are_named_at_once():
    facts = _facts(
        platform=replace(_PLATFORM, machine="aarch64"),
        interpreter=replace(_PYTHON, version="3.13.0"),
        obstacles=("/opt/venv is there already",),
    )
    with pytest.raises(MismatchError) as caught:
        check_base(facts, _wanted())
    assert str(caught.value).count("; ") == 2


@pytest.mark.parametrize(
    ("entries", "obstacles"),
    [
        ([LayerFolder(path="opt/venv/bin")], ("/opt/venv is there already",)),
        ([_file("opt/venv")], ("/opt/venv is there already",)),
        (
            [LayerLink(path="opt", target="srv")],
            ("/opt/venv would lie below the link /opt -> srv",),
        ),
        ([LayerFolder(path="opt/other")], ()),
    ],
)
def test_what_is_in_the_way_of_the_prefix(entries, obstacles):
    assert _read(*_SYSTEM, *_python("usr/local"), *entries).obstacles == obstacles


def test_a_base_of_this_machine_reads_like_any_other():
    """What `host_base` says of a base is what anyone reads out of the image that it becomes."""
    base = host_base(prefix="opt/venv")
    files = _files(*base.entries)
    facts = read_base(
        files,
        source="this machine",
        os="linux",
        architecture={"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        environment=base.facts.environment,
        prefix="opt/venv",
    )
    assert facts == replace(base.facts, command=facts.command)
    libraries = Loader(files, facts.python).closure(()).libraries
    assert any("libc.so" in path for path in libraries)
