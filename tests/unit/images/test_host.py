import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest

from envguard.images.elf import Elf, PackageObject, read_elf
from envguard.images.gzip_members import Compression
from envguard.images.host import HostBase, host_base
from envguard.images.layer import (
    FileSource,
    LayerEntry,
    LayerFile,
    LayerFolder,
    LayerLink,
    write_layer,
)
from envguard.images.library_cache import CachedLibrary, read_cache, write_cache
from envguard.model.environment import Libc
from envguard.model.errors import UnreadableError, UsageError

_CHROOT = shutil.which("chroot", path="/usr/sbin:/sbin:/usr/bin:/bin") or ""
_PREFIX = "opt/venv"


def _pythons() -> list[Path]:
    """Every Python 3.11 or later of this machine, each once."""
    installed = [
        path
        for pattern in (
            ".pyenv/versions/*/bin/python3.1?",
            ".local/share/uv/python/*/bin/python3.1?",
        )
        for path in Path.home().glob(pattern)
    ]
    candidates = [Path(sys.executable), *Path("/usr/bin").glob("python3.1?"), *installed]
    name = re.compile(r"python3\.1[1-9]")
    return sorted({path.resolve() for path in candidates if name.fullmatch(path.resolve().name)})


_PYTHONS = _pythons()

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not _CHROOT, reason="needs root and chroot to run the base"
)
every_python = pytest.mark.parametrize("python", _PYTHONS, ids=str)


@pytest.fixture(scope="module")
def base() -> HostBase:
    return host_base(prefix=_PREFIX)


def _unpack(entries: tuple[LayerEntry, ...], folder: Path) -> None:
    layer = io.BytesIO()
    write_layer(entries, layer, compression=Compression.PLAIN)
    layer.seek(0)
    with tarfile.open(fileobj=layer) as tar:
        tar.extractall(folder, filter="fully_trusted")
    folder.chmod(0o755)


