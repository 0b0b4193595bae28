"""Finds shared libraries as glibc's dynamic loader would, without running it.

For each name that an object needs the loader looks in the object's own search folders, in
``/etc/ld.so.cache`` and in its default folders, and passes over objects of another machine.
Libraries made for newer processors (``glibc-hwcaps``) are left out: the plain one stands for
them. ``LD_LIBRARY_PATH`` and ``/etc/ld.so.preload`` of the system that is looked at do not count.

Source: ld.so(8), "Description".
"""

import posixpath
import re
from collections import deque
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable

from envguard.images.elf import Elf, read_elf
from envguard.images.library_cache import CachedLibrary, read_cache
from envguard.model.errors import UnreadableError
from envguard.model.files import Files, Kind, read

CACHE = "etc/ld.so.cache"
_MAX_CACHE = 16 << 20

_FOLDERS = (
    "/lib/{triplet}",
    "/usr/lib/{triplet}",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/local/lib",  # musl only; glibc has it in the cache, where it has it
    "/usr/lib",
)

_DRIVER = re.compile(r"lib(cuda|cudadebugger|nvcuvid|nvoptix|nvidia-[\w-]+)\.so\.1")
_TRIPLETS = {
    "armv7l": "arm-linux-gnueabihf",
    "i686": "i386-linux-gnu",
    "ppc64le": "powerpc64le-linux-gnu",
}


