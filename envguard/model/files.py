"""The seam between places and formats: a read-only tree of files."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, NamedTuple, Protocol

from envguard.model.digest import Digest
from envguard.model.errors import LimitError

_SMALL = 64 << 10


class Kind(StrEnum):
    """What a name in a tree is. Sockets, devices and pipes are ``OTHER`` and never opened."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name of a folder. *size* is in bytes; *target* is a link's text as written."""

    name: str
    kind: Kind
    size: int = 0
    executable: bool = False
    target: str | None = None


class Name(NamedTuple):
    """One name of a folder, and no more than what it is."""

    name: str
    kind: Kind


class Files(Protocol):
    """A read-only tree. Paths are relative, with ``/``; ``""`` is the root itself.

    Implementations resolve links inside the tree themselves, never leave the tree, and raise
    `UnreadableError` for what is absent, is no regular file, or changed while it was read.
    """

    def scan(self, folder: str) -> list[Entry]:
        """The names in *folder*, sorted by name; empty when the folder does not exist."""
        ...

    def stat(self, path: str) -> Entry | None:
        """What *path* is, after following links inside the tree; ``None`` when absent."""
        ...

    def open(self, path: str) -> BinaryIO:
        """The bytes of a regular file, from its start."""
        ...

    def digest(self, path: str) -> Digest:
        """The sha256 of a regular file."""
        ...


class ListsNames(ABC):
    """A tree that can list names for less than `Files.scan` takes, which asks for every size."""

    @abstractmethod
    def list_names(self, folder: str) -> list[Name]:
        """The names in *folder*, sorted; empty when the folder does not exist."""


class Below:
    """The part of a tree below *folder*, as a tree of its own."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder

    def scan(self, folder: str) -> list[Entry]:
        """See `Files`."""
        return self._files.scan(self._inside(folder))

    def stat(self, path: str) -> Entry | None:
        """See `Files`."""
        return self._files.stat(self._inside(path))

    def open(self, path: str) -> BinaryIO:
        """See `Files`."""
        return self._files.open(self._inside(path))

    def digest(self, path: str) -> Digest:
        """See `Files`."""
        return self._files.digest(self._inside(path))

    def _inside(self, path: str) -> str:
        return join(self._folder, path) if path else self._folder


def join(folder: str, name: str) -> str:
    """``folder/name``, where the root folder is the empty string."""
    return f"{folder}/{name}" if folder else name


def names(files: Files, folder: str) -> list[Name]:
    """The names in *folder* in the way that costs the tree least, sorted."""
    if isinstance(files, ListsNames):
        return files.list_names(folder)
    return [Name(entry.name, entry.kind) for entry in files.scan(folder)]


def read(files: Files, path: str, *, limit: int = 64 << 20) -> bytes:
    """The whole of a small file; `LimitError` above *limit* bytes."""
    with files.open(path) as stream:
        data = stream.read(min(limit + 1, _SMALL))  # asked for more, it would reserve that first
        if len(data) == _SMALL:
            data += stream.read(limit + 1 - _SMALL)
    if len(data) > limit:
        raise LimitError("file is too large", where=path, expected=f"at most {limit} bytes")
    return data


def walk(
    files: Files, folder: str = "", *, enter: Callable[[str], bool] = lambda path: True
) -> Iterator[tuple[str, Entry]]:
    """Every path below *folder* with its entry, sorted; links are listed, not followed."""
    for entry in files.scan(folder):
        path = join(folder, entry.name)
        yield path, entry
        if entry.kind is Kind.FOLDER and enter(path):
            yield from walk(files, path, enter=enter)
