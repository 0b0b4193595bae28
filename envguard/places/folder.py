"""A folder of this machine as a `Files` tree.

Links are resolved by the rules of this machine and refused where they lead out of the folder.
Only regular files are opened, never blocking, and a file that changes while it is read is an
error, not a mixture.
"""

import hashlib
import io
import os
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol

from envguard.model.digest import Digest
from envguard.model.errors import LimitError, UnreadableError
from envguard.model.files import Entry, Files, Kind, ListsNames, Name
from envguard.places.writeback import Writeback

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_BUFFER = 1 << 20
_SMALL = 64 << 10
_READ_AHEAD = 64 << 10
_LARGEST = 4 << 40
_TICK = 20_000_000
"""Nanoseconds; the kernel's clock for files ticks every 1 to 10 ms."""
_PATIENCE = 10
_WAIT = "run again when nothing writes to it"
_REMEMBERED_FOLDERS = 100_000
_buffers = threading.local()


class KnownDigests(Protocol):
    """What was hashed before: see `envguard.places.digest_cache`."""

    def get(self, status: os.stat_result) -> Digest | None:
        """The sha256 of the file that has this status, if it is known."""
        ...

    def put(self, status: os.stat_result, digest: Digest) -> None:
        """Remember the sha256 of the file that has this status."""
        ...


