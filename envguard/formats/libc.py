"""Which C library a tree's programs run on, read from the library's own file."""

import re
from collections.abc import Iterator

from envguard.formats.binaries import find_texts
from envguard.model.environment import Libc
from envguard.model.files import Files, Kind

_GLIBC = re.compile(rb"GNU C Library [^\n\0]{0,200}?version (\d+\.\d+)")
_MUSL = re.compile(rb"\0(1\.\d+\.\d+)(?:-[\w-]{0,60})?\0")
_LOADER = re.compile(rb"\0(/[\w./-]{0,200}?ld-(?:linux|musl)[\w.-]{0,60}|/lib/ld64?\.so\.[12])\0")
_MUSL_NAMES = {"i686": "i386", "armv7l": "armhf", "ppc64le": "powerpc64le"}
_FOLDERS = ("lib", "lib64", "usr/lib", "usr/lib64")


def read_libc(files: Files, machine: str, program: str | None = None) -> Libc | None:
    """The C library that *program* (a path in the tree) asks for, else the one that is there.

    A tree can hold both: Debian's musl package, Alpine's gcompat. *machine* is as in wheel tags.
    ``None`` when neither library is there or neither states its version.
    """
    loader = next(find_texts(files, program, _LOADER), "") if program else ""
    readers = [_glibc, _musl]
    if "musl" in loader:
        readers = [_musl]
    elif loader:
        readers = [_glibc]
    return next((libc for reader in readers if (libc := reader(files, machine))), None)


def _glibc(files: Files, machine: str) -> Libc | None:
    for path in _glibc_paths(machine):
        if version := next(find_texts(files, path, _GLIBC), None):
            return Libc(family="glibc", version=version)
    return None


def _glibc_paths(machine: str) -> Iterator[str]:
    """Debian's multiarch folder first: the others may hold another machine's library."""
    triplet = {"i686": "i386-linux-gnu", "armv7l": "arm-linux-gnueabihf"}.get(
        machine, f"{machine}-linux-gnu"
    )
    yield from (f"{folder}/{triplet}/libc.so.6" for folder in ("lib", "usr/lib"))
    order = _FOLDERS if machine in ("i686", "armv7l") else ("lib64", "usr/lib64", "lib", "usr/lib")
    yield from (f"{folder}/libc.so.6" for folder in order)


def _musl(files: Files, machine: str) -> Libc | None:
    loader = f"ld-musl-{_MUSL_NAMES.get(machine, machine)}.so.1"
    for folder in ("lib", "usr/lib"):
        entry = files.stat(f"{folder}/{loader}")
        if entry and entry.kind is Kind.FILE:
            version = next(find_texts(files, f"{folder}/{loader}", _MUSL), None)
            return Libc(family="musl", version=version) if version else None
    return None
