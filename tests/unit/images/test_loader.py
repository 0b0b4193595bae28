import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.images.host_files import HostFiles
from envguard.images.library_cache import CachedLibrary, read_cache, write_cache
from envguard.images.loader import Loader, Missing
from envguard.model.errors import UnreadableError
from tests.support.memory_files import MemoryFiles

_PROGRAM = Path(sys.executable).resolve()
_MODULES = Path(sysconfig.get_path("stdlib"), "lib-dynload")
_NUMPY = next(Path(numpy.__file__).parent.rglob("_multiarray_umath*.so"))
_CACHE = Path("/etc/ld.so.cache")
_LDCONFIG = shutil.which("ldconfig", path="/sbin:/usr/sbin") or ""

needs_ldd = pytest.mark.skipif(not shutil.which("ldd"), reason="needs ldd")
needs_cache = pytest.mark.skipif(not (_CACHE.exists() and _LDCONFIG), reason="needs ldconfig")


def _by_ldd(path: Path) -> set[Path]:
    output = subprocess.run(["ldd", path], capture_output=True, text=True, env={"PATH": "/bin"})
    return {Path(found).resolve() for found in re.findall(r"(/\S+) \(0x", output.stdout)}


def _real(paths: tuple[str, ...]) -> set[Path]:
    return {Path(path).resolve() for path in paths}


_COMMANDS = [shutil.which(name) for name in ("git", "curl", "openssl", "ssh", "gcc")]


@needs_ldd
@pytest.mark.parametrize("program", [str(_PROGRAM), *filter(None, _COMMANDS)])
def test_finds_what_ldd_finds_for_a_program(program):
    path = Path(program).resolve()
    loader = Loader(HostFiles(), str(path))
    closure = loader.closure(())
    assert _real(closure.libraries) | {Path(str(loader.process.interpreter)).resolve()} == _by_ldd(
        path
    )
    assert closure.missing == ()


@needs_ldd
@pytest.mark.parametrize("module", [*sorted(_MODULES.glob("_[hs]*.so")), _NUMPY], ids=str)
def test_finds_what_ldd_finds_for_a_module(module):
    closure = Loader(HostFiles(), str(_PROGRAM)).closure([str(module)])
    # A closure holds the program's own libraries too.
    assert _real(closure.libraries) | _by_ldd(_PROGRAM) == _by_ldd(module) | _by_ldd(_PROGRAM)


def test_names_what_is_missing_and_who_needs_it():
    names = [("libnowhere.so.9", "a: a.so"), ("libnowhere.so.9", "b: b.so"), ("libc.so.6", "a")]
    closure = Loader(HostFiles(), str(_PROGRAM)).closure((), names)
    assert closure.missing == (Missing(name="libnowhere.so.9", needed_by=("a: a.so", "b: b.so")),)


def test_the_driver_of_a_device_is_neither_found_nor_missing():
    names = [("libcuda.so.1", "torch: a.so"), ("libnvidia-ml.so.1", "torch: a.so")]
    loader = Loader(HostFiles(), str(_PROGRAM))
    assert loader.closure((), names) == loader.closure(())


def _foreign(data: bytes) -> bytes:
    return data[:18] + (183 if data[18] == 62 else 62).to_bytes(2, "little") + data[20:]


def test_an_object_of_another_machine_is_passed_over():
    data = _PROGRAM.read_bytes()
    files = MemoryFiles(
        {"bin/python": data, "lib64/liba.so": _foreign(data), "usr/lib/liba.so": data}
    )
    assert Loader(files, "/bin/python").find("liba.so") == "/usr/lib/liba.so"


def test_folders_of_the_object_come_before_the_cache_and_the_cache_before_the_default():
    data = _PROGRAM.read_bytes()
    cache = write_cache([CachedLibrary(name="liba.so", path="/srv/liba.so", flags=0x303)])
    files = MemoryFiles({"bin/python": data, "lib/liba.so": data, "etc/ld.so.cache": cache})
    loader = Loader(files, "/bin/python")
    assert loader.find("liba.so") == "/lib/liba.so"  # the cache names a file that is not there
    files.content |= {"srv/liba.so": data}
    loader = Loader(files, "/bin/python")
    assert loader.find("liba.so") == "/srv/liba.so"
    assert loader.find("liba.so", ["/lib"]) == "/lib/liba.so"