class Folder(ListsNames):
    """The tree below *root*; *cache* spares hashing what has not changed. Safe between threads.

    `digest` and the stream of `open` raise `UnreadableError` when the file changed meanwhile; the
    stream does so when it is closed.
    """

    def __init__(self, root: Path, *, cache: KnownDigests | None = None) -> None:
        self.root = root
        self._top = _with_slash(os.path.realpath(root))
        self._cache = cache
        self._writeback = Writeback()
        self._real: dict[str, str | None] = {}

    def __repr__(self) -> str:
        return f"Folder({str(self.root)!r})"

    def scan(self, folder: str) -> list[Entry]:
        """The names in *folder*, sorted by name; empty when the folder does not exist."""
        location = self._folder(_checked(folder))
        if location is None:
            return []
        try:
            with os.scandir(location) as names:
                return sorted(filter(None, map(_entry, names)), key=_name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(folder, error) from error

    def list_names(self, folder: str) -> list[Name]:
        """The names in *folder*, as `scan` lists them, and no file's status is asked for."""
        location = self._folder(_checked(folder))
        if location is None:
            return []
        try:
            with os.scandir(location) as found:
                return sorted(Name(one.name, _listed_kind(one)) for one in found)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(folder, error) from error

    def stat(self, path: str) -> Entry | None:
        """What *path* is; ``None`` when absent or behind a link that leaves the folder."""
        try:
            _, status = self._located(path)
        except UnreadableError as error:
            if isinstance(error.__cause__, PermissionError):
                raise
            return None
        kind = _kind(status.st_mode)
        return Entry(
            name=path.rpartition("/")[2],
            kind=kind,
            size=status.st_size if kind is Kind.FILE else 0,
            executable=kind is Kind.FILE and bool(status.st_mode & 0o111),
        )

    def open(self, path: str) -> BinaryIO:
        """The bytes of a regular file, from its start."""
        descriptor, status = self._opened(path)
        return io.BufferedReader(_SteadyFile(descriptor, status, path), _READ_AHEAD)

    def digest(self, path: str) -> Digest:
        """The sha256 of a regular file, from the cache where its status has not changed."""
        if self._cache is None:
            return self._hashed(path)
        _, status = self._located(path)
        return self._cache.get(status) or self._hashed(path)

    def _hashed(self, path: str) -> Digest:
        """The sha256; remembered where a later change would be seen."""
        descriptor, status = self._opened(path)
        try:
            _check_size(status.st_size, path)
            status, clean = self._cleaned(descriptor, status, path)
            digest = _sha256(descriptor, status.st_size)
            _check_unchanged(descriptor, status, path)
        except OSError as error:
            raise _unreadable(path, error) from error
        finally:
            os.close(descriptor)
        if clean and self._cache is not None:
            self._cache.put(status, digest)
        return digest

    def _cleaned(
        self, descriptor: int, status: os.stat_result, path: str
    ) -> tuple[os.stat_result, bool]:
        """The status of a file that rests, and whether every write after it will change it.

        Times from before writing back still hold after it, so no write came between the two.
        """
        for _ in range(_PATIENCE):
            status = _settled(descriptor, status, path)
            if self._cache is None or not self._writeback.clean(descriptor, status.st_dev):
                return status, False
            before, status = status, os.fstat(descriptor)
            if _times(before) == _times(status):
                return status, True
        raise UnreadableError("changes all the time", where=path, hint=_WAIT)

    def _opened(self, path: str) -> tuple[int, os.stat_result]:
        """A descriptor of a regular file inside the folder, and its status."""
        location, looked_at = self._located(path)
        if not stat.S_ISREG(looked_at.st_mode):
            raise UnreadableError(
                "is no regular file", where=path, found=_kind(looked_at.st_mode).value
            )
        try:
            descriptor = os.open(location, _OPEN)
        except OSError as error:
            raise _unreadable(path, error) from error
        status = os.fstat(descriptor)
        if not os.path.samestat(looked_at, status) or not self._is_at(descriptor, location):
            os.close(descriptor)
            raise UnreadableError("was replaced while it was opened", where=path)
        return descriptor, status

    def _located(self, path: str) -> tuple[str, os.stat_result]:
        """Where *path* is once its links are followed, and the status of what lies there."""
        folder, _, name = _checked(path).rpartition("/")
        parent = self._folder(folder)
        if parent is None:
            raise UnreadableError("lies behind a link that leaves the folder", where=path)
        location = parent + name
        try:
            status = os.lstat(location)
            if stat.S_ISLNK(status.st_mode):
                location = os.path.realpath(location, strict=True)
                self._check_inside(location, path)
                status = os.lstat(location)
        except OSError as error:
            raise _unreadable(path, error) from error
        return location, status

    def _folder(self, folder: str) -> str | None:
        """The real place of *folder* with a slash, remembered; ``None`` when it lies outside."""
        if folder in self._real:
            return self._real[folder]
        location = self._beside_known(folder) or _with_slash(os.path.realpath(self._top + folder))
        if len(self._real) >= _REMEMBERED_FOLDERS:
            self._real.clear()
        self._real[folder] = location if location.startswith(self._top) else None
        return self._real[folder]

    def _beside_known(self, folder: str) -> str | None:
        """The real place of *folder* where that of the folder above is known and it is no link.

        Following every part of a path takes many times as long. Only for the root of the machine:
        elsewhere a folder above that was swapped for a link meanwhile must not lead out.
        """
        if self._top != "/":
            return None
        above, _, name = folder.rpartition("/")
        parent = self._real.get(above)
        if parent is None or name in ("", "."):
            return None
        try:
            is_folder = stat.S_ISDIR(os.lstat(parent + name).st_mode)
        except OSError:
            return None
        return f"{parent}{name}/" if is_folder else None

    def _check_inside(self, location: str, path: str) -> None:
        if not _with_slash(location).startswith(self._top):
            raise UnreadableError(
                "is a link that leads out of the folder",
                where=path,
                found=location,
                hint="name the folder that it leads to, or put the file itself here",
            )

    def _is_at(self, descriptor: int, location: str) -> bool:
        """Whether the open file lies where it was looked for: a folder above may have been swapped.

        Everything is inside the root of the machine, so there nothing needs to be asked.
        """
        if self._top == "/":
            return True
        try:
            return os.readlink(f"/proc/self/fd/{descriptor}") == location  # noqa: PTH115
        except OSError:  # no /proc here
            return os.path.realpath(location) == location


class SingleFile:
    """A tree of one file, *path*, under its own name: a model that is no folder.

    A link is followed: whoever names it means the file.
    """

    def __init__(self, path: Path, *, cache: KnownDigests | None = None) -> None:
        self.name = path.name
        real = Path(os.path.realpath(path))
        self._real_name = real.name
        self._folder = Folder(real.parent, cache=cache)

    def scan(self, folder: str) -> list[Entry]:
        """The one file, or nothing when it is gone or *folder* is not the root."""
        entry = None if folder else self.stat(self.name)
        return [entry] if entry else []

    def stat(self, path: str) -> Entry | None:
        """The file, or the root folder; ``None`` for every other path."""
        if not path:
            return Entry(name="", kind=Kind.FOLDER)
        entry = self._folder.stat(self._real_name) if path == self.name else None
        return replace(entry, name=self.name) if entry else None

    def open(self, path: str) -> BinaryIO:
        """The bytes of the file, from its start."""
        return self._folder.open(self._own(path))

    def digest(self, path: str) -> Digest:
        """The sha256 of the file."""
        return self._folder.digest(self._own(path))

    def _own(self, path: str) -> str:
        if path != self.name:
            raise UnreadableError("is not the one file of this tree", where=path)
        return self._real_name


def tree(path: Path, *, cache: KnownDigests | None = None) -> Files:
    """The `Files` of *path*: a `Folder`, or a `SingleFile` where it is no folder.

    Raises `UnreadableError` when nothing is there.
    """
    if path.is_dir():
        return Folder(path, cache=cache)
    single = SingleFile(path, cache=cache)
    if single.stat(path.name) is None:
        raise UnreadableError("does not exist", where=str(path))
    return single


class _SteadyFile(io.FileIO):
    """A file that, when it is closed, must still be what it was when it was opened."""

    def __init__(self, descriptor: int, status: os.stat_result, path: str) -> None:
        super().__init__(descriptor, "rb")
        self._status = status
        self._path = path

    def close(self) -> None:
        if self.closed:
            return
        try:
            _check_unchanged(self.fileno(), self._status, self._path)
        finally:
            super().close()


def _sha256(descriptor: int, size: int) -> Digest:
    data = b""
    if size <= _SMALL:
        data = os.read(descriptor, size + 1)
        if len(data) <= size:  # more only if it grew: the caller will see that
            return Digest("sha256", hashlib.sha256(data).hexdigest())
    hasher = hashlib.sha256(data)
    buffer = _buffer()
    while count := os.readv(descriptor, [buffer]):
        hasher.update(buffer[:count])
    return Digest("sha256", hasher.hexdigest())


def _buffer() -> memoryview:
    """One buffer for each thread: a fresh one for each file costs more than small files do."""
    buffer: memoryview | None = getattr(_buffers, "buffer", None)
    if buffer is None:
        buffer = _buffers.buffer = memoryview(bytearray(_BUFFER))
    return buffer


def _check_size(size: int, path: str) -> None:
    """Some files have no end: /proc/kcore is a regular file of 128 TiB."""
    if size > _LARGEST:
        raise LimitError("file is too large", where=path, expected=f"at most {_LARGEST} bytes")


def _settled(descriptor: int, status: os.stat_result, path: str) -> os.stat_result:
    """The status once the last write lies a tick of the kernel's clock back.

    Times of files are coarse: of two writes within a tick only the first changes them, so a file
    that changed just now could change again while it is read, and nobody would see it.
    """
    for _ in range(_PATIENCE):
        if not 0 <= time.time_ns() - status.st_ctime_ns < _TICK:
            return status
        time.sleep(_TICK / 1e9)
        status = os.fstat(descriptor)
    raise UnreadableError("changes all the time", where=path, hint=_WAIT)


def _check_unchanged(descriptor: int, before: os.stat_result, path: str) -> None:
    if _times(os.fstat(descriptor)) != _times(before):
        raise UnreadableError("changed while it was read", where=path, hint=_WAIT)


def _times(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _checked(path: str) -> str:
    if path.startswith("/") or "\0" in path or (".." in path and ".." in path.split("/")):
        raise UnreadableError("is no path inside the folder", where=path)
    return path


def _with_slash(location: str) -> str:
    return location if location.endswith("/") else location + "/"


def _entry(found: os.DirEntry[str]) -> Entry | None:
    """The entry of a name; ``None`` when it vanished since it was listed."""
    try:
        if found.is_symlink():
            return Entry(name=found.name, kind=Kind.LINK, target=os.readlink(found))  # noqa: PTH115
        if found.is_dir(follow_symlinks=False):
            return Entry(name=found.name, kind=Kind.FOLDER)
        status = found.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return Entry(name=found.name, kind=Kind.OTHER)
    executable = bool(status.st_mode & 0o111)
    return Entry(name=found.name, kind=Kind.FILE, size=status.st_size, executable=executable)


def _listed_kind(found: os.DirEntry[str]) -> Kind:
    """The kind of a name, which file systems state in their listings."""
    if found.is_file(follow_symlinks=False):
        return Kind.FILE
    if found.is_dir(follow_symlinks=False):
        return Kind.FOLDER
    return Kind.LINK if found.is_symlink() else Kind.OTHER


def _name(entry: Entry) -> str:
    return entry.name


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.FOLDER
    return Kind.LINK if stat.S_ISLNK(mode) else Kind.OTHER


def _unreadable(path: str, error: OSError) -> UnreadableError:
    return UnreadableError(f"cannot be read: {error.strerror}", where=path)
