"""The digest over a model's manifest, which is the model's identity.

It is the sha256 over one line for each file::

    envguard-manifest-v1
    <path> NUL <x or -> NUL <size> NUL <sha256 hex> LF        (sorted by path)

``x`` marks an executable file. Paths are UTF-8, relative, with ``/``, and compared as they are,
without Unicode normalisation.
"""

import hashlib
from collections.abc import Iterable

from envguard.model.artifact import ManifestEntry
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError


def digest(entries: Iterable[ManifestEntry]) -> Digest:
    """The digest over *entries* in any order (see the module's text for its definition).

    Raises `UnreadableError` for a path with a NUL, which no file system has but an archive may.
    """
    hasher = hashlib.sha256(b"envguard-manifest-v1\n")
    for entry in sorted(entries, key=lambda entry: entry.path):
        if "\0" in entry.path:
            raise UnreadableError("the file's name has a NUL", where=repr(entry.path))
        mark = "x" if entry.executable else "-"
        line = f"{entry.path}\0{mark}\0{entry.size}\0{entry.digest.hex}\n"
        hasher.update(line.encode())
    return Digest("sha256", hasher.hexdigest())
