"""A regular file that is read at offsets, by several threads if they like."""

import os
import stat
from pathlib import Path

from envguard.model.errors import UnreadableError


class File:
    """An open regular file; *source* names it in errors, *size* is its length when opened."""

    __slots__ = ("_descriptor", "size", "source")

    def __init__(self, path: Path, source: str) -> None:
        """Raises `UnreadableError` when *path* cannot be opened or is no regular file."""
        self.source = source
        try:
            # O_NONBLOCK: opening a pipe must not wait for a writer.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise UnreadableError(f"cannot be opened: {error}", where=source) from error
        status = os.fstat(self._descriptor)
        self.size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise UnreadableError("is no regular file", where=source)

    def at(self, offset: int, size: int) -> bytes:
        """Exactly *size* bytes at *offset*; `UnreadableError` when the file ends before them."""
        data = os.pread(self._descriptor, size, offset)
        while len(data) < size:
            part = os.pread(self._descriptor, size - len(data), offset + len(data))
            if not part:
                raise UnreadableError(f"ends within {size} bytes at {offset}", where=self.source)
            data += part
        return data

    def close(self) -> None:
        """Close the file; once is enough, more do no harm."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
