"""``--base host``: a Python of this machine, with the libraries it needs, as the base of an image.

Such an image has the interpreter and the C library that the model was trained with, and it needs
no registry and no engine. Everything lies at its own path, so nothing has to be configured:

* the program, the links to it beside it, and its standard library without tests, idlelib,
  tkinter, turtledemo, ensurepip, build folders (``config-*``), test extensions and bytecode;
  packages of the installation (site-packages, dist-packages) belong to a lock and stay out;
* the shared libraries that the program, its extension modules and the locked wheels need
  (`envguard.images.loader`), and what glibc loads on its own (libgcc_s, name services);
* an ``ld.so.cache`` of these libraries alone. Without one the loader would look in its default
  folders only; ``LD_LIBRARY_PATH`` would overrule the wheels' own folders and reach every child;
* what programs expect of any system: accounts, ``/tmp``, os-release, time zones, the services
  table, OpenSSL's configuration and the machine's CA certificates.

There is no shell in it. Links are kept as links, links to folders inside the standard library are
left out, modes are 0644 and 0755, and nothing depends on the time or on who owns a file. Neither
the interpreter nor ldd is run.
"""

import os
import posixpath
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from envguard.formats.binaries import find_texts
from envguard.formats.interpreter import Installation, installed_interpreter
from envguard.formats.python_prefix import read_platform, read_settings
from envguard.images.base import BaseFacts, installation_of, obstacles
from envguard.images.elf import PackageObject, read_elf
from envguard.images.host_files import HostFiles
from envguard.images.host_tree import HostTree, size_of
from envguard.images.layer import LayerEntry
from envguard.images.library_cache import write_cache
from envguard.images.loader import CACHE, Closure, Loader, Missing
from envguard.model.digest import Digest
from envguard.model.errors import UsageError
from envguard.model.files import Files

_FOLDERS_LEFT_OUT = re.compile(
    r"__pycache__|site-packages|dist-packages|tests?|idle(lib|_test)|tkinter|turtledemo|ensurepip"
    r"|config-.*"
)
_FILES_LEFT_OUT = re.compile(r"(_test|_ctypes_test|_xxtestfuzz|xxlimited|_tkinter).*\.so|.*\.pyc")
_LOADED_BY_GLIBC = ("libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2")
_SYSTEM_FILES = ("/etc/os-release", "/etc/protocols", "/etc/services")
_TIME_ZONES = "/usr/share/zoneinfo"
_TIME_ZONES_LEFT_OUT = ("posix", "right", "localtime")
_OPENSSL_FOLDER = re.compile(rb'OPENSSLDIR: "(/[^"\0]{1,200})"')
_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_WRITTEN = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n"
    "app:x:65532:65532:app:/home/app:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n",
    "etc/group": "root:x:0:\napp:x:65532:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_FOLDERS = {"home/app": 0o755, "root": 0o755, "tmp": 0o1777}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostBase:
    """A base made of this machine. *entries* are sorted by path.

    *digest* is the base's identity: over the path, kind, mode and content or target of every
    entry. *missing* are libraries that neither this machine nor the packages have.
    """

    entries: tuple[LayerEntry, ...]
    facts: BaseFacts
    missing: tuple[Missing, ...]
    digest: Digest

    @property
    def size(self) -> int:
        """Bytes in all files together."""
        return sum(size_of(entry) for entry in self.entries)


def host_base(
    python: Path | None = None, *, prefix: str, objects: Iterable[PackageObject] = ()
) -> HostBase:
    """The base that *python* (else the one that runs this) and the wheels' *objects* need.

    A virtual environment stands for the installation that it was made from; *prefix* is where
    the wheels will be put (``opt/venv``).
    Raises `UsageError` when *python* is no Python for Linux with glibc, and `UnreadableError`.
    """
    files = HostFiles()
    program = _program(files, python or Path(sys.executable))
    _check_program(files, program)
    installation = installation_of(files, program)
    tree = HostTree(files)
    modules = _add_python(tree, installation)
    loader = Loader(files, program)
    closure = loader.closure(modules, _needs(loader, tuple(objects)))
    for path in (loader.process.interpreter or "", *closure.libraries):
        tree.add(path)
    _add_cache(tree, loader, closure)
    _add_system(tree, files, _openssl_folder(files, program, modules, closure))
    facts = BaseFacts(
        source="this machine",
        command=program,
        python=program,
        interpreter=installed_interpreter(files, installation),
        platform=read_platform(
            files, os="linux", machine=loader.process.machine, prefix=installation.prefix
        ),
        environment={"PATH": posixpath.dirname(program)},
        obstacles=obstacles(prefix, tree.target_of, tree.has),
    )
    return HostBase(
        entries=tree.entries(), facts=facts, missing=closure.missing, digest=tree.digest()
    )


