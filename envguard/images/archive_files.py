"""The files in a tar on disk, by name, without extracting it.

Links are followed as `docker save` writes them: to another file of the same archive.
"""

import io
import os
import posixpath
import stat
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from envguard.images.streams import BUFFER_SIZE
from envguard.images.tar_reader import TarEntry, TarKind, TarReader
from envguard.model.errors import LimitError, UnreadableError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_LINKS_LIMIT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    offset: int
    size: int


class ArchiveFiles:
    """The regular files of the tar behind *descriptor*, which is closed with this object.

    Several threads may read at once. Raises `UnreadableError` for an archive with a name or a
    link that leaves it, or with one name twice.
    """

    def __init__(self, descriptor: int, source: str) -> None:
        weakref.finalize(self, os.close, descriptor)
        self.source = source
        self._descriptor = descriptor
        self._places = self._index()
        self.names = frozenset(self._places)

    @classmethod
    def open(cls, path: Path) -> "ArchiveFiles":
        """The files of the archive *path*."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error.strerror}", where=str(path)) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UnreadableError("is no regular file", where=str(path))
        return cls(descriptor, str(path))

    def open_file(self, name: str) -> BinaryIO:
        """The bytes of a file."""
        place = self._places.get(name)
        if place is None:
            raise UnreadableError(f"{name} is not in the archive", where=self.source)
        raw = _Section(self, place)
        return cast("BinaryIO", io.BufferedReader(raw, BUFFER_SIZE))

    def read(self, name: str, *, limit: int) -> bytes:
        """The whole of a small file; `LimitError` above *limit* bytes."""
        with self.open_file(name) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise LimitError(
                f"{name} is too large", where=self.source, expected=f"at most {limit} bytes"
            )
        return data

    def size(self, name: str) -> int:
        """The size of a file in bytes."""
        return self._places[name].size

    def pread(self, count: int, offset: int) -> bytes:
        """Bytes of the archive itself."""
        return os.pread(self._descriptor, count, offset)

    def _index(self) -> dict[str, _Place]:
        entries: dict[str, TarEntry] = {}
        problems: list[str] = []
        with io.BufferedReader(
            _Section(self, _Place(offset=0, size=os.fstat(self._descriptor).st_size)), 16 << 10
        ) as stream:
            for entry in TarReader(cast("BinaryIO", stream), where=self.source, seekable=True):
                name = posixpath.normpath(entry.name)
                if name.startswith(("/", "..")) or ".." in entry.name.split("/"):
                    problems.append(f"{entry.name!r} leaves the archive")
                elif name in entries and entry.kind is not TarKind.FOLDER:
                    problems.append(f"{name!r} is there twice")
                entries[name] = entry
        places = {name: _place(name, entries, problems) for name in entries}
        if problems:
            raise UnreadableError("; ".join(sorted(set(problems))[:20]), where=self.source)
        return {name: place for name, place in places.items() if place}


class _Section(io.RawIOBase):
    """A part of the archive."""

    def __init__(self, files: ArchiveFiles, place: _Place) -> None:
        self._files = files
        self._place = place
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = (0, self._position, self._place.size)[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        count = max(0, min(len(view), self._place.size - self._position))
        data = self._files.pread(count, self._place.offset + self._position)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def _place(name: str, entries: dict[str, TarEntry], problems: list[str]) -> _Place | None:
    """Where the bytes of *name* are, after links; ``None`` for a folder."""
    at = name
    for _ in range(_LINKS_LIMIT):
        entry = entries.get(at)
        match entry and entry.kind:
            case TarKind.FILE if entry:
                return _Place(offset=entry.offset, size=entry.size)
            case TarKind.FOLDER if at == name:
                return None
            case TarKind.HARD_LINK if entry:
                at = posixpath.normpath(entry.target)
            case TarKind.LINK if entry:
                at = posixpath.normpath(posixpath.join(posixpath.dirname(at), entry.target))
            case _:
                break
    problems.append(f"{name!r} is a link to no file of the archive, or a device")
    return None