@runtime_checkable
class OpensTogether(Protocol):
    """A tree in which many files are read in one go much faster than one by one."""

    def open_all(self, paths: Iterable[str]) -> Iterator[tuple[str, BinaryIO]]:
        """Each of *paths* with its bytes, in any order; the caller closes the streams."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Missing:
    """A library that is not there, and the objects that need it."""

    name: str
    needed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """All libraries that some objects need, directly or not, by absolute path; sorted."""

    libraries: tuple[str, ...]
    missing: tuple[Missing, ...]


class Loader:
    """The libraries of the system in *files*, for processes of the *program* at a path.

    What is found out about objects goes into *known* by their sha256 in hexadecimal, and is not
    found out again where it is there; that is for trees whose digests cost nothing.
    Raises `UnreadableError` when *program* is none, when the cache is damaged, and when an
    object that is asked for is.
    """

    def __init__(
        self, files: Files, program: str, known: MutableMapping[str, Elf | None] | None = None
    ) -> None:
        self._files = files
        self._known = known
        self._objects: dict[str, Elf | None] = {}
        self._cached: dict[str, list[str]] = {}
        self.program = program
        self.process = self._read_program()
        for library in self.cache():
            if not library.capabilities:
                self._cached.setdefault(library.name, []).append(library.path)

    def cache(self) -> tuple[CachedLibrary, ...]:
        """The system's ``ld.so.cache``, empty when it has none."""
        if self._files.stat(CACHE) is None:
            return ()
        return read_cache(read(self._files, CACHE, limit=_MAX_CACHE), f"/{CACHE}")

    def find(self, name: str, folders: Iterable[str] = ()) -> str | None:
        """Where the loader opens the library *name*, an absolute path that may pass links.

        *folders* are looked in before the cache and the default folders.
        """
        for path in self._candidates(name, folders):
            library = self.read(path)
            if library is not None and library.fits(self.process):
                return path
        return None

    def read(self, path: str) -> Elf | None:
        """The object at the absolute *path*; ``None`` when there is none."""
        if path not in self._objects:
            if not self._is_file(path):
                self._objects[path] = None
            elif not self._recall(path):
                with self._files.open(path.lstrip("/")) as stream:
                    self._learn(path, stream)
        return self._objects[path]

    def read_ahead(self, names: Iterable[str]) -> None:
        """Read the libraries *names* together, where that is cheaper than one by one."""
        if isinstance(self._files, OpensTogether):
            paths = {
                path.lstrip("/"): path
                for name in names
                for path in self._candidates(name, ())
                if path not in self._objects and self._is_file(path) and not self._recall(path)
            }
            for path, stream in self._files.open_all(paths):
                with stream:
                    self._learn(paths[path], stream)

    def closure(self, modules: Iterable[str], names: Iterable[tuple[str, str]] = ()) -> Closure:
        """The libraries for the program, for the *modules* that it loads later, and for *names*.

        *modules* are paths of objects; each of *names* comes with who needs it. Where two objects
        find a library of one name in different folders, both are in. The driver of a device is
        neither found nor missing: it belongs to the machine that runs the image.
        """
        found: set[str] = set()
        missing: dict[str, list[str]] = {}
        wanted = deque(self._wants(self.program, ()))
        for path in modules:
            # The program's own RPATH counts for whatever it loads.
            wanted.extend(self._wants(path, self._passed_on(self.program, ())))
        wanted.extend(_Wanted(name, by, (), ()) for name, by in names)
        while wanted:
            want = wanted.popleft()
            library = None if is_of_driver(want.name) else self.find(want.name, want.folders)
            if library is None:
                missing.setdefault(want.name, []).append(want.needed_by)
            elif library not in found:
                found.add(library)
                wanted.extend(self._wants(library, want.inherited))
        # A library that is loaded already satisfies everyone who needs one of its name.
        loaded = {posixpath.basename(path) for path in found}
        return Closure(
            libraries=tuple(sorted(found)),
            missing=tuple(
                Missing(name=name, needed_by=tuple(sorted(set(missing[name]))))
                for name in sorted(missing)
                if name not in loaded and not is_of_driver(name)
            ),
        )

    def _read_program(self) -> Elf:
        elf = self.read(self.program)
        if elf is None:
            raise UnreadableError("is no program", where=self.program, expected="an ELF object")
        return elf

    def _recall(self, path: str) -> bool:
        """Whether the object at *path* is known."""
        if self._known is None:
            return False
        digest = self._files.digest(path.lstrip("/")).hex
        if digest not in self._known:
            return False
        self._objects[path] = self._known[digest]
        return True

    def _learn(self, path: str, stream: BinaryIO) -> None:
        elf = self._objects[path] = read_elf(stream, path)
        if self._known is not None:
            self._known[self._files.digest(path.lstrip("/")).hex] = elf

    def _is_file(self, path: str) -> bool:
        entry = self._files.stat(path.lstrip("/"))
        return entry is not None and entry.kind is Kind.FILE

    def _candidates(self, name: str, folders: Iterable[str]) -> Iterator[str]:
        if "/" in name:
            yield name
            return
        yield from (posixpath.join(folder, name) for folder in folders)
        yield from self._cached.get(name, ())
        machine = self.process.machine
        triplet = _TRIPLETS.get(machine, f"{machine}-linux-gnu")
        for folder in _FOLDERS:
            yield posixpath.join(folder.format(triplet=triplet), name)

    def _wants(self, path: str, inherited: tuple[str, ...]) -> Iterator["_Wanted"]:
        """The needs of the object at *path*, which objects with *inherited* RPATHs brought in.

        A RUNPATH is for the object's own needs and switches off every RPATH; an RPATH is also
        for the needs of what it brings in.
        """
        elf = self.read(path)
        if elf is not None:
            passed_on = self._passed_on(path, inherited)
            folders = _folders(elf.runpath, posixpath.dirname(path)) if elf.runpath else passed_on
            for name in elf.needed:
                yield _Wanted(name, path, folders, passed_on)

    def _passed_on(self, path: str, inherited: tuple[str, ...]) -> tuple[str, ...]:
        elf = self.read(path)
        if elf is None or elf.runpath:
            return inherited
        return _folders(elf.rpath, posixpath.dirname(path)) + inherited


def is_of_driver(name: str) -> bool:
    """Whether the library belongs to a GPU's driver, which the container runtime brings in."""
    return bool(_DRIVER.fullmatch(name))


class _Wanted(NamedTuple):
    name: str
    needed_by: str
    folders: tuple[str, ...]
    inherited: tuple[str, ...]


def _folders(paths: tuple[str, ...], origin: str) -> tuple[str, ...]:
    """Search folders with ``$ORIGIN`` filled in; relative ones and other tokens are left out."""
    filled = (path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for path in paths)
    return tuple(
        posixpath.normpath(path) for path in filled if path.startswith("/") and "$" not in path
    )