def test_origin_is_the_folder_of_the_object(tmp_path):
    folder = next(path for path in _loaded_by_runpath() if path)
    program = tmp_path / "bin/python"
    program.parent.mkdir()
    program.write_bytes(_with_origin(_PROGRAM.read_bytes(), folder))
    (tmp_path / "lib").mkdir()
    for library in folder.glob("libpython*.so.*"):
        shutil.copy(library, tmp_path / "lib")
    closure = Loader(HostFiles(), str(program)).closure(())
    assert [path for path in closure.libraries if "libpython" in path] == [
        str(path) for path in (tmp_path / "lib").glob("libpython*.so.1*")
    ]


def _loaded_by_runpath() -> list[Path | None]:
    process = Loader(HostFiles(), str(_PROGRAM)).process
    folders = [Path(folder) for folder in (*process.runpath, *process.rpath)]
    if not any(folder.is_absolute() and len(str(folder)) > 15 for folder in folders):
        pytest.skip("this Python is linked without search folders")
    return list(folders)


def _with_origin(data: bytes, folder: Path) -> bytes:
    old = str(folder).encode() + b"\0"
    return data.replace(old, b"$ORIGIN/../lib".ljust(len(old), b"\0"))


def test_a_program_that_is_none_is_unreadable():
    with pytest.raises(UnreadableError, match="is no program"):
        Loader(MemoryFiles({"bin/python": b"#!/bin/sh\n"}), "/bin/python")


@needs_cache
def test_this_machines_cache_reads_as_ldconfig_prints_it():
    libraries = read_cache(_CACHE.read_bytes(), str(_CACHE))
    printed = subprocess.run([_LDCONFIG, "-p"], capture_output=True, text=True).stdout
    assert [(item.name, item.path) for item in libraries] == re.findall(
        r"^\t(\S+) \(.*\) => (\S+)$", printed, re.M
    )


@needs_cache
def test_ldconfig_understands_a_written_cache(tmp_path):
    libraries = read_cache(_CACHE.read_bytes(), str(_CACHE))[::3]
    written = tmp_path / "cache"
    written.write_bytes(write_cache(libraries))
    printed = subprocess.run([_LDCONFIG, "-p", "-C", written], capture_output=True, text=True)
    assert printed.stdout.count(" => ") == len(libraries)


@needs_cache
def test_the_cache_behind_one_of_the_older_format_is_found():
    new = _CACHE.read_bytes()
    old = b"ld.so-1.7.0\0" + (3).to_bytes(4, "little") + bytes(3 * 12)
    padded = old + bytes(-len(old) % 8)
    assert read_cache(padded + new, "cache") == read_cache(new, "cache")


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(
    st.lists(
        st.builds(
            CachedLibrary,
            name=_TEXT,
            path=_TEXT,
            flags=st.integers(0, 2**31 - 1),
            capabilities=st.integers(0, 2**64 - 1),
        ),
        max_size=5,
    )
)
def test_a_cache_round_trips(libraries):
    assert read_cache(write_cache(libraries), "cache") == tuple(libraries)


_SAMPLE = write_cache(
    CachedLibrary(name=f"lib{n}.so", path=f"/lib/lib{n}.so", flags=0x303) for n in range(5)
)


@given(st.integers(0, len(_SAMPLE) - 1), st.binary(min_size=1, max_size=8), st.integers(0, 300))
def test_a_damaged_cache_is_read_or_refused(offset, new, cut):
    data = _SAMPLE[:offset] + new + _SAMPLE[offset + len(new) :]
    for damaged in (data, data[:cut]):
        try:
            read_cache(damaged, "cache")
        except UnreadableError as error:
            assert error.where == "cache"
