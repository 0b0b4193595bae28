"""Gathers files of this machine into the entries of a layer, at their own paths.

A link is taken over as a link together with what it leads to: ``/lib64 -> usr/lib64`` and
``libz.so.1 -> libz.so.1.2.13`` look in the image as they do here.
"""

import hashlib
import posixpath
from collections.abc import Callable
from pathlib import Path

from envguard.images.layer import FileSource, LayerEntry, LayerFile, LayerFolder, LayerLink
from envguard.images.links import follow
from envguard.model.digest import Digest
from envguard.model.files import Files, Kind, join


class HostTree:
    """Entries by path. All paths that come in are absolute paths of this machine."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._entries: dict[str, LayerEntry] = {}
        self._targets: dict[str, str | None] = {}

    def entries(self) -> tuple[LayerEntry, ...]:
        """What was gathered, sorted by path."""
        return tuple(self._entries[path] for path in sorted(self._entries))

    def has(self, path: str) -> bool:
        """Whether *path* is the path of an entry or a folder above one."""
        return any(f"{known}/".startswith(f"{path}/") for known in self._entries)

    def target_of(self, path: str) -> str | None:
        """The target of the gathered link *path*; ``None`` when it is none."""
        entry = self._entries.get(path)
        return entry.target if isinstance(entry, LayerLink) else None

    def digest(self) -> Digest:
        """The identity of what was gathered: path, kind, mode, and content or target of each."""
        hasher = hashlib.sha256(b"envguard-host-base-v1\n")
        for entry in self.entries():
            hasher.update("\0".join(_identity(entry)).encode("utf-8", "surrogateescape") + b"\n")
        return Digest("sha256", hasher.hexdigest())

    def add(self, path: str) -> bool:
        """Add the regular file at *path* and every link on the way; ``False`` where none is."""
        entry = self._files.stat(path.lstrip("/"))
        if entry is None or entry.kind is not Kind.FILE:
            return False
        real = self.follow(path)
        if real not in self._entries:
            source = FileSource(
                path=Path("/", real), size=entry.size, digest=self._files.digest(real)
            )
            self._entries[real] = LayerFile(path=real, source=source, executable=entry.executable)
        return True

    def add_below(self, folder: str, *, leave_out: Callable[[str], bool]) -> list[str]:
        """Add all regular files below *folder*, and the links to such files; gives their paths.

        Folders and files whose name *leave_out* holds for, and links to folders, stay out.
        """
        added: list[str] = []
        for entry in self._files.scan(folder.lstrip("/")):
            path = f"{folder}/{entry.name}"
            if leave_out(entry.name):
                continue
            if entry.kind is Kind.FOLDER:
                added += self.add_below(path, leave_out=leave_out)
            elif entry.kind is not Kind.OTHER and self.add(path):
                added.append(path)
        return added

    def write(self, path: str, text: str | bytes) -> None:
        """Add a file that envguard itself writes; *path* is relative to the root."""
        data = text.encode() if isinstance(text, str) else text
        self._entries[path] = LayerFile(path=path, source=data)

    def add_folder(self, path: str, mode: int) -> None:
        """Add an empty folder; *path* is relative to the root."""
        self._entries[path] = LayerFolder(path=path, mode=mode)

    def link(self, path: str, target: str) -> None:
        """Add a link that this machine does not have, in a folder that it may reach over links."""
        folder, name = posixpath.split(path)
        real = join(self.follow(folder), name)
        self._entries[real] = LayerLink(path=real, target=target)

    def follow(self, path: str) -> str:
        """Where *path* leads, relative to the root; the links on the way are added."""
        followed = follow(path, self._target)
        for link, target in followed.links:
            self._entries[link] = LayerLink(path=link, target=target)
        return followed.path

    def _target(self, path: str) -> str | None:
        if path not in self._targets:
            try:
                self._targets[path] = str(Path("/", path).readlink())
            except OSError:  # EINVAL: no link; ENOENT: opening the file will tell
                self._targets[path] = None
        return self._targets[path]


def _identity(entry: LayerEntry) -> tuple[str, ...]:
    match entry:
        case LayerFolder(path=path, mode=mode):
            return (path, "folder", f"{mode:o}")
        case LayerLink(path=path, target=target):
            return (path, "link", target)
        case LayerFile(path=path, source=source, executable=executable):
            digest = Digest.of(source) if isinstance(source, bytes) else source.digest
            return (path, "executable" if executable else "file", str(digest))


def size_of(entry: LayerEntry) -> int:
    """Bytes of a file; 0 for links and folders."""
    match entry:
        case LayerFile(source=bytes() as data):
            return len(data)
        case LayerFile(source=FileSource(size=size)):
            return size
        case _:
            return 0
