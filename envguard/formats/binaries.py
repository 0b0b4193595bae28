"""Texts inside binaries, found by streaming: what an executable or a C library says of itself."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from envguard.model.errors import UnreadableError
from envguard.model.files import Files

_CHUNK = 1 << 20
_OVERLAP = 4096
_LIMIT = 1 << 30


def find_texts(files: Files, path: str, pattern: re.Pattern[bytes]) -> Iterator[str]:
    """The first group of every match of *pattern* in a file; nothing when it cannot be read.

    A match may be at most 4 KiB long. The first GiB of the file is searched, 1 MiB at a time.
    """
    try:
        with files.open(path) as stream:
            yield from _matches(stream, pattern)
    except UnreadableError:
        return


def _matches(stream: BinaryIO, pattern: re.Pattern[bytes]) -> Iterator[str]:
    window, done = b"", 0
    while (chunk := stream.read(_CHUNK)) and done < _LIMIT:
        window += chunk
        done += len(chunk)
        for match in pattern.finditer(window):
            yield match[1].decode("ascii", "replace")
        window = window[-_OVERLAP:]
