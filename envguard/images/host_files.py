"""This machine's whole file system as `Files`, for looking things up in it by absolute path.

Unlike a folder that someone hands over, the machine itself is trusted to say where its links
lead: the kernel follows them, as it does for the dynamic loader.
"""

import hashlib
import io
import os
import stat
from pathlib import Path

from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from envguard.model.files import Entry, Kind


class HostFiles:
    """The file system of this machine; paths are relative to ``/``."""

    def scan(self, folder: str) -> list[Entry]:
        """The names in *folder*, sorted; empty when it does not exist."""
        try:
            with os.scandir(f"/{folder}") as names:
                found = [self._entry(Path(name.path), follow=False) for name in names]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(folder, error) from error
        return sorted((entry for entry in found if entry), key=lambda entry: entry.name)

    def stat(self, path: str) -> Entry | None:
        """What *path* is, after following links; ``None`` when absent."""
        return self._entry(Path("/", path), follow=True)

    def open(self, path: str) -> io.BufferedReader:
        """The bytes of a regular file."""
        try:
            # Without O_NONBLOCK, opening a pipe would wait for its writer.
            descriptor = os.open(f"/{path}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            stream = os.fdopen(descriptor, "rb")
        except OSError as error:
            raise _unreadable(path, error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            stream.close()
            raise UnreadableError("is no regular file", where=f"/{path}")
        return stream

    def digest(self, path: str) -> Digest:
        """The sha256 of a regular file."""
        with self.open(path) as stream:
            try:
                return Digest("sha256", hashlib.file_digest(stream, "sha256").hexdigest())
            except OSError as error:
                raise _unreadable(path, error) from error

    def _entry(self, path: Path, *, follow: bool) -> Entry | None:
        try:
            status = path.stat() if follow else path.lstat()
            target = str(path.readlink()) if stat.S_ISLNK(status.st_mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(str(path), error) from error
        return Entry(
            name=path.name,
            kind=_KINDS.get(stat.S_IFMT(status.st_mode), Kind.OTHER),
            size=status.st_size,
            executable=bool(status.st_mode & stat.S_IXUSR),
            target=target,
        )


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}


def _unreadable(path: str, error: OSError) -> UnreadableError:
    return UnreadableError(
        f"cannot be read: {error.strerror or error}", where="/" + path.lstrip("/")
    )
