"""The vault: files by their digest, each written once, whole, and never changed.

::

    <folder>/<algorithm>/<hex>       a file, read-only; its bytes were hashed when it came
    <folder>/notes/<kind>/<digest>   what was found out about a file; may be lost at any time

Any number of processes may share a vault: files appear by rename, so whoever comes second replaces
a file by the same bytes, and what a killed process leaves behind is a temporary file that a later
one sweeps away.
"""

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from envguard import storage
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError

_ALGORITHMS = ("sha256", "sha384", "sha512")
_ABANDONED_AFTER = 24 * 3600
_CHUNK_SIZE = 1 << 20


class Incoming:
    """A file on its way into the vault: hashed as it is written."""

    def __init__(self, stream: BinaryIO, algorithm: str) -> None:
        self._stream = stream
        self._hasher = hashlib.new(algorithm)
        self._algorithm = algorithm

    def write(self, data: bytes) -> None:
        """Add *data* to the file."""
        self._hasher.update(data)
        self._stream.write(data)

    @property
    def digest(self) -> Digest:
        """The digest of all that was written."""
        return Digest(self._algorithm, self._hasher.hexdigest())


class Vault:
    """The files in *folder* (``vault`` in the user's cache), made when the first one comes."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or storage.cache_folder() / "vault"
        self._swept = False

    def path(self, digest: Digest) -> Path:
        """Where the file with *digest* lies, or would lie."""
        return self.folder / digest.algorithm / digest.hex

    def note(self, digest: Digest, kind: str) -> Path:
        """Where what is known about a file may be remembered; never to be trusted unchecked."""
        return self.folder / "notes" / kind / f"{digest.algorithm}-{digest.hex}"

    def has(self, digest: Digest) -> bool:
        """Whether the vault holds the file."""
        return self.path(digest).is_file()

    def get(self, digest: Digest) -> Path:
        """The file's path; `UnreadableError` when the vault does not hold it."""
        if not self.has(digest):
            raise UnreadableError(
                f"does not hold {digest}",
                where=str(self.folder),
                hint="run it once while online",
            )
        return self.path(digest)

    def add(self, source: Path | BinaryIO, expected: Digest) -> Path:
        """Copy *source* into the vault and return where it lies.

        Raises `IntegrityError` when its digest is not *expected*, and keeps nothing then;
        `UnreadableError` when *source* cannot be read.
        """
        if isinstance(source, Path):
            try:
                with source.open("rb") as stream:
                    return self.add(stream, expected)
            except OSError as error:
                raise UnreadableError(f"cannot be read: {error}", where=str(source)) from error
        with self.receiving(expected, str(getattr(source, "name", "stream"))) as incoming:
            shutil.copyfileobj(source, incoming, _CHUNK_SIZE)
        return self.path(expected)

    @contextmanager
    def receiving(self, expected: Digest, source: str) -> Iterator[Incoming]:
        """What is written in the block becomes the file *expected* when the block ends well.

        Raises `IntegrityError` naming *source* when the digest is another one; nothing is kept
        then, nor when the block raises.
        """
        self._sweep()
        with storage.replacing(self.path(expected), mode=0o444) as stream:
            incoming = Incoming(stream, expected.algorithm)
            yield incoming
            if incoming.digest != expected:
                raise wrong_digest(source, expected, incoming.digest)

    def verify(self, digest: Digest) -> None:
        """Hash the file again; `IntegrityError` when its bytes have changed on the disk."""
        with self.get(digest).open("rb") as stream:
            hasher = hashlib.file_digest(stream, digest.algorithm)
        found = Digest(digest.algorithm, hasher.hexdigest())
        if found != digest:
            raise wrong_digest(str(self.path(digest)), digest, found)

    def digests(self) -> Iterator[Digest]:
        """The digests of all files, sorted."""
        for algorithm in _ALGORITHMS:
            folder = self.folder / algorithm
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                with suppress(ValueError):
                    yield Digest.parse(f"{algorithm}:{path.name}")

    def discard(self, digest: Digest) -> None:
        """Remove a file and all notes about it; no error when it is not there."""
        self.path(digest).unlink(missing_ok=True)
        for note in self.folder.glob(f"notes/*/{digest.algorithm}-{digest.hex}"):
            note.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Once: remove temporary files so old that whoever wrote them must be dead."""
        if self._swept:
            return
        self._swept = True
        for temporary in self.folder.glob("*/.*.tmp"):
            with suppress(FileNotFoundError):
                if time.time() - temporary.stat().st_mtime > _ABANDONED_AFTER:
                    temporary.unlink()


def wrong_digest(source: str, expected: Digest, found: Digest) -> IntegrityError:
    """The error for bytes that are not the pinned ones."""
    return IntegrityError(
        "these are not the bytes that were pinned",
        where=source,
        expected=str(expected),
        found=str(found),
        hint="do not use this file; find out who changed it before locking again",
    )