def _program(files: Files, python: Path) -> str:
    """The installation's own program behind *python*, which may be that of an environment."""
    program = os.path.realpath(python)
    prefix = posixpath.dirname(posixpath.dirname(program))
    settings = read_settings(files, prefix.lstrip("/"))
    if settings is None:
        return program
    # An environment with a copy of the program instead of a link to it.
    return os.path.realpath(f"{settings.home}/{posixpath.basename(program)}")


def _check_program(files: Files, program: str) -> None:
    with files.open(program.lstrip("/")) as stream:
        elf = read_elf(stream, program)
    if elf is None:
        raise UsageError(
            "is no program for Linux",
            where=program,
            expected="a Python interpreter",
            hint="a script that starts Python? Name what sys.executable says in it",
        )
    if elf.interpreter and "ld-linux" not in elf.interpreter and "ld64" not in elf.interpreter:
        raise UsageError(
            "a base can be made of a Python on glibc only",
            where=program,
            expected="a program that asks for glibc's loader",
            found=elf.interpreter,
            hint="name an image as the base",
        )


def _add_python(tree: HostTree, installation: Installation) -> list[str]:
    """Add the program, the links to it and the standard library; gives its extension modules."""
    prefix, name = installation.prefix, installation.name
    program = f"/{installation.program}"
    for command in ("python", "python3", name, posixpath.basename(program)):
        path = f"{posixpath.dirname(program)}/{command}"
        if os.path.realpath(path) == program:
            tree.add(path)
    # It states the version in full, for whoever looks at the image later.
    tree.add(f"/{prefix}/include/{name}/patchlevel.h")
    folders = {os.path.realpath(f"/{prefix}/{base}/{name}"): None for base in ("lib", "lib64")}
    return [
        path
        for folder in folders
        for path in tree.add_below(folder, leave_out=_is_left_out)
        if path.endswith(".so")
    ]


def _is_left_out(name: str) -> bool:
    return bool(_FOLDERS_LEFT_OUT.fullmatch(name) or _FILES_LEFT_OUT.fullmatch(name))


def _needs(loader: Loader, objects: tuple[PackageObject, ...]) -> Iterator[tuple[str, str]]:
    """The libraries that packages do not bring themselves, and those that glibc loads unasked."""
    provided = frozenset(name for item in objects for name in item.names)
    for item in objects:
        for name in item.elf.needed:
            if name not in provided:
                yield name, f"{item.package}: {item.path}"
    for name in _LOADED_BY_GLIBC:
        if loader.find(name):
            yield name, "glibc"


def _add_cache(tree: HostTree, loader: Loader, closure: Closure) -> None:
    libraries = [item for item in loader.cache() if item.path in closure.libraries]
    if libraries:
        tree.write(CACHE, write_cache(libraries))


def _openssl_folder(
    files: Files, program: str, modules: Iterable[str], closure: Closure
) -> str | None:
    """OPENSSLDIR as it was built into libcrypto, or into what has libcrypto inside."""
    names = ("libcrypto.", "_ssl.", "libpython", posixpath.basename(program))
    binaries = (*closure.libraries, *modules, program)
    for name in names:
        for path in binaries:
            if posixpath.basename(path).startswith(name):
                folder = next(find_texts(files, path.lstrip("/"), _OPENSSL_FOLDER), None)
                if folder:
                    return folder
    return None


def _add_system(tree: HostTree, files: Files, openssl: str | None) -> None:
    """Add what programs expect of any system."""
    for path in (*_SYSTEM_FILES, *_CERTIFICATES):
        tree.add(path)
    tree.add_below(_TIME_ZONES, leave_out=_TIME_ZONES_LEFT_OUT.__contains__)
    if openssl:
        tree.add(f"{openssl}/openssl.cnf")
        bundle = next((path for path in _CERTIFICATES if files.stat(path.lstrip("/"))), None)
        if not tree.add(f"{openssl}/cert.pem") and bundle:
            tree.link(f"{openssl}/cert.pem", bundle)
    for path, text in _WRITTEN.items():
        tree.write(path, text)
    for path, mode in _FOLDERS.items():
        tree.add_folder(path, mode)
