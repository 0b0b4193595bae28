"""A tree of files in memory."""

import io
from collections.abc import Mapping
from posixpath import dirname, normpath
from typing import BinaryIO

from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from envguard.model.files import Entry, Kind, join


class MemoryFiles:
    """A `Files` of *content* by path; *links* by path with their targets as written.

    *executables* are the paths with the executable bit, *others* are pipes or devices.
    """

    def __init__(
        self,
        content: Mapping[str, bytes],
        *,
        links: Mapping[str, str] | None = None,
        executables: frozenset[str] = frozenset(),
        others: frozenset[str] = frozenset(),
    ) -> None:
        self.content = dict(content)
        self.links = dict(links or {})
        self.executables = executables
        self.others = others

    def scan(self, folder: str) -> list[Entry]:
        start = folder + "/" if folder else ""
        names = {
            path[len(start) :].partition("/")[0]
            for path in (*self.content, *self.links, *self.others)
            if path.startswith(start)
        }
        return [self._entry(join(folder, name), name) for name in sorted(names)]

    def stat(self, path: str) -> Entry | None:
        real = self._resolve(path)
        if real is None or not (self._is_folder(real) or real in self.content):
            return None
        return self._entry(real, path.rpartition("/")[2])

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO(self._read(path))

    def digest(self, path: str) -> Digest:
        return Digest.of(self._read(path))

    def _read(self, path: str) -> bytes:
        real = self._resolve(path)
        if real is None or real not in self.content:
            raise UnreadableError("is no regular file", where=path)
        return self.content[real]

    def _entry(self, path: str, name: str) -> Entry:
        if path in self.links:
            return Entry(name=name, kind=Kind.LINK, target=self.links[path])
        if path in self.others:
            return Entry(name=name, kind=Kind.OTHER)
        if path in self.content:
            return Entry(
                name=name,
                kind=Kind.FILE,
                size=len(self.content[path]),
                executable=path in self.executables,
            )
        return Entry(name=name, kind=Kind.FOLDER)

    def _is_folder(self, path: str) -> bool:
        return any(known.startswith(path + "/") for known in self.content)

    def _resolve(self, path: str) -> str | None:
        """*path* after its links, or ``None`` when they leave the tree or go round."""
        for _ in range(10):
            if path not in self.links:
                return path
            path = normpath(join(dirname(path), self.links[path]))
            if path.startswith(("..", "/")):
                return None
        return None