def _run(folder: Path, base: HostBase, code: str, *options: str) -> Any:
    done = subprocess.run(
        [_CHROOT, *options, folder, base.facts.command, "-I", "-c", f"import json\n{code}"],
        # The loader asks /proc where the program is; a chroot has none.
        env={**base.facts.environment, "LD_ORIGIN_PATH": str(Path(base.facts.python).parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


_ASK = """
import bz2, ctypes, hashlib, lzma, os, platform, pwd, sqlite3, ssl, sys, sysconfig, tempfile
print(json.dumps({
    "version": platform.python_version(),
    "abi": sysconfig.get_config_var("SOABI"),
    "libc": platform.libc_ver(),
    "authorities": len(ssl.create_default_context().get_ca_certs()),
    "user": pwd.getpwuid(os.getuid()).pw_name,
    "temporary": os.path.dirname(tempfile.mkdtemp()),
    "executable": sys.executable,
}))
"""


@needs_root
@every_python
def test_a_base_runs_as_any_user(python, tmp_path):
    base = host_base(python, prefix=_PREFIX)
    _unpack(base.entries, tmp_path)
    said = _run(tmp_path, base, _ASK, "--userspec=65532:65532")
    interpreter, platform = base.facts.interpreter, base.facts.platform
    assert said["version"] == interpreter.version
    assert said["abi"] == interpreter.abi
    assert platform.libc == Libc(family=said["libc"][0], version=said["libc"][1])
    assert said["user"] == "app"
    assert said["temporary"] == "/tmp"
    assert os.path.realpath(said["executable"]) == base.facts.python == str(python)
    if any(entry.path.endswith("ca-certificates.crt") for entry in base.entries):
        assert said["authorities"] > 0


@needs_root
def test_every_extension_module_of_a_base_can_be_imported(base, tmp_path):
    _unpack(base.entries, tmp_path)
    modules = [
        Path(entry.path).name.partition(".")[0]
        for entry in base.entries
        if "/lib-dynload/" in entry.path and entry.path.endswith(".so")
    ]
    code = f"print(json.dumps([bool(__import__(module)) for module in {modules}]))"
    assert len(_run(tmp_path, base, code)) == len(modules) > 30


@needs_root
def test_wheels_find_their_libraries(tmp_path):
    site = Path(numpy.__file__).parent.parent
    objects = [_object("numpy", path) for path in sorted(site.glob("numpy*/**/*.so*"))]
    base = host_base(prefix=_PREFIX, objects=objects)
    assert base.missing == ()
    _unpack(base.entries, tmp_path)
    for folder in ("numpy", "numpy.libs"):
        shutil.copytree(site / folder, tmp_path / "site" / folder)
    code = """
import sys; sys.path.insert(0, '/site')
import numpy
print(json.dumps(float(numpy.ones((9, 9)).dot(numpy.ones(9)).sum())))
"""
    assert _run(tmp_path, base, code) == 81.0


def _object(package: str, path: Path) -> PackageObject:
    with path.open("rb") as stream:
        elf = read_elf(stream, str(path))
    assert elf is not None
    return PackageObject(package=package, path=str(path), elf=elf)


@needs_root
def test_a_library_outside_the_default_folders_is_found(base, tmp_path):
    """The written cache is what the loader of the base goes by."""
    moved = next(e for e in base.entries if isinstance(e, LayerFile) and "/libz.so.1" in e.path)
    cache = next(e for e in base.entries if e.path == "etc/ld.so.cache")
    libraries = [
        replace(item, path="/srv/own/libz.so.1") if item.name == "libz.so.1" else item
        for item in read_cache(cache.source, "cache")
    ]
    kept = [e for e in base.entries if "/libz.so" not in e.path and e != cache]
    _unpack((*kept, replace(moved, path="srv/own/libz.so.1")), tmp_path)
    code = "import zlib\nprint(json.dumps({'maps': '/srv/own/libz.so.1' in open('/maps').read()}))"
    with pytest.raises(AssertionError, match=r"libz\.so\.1"):
        _run(tmp_path, base, "import zlib")
    (tmp_path / "etc/ld.so.cache").write_bytes(write_cache(libraries))
    (tmp_path / "maps").write_text("/srv/own/libz.so.1")
    assert _run(tmp_path, base, code) == {"maps": True}


def test_the_cache_holds_the_libraries_of_the_base_alone(base):
    paths = {entry.path for entry in base.entries}
    cache = next(e for e in base.entries if e.path == "etc/ld.so.cache")
    libraries = read_cache(cache.source, "cache")
    assert len(libraries) > 5
    for library in libraries:
        assert isinstance(library, CachedLibrary)
        assert os.path.realpath(library.path).lstrip("/") in paths


@every_python
def test_a_base_holds_regular_files_and_links_to_them(python):
    base = host_base(python, prefix=_PREFIX)
    by_path = {entry.path: entry for entry in base.entries}
    folders = {parent for path in by_path for parent in map(str, Path(path).parents)}
    assert list(by_path) == sorted(by_path)
    assert by_path["tmp"] == LayerFolder(path="tmp", mode=0o1777)
    for entry in base.entries:
        if isinstance(entry, LayerLink):
            real = os.path.realpath(Path("/", entry.path).parent / entry.target).lstrip("/")
            assert real in by_path or real in folders
        elif isinstance(entry, LayerFile) and isinstance(entry.source, FileSource):
            assert entry.source.path == Path("/", entry.path)
    unwanted = {"test", "tests", "site-packages", "dist-packages", "idlelib", "__pycache__"}
    assert not [path for path in by_path if unwanted & set(path.split("/"))]


def test_a_base_is_the_same_each_time(base):
    again = host_base(Path(sys.executable), prefix=_PREFIX)
    assert again == base
    assert 20e6 < base.size < 200e6


@pytest.mark.parametrize("symlinks", [True, False], ids=["links", "copies"])
def test_an_environment_stands_for_its_installation(base, symlinks, tmp_path):
    venv.create(tmp_path / "venv", symlinks=symlinks)
    assert host_base(tmp_path / "venv/bin/python", prefix=_PREFIX).digest == base.digest


def test_the_digest_is_over_paths_contents_and_modes(base, tmp_path):
    """A copy of an installation has another identity, and so has one that was edited."""
    copied = _copied(base, tmp_path)
    before = host_base(copied, prefix=_PREFIX)
    assert before.digest != base.digest
    module = next((tmp_path / "python/lib").glob("python3*/abc.py"))
    module.write_text(module.read_text() + "\n# edited\n")
    edited = host_base(copied, prefix=_PREFIX)
    module.chmod(0o755)
    executable = host_base(copied, prefix=_PREFIX)
    assert len({before.digest, edited.digest, executable.digest}) == 3


@needs_root
def test_a_relocatable_installation_runs(base, tmp_path):
    """Its program finds libpython by ``$ORIGIN``, as the builds that uv installs do."""
    copied = host_base(_copied(base, tmp_path), prefix=_PREFIX)
    _unpack(copied.entries, tmp_path / "root")
    said = _run(tmp_path / "root", copied, _ASK)
    assert said["version"] == copied.facts.interpreter.version
    assert said["executable"].startswith(str(tmp_path / "python"))


def _copied(base: HostBase, folder: Path) -> Path:
    """The installation of *base*, copied to another place and made relocatable."""
    program = Path(base.facts.python)
    prefix = program.parent.parent
    if prefix == Path("/usr"):
        pytest.skip("this Python shares its prefix with the system")
    for entry in base.entries:
        if isinstance(entry, LayerFile) and Path("/", entry.path).is_relative_to(prefix):
            copy = folder / "python" / Path("/", entry.path).relative_to(prefix)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path("/", entry.path), copy)
    copied = folder / "python" / program.relative_to(prefix)
    old = f"{prefix}/lib\0".encode()
    copied.write_bytes(program.read_bytes().replace(old, b"$ORIGIN/../lib".ljust(len(old), b"\0")))
    return copied


def test_libraries_that_nobody_has_are_named_with_who_needs_them():
    lacking = Elf(machine="x86_64", bits=64, needed=("libnowhere.so.3", "libb.so"), requires={})
    objects = [
        PackageObject(package="a", path="a/_a.so", elf=lacking),
        PackageObject(package="b", path="b.libs/libb.so", elf=replace(lacking, needed=())),
    ]
    base = host_base(prefix=_PREFIX, objects=objects)
    assert [(item.name, item.needed_by) for item in base.missing] == [
        ("libnowhere.so.3", ("a: a/_a.so",))
    ]


def test_a_script_is_no_interpreter(tmp_path):
    script = tmp_path / "python3.11"
    script.write_text('#!/bin/sh\nexec python3 "$@"\n')
    with pytest.raises(UsageError, match="is no program for Linux") as caught:
        host_base(script, prefix=_PREFIX)
    assert "sys.executable" in str(caught.value.hint)


def test_a_program_that_is_no_python_is_refused():
    with pytest.raises(UsageError, match="of no Python installation"):
        host_base(Path("/usr/bin/env"), prefix=_PREFIX)


def test_a_python_on_another_libc_is_refused(tmp_path):
    data = Path(sys.executable).read_bytes()
    elf = read_elf(io.BytesIO(data), "python")
    assert elf is not None
    loader = str(elf.interpreter).encode()
    other = b"/lib/ld-musl-x86_64.so.1".ljust(len(loader), b"\0")
    program = tmp_path / "python3.11"
    program.write_bytes(data.replace(loader, other, 1))
    with pytest.raises(UsageError, match="glibc only"):
        host_base(program, prefix=_PREFIX)


def test_an_interpreter_that_is_not_there_is_unreadable(tmp_path):
    with pytest.raises(UnreadableError, match="No such file"):
        host_base(tmp_path / "python3", prefix=_PREFIX)


def test_a_prefix_that_is_taken_is_an_obstacle(base):
    taken = str(Path(base.facts.python).parent).lstrip("/")
    assert base.facts.obstacles == ()
    assert host_base(prefix=taken).facts.obstacles == (f"/{taken} is there already",)
