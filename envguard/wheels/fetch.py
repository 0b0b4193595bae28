"""Pinned files into the vault: in parallel, hashed as they come, capped at the pinned size."""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from envguard.model.digest import Digest
from envguard.model.errors import EnvguardError, IntegrityError, LimitError, UnreadableError
from envguard.model.package import Archive
from envguard.model.progress import Progress, silent
from envguard.wheels.download import Body, Client, Transient
from envguard.wheels.file import File
from envguard.wheels.vault import Vault, wrong_digest

_PREFERENCE = ("sha256", "sha512", "sha384")
_SIZE_LIMIT = 16 << 30
_PAUSES = (0.3, 1.0, 3.0)
"""Seconds before each further attempt."""
_COPY_SIZE = 1 << 20


def fetch(
    archives: Sequence[Archive],
    vault: Vault,
    *,
    base: Path | None = None,
    offline: bool = False,
    workers: int = 8,
    progress: Progress = silent,
) -> list[Path]:
    """Where each of *archives* lies in *vault*, in their order, after fetching what it lacks.

    *base* is the folder that relative `Archive.path` are relative to; local files are read only
    below it, whatever the lock says. *offline* allows local files only. A file is pinned by one of
    its digests in the best algorithm that is stated; the other algorithms must agree.

    All files that fail are named in one error, by cause: `IntegrityError` when one of them is not
    what was pinned, else `UnreadableError` (unpinned, absent, offline, not to be reached).
    """
    errors: list[EnvguardError] = []
    chosen: list[Digest] = []
    missing: dict[Digest, tuple[Archive, Path | str]] = {}
    for archive in archives:
        try:
            digest = _choose(archive, vault)
            if not vault.has(digest):
                missing[digest] = (archive, _source(archive, base, offline=offline))
            chosen.append(digest)
        except EnvguardError as error:
            errors.append(error)
    if not errors and missing:
        errors = _Fetching(missing, vault, progress).run(workers)
    if not errors:
        errors = [error for pair in zip(archives, chosen, strict=True)
                  for error in _disagreeing(*pair, vault)]  # fmt: skip
    if errors:
        raise _together(errors)
    return [vault.path(digest) for digest in chosen]


def _shown(archive: Archive) -> str:
    """What to call the file in messages."""
    place = archive.filename or archive.path or urlsplit(archive.url or "").path
    return PurePosixPath(place).name or (str(archive.digests[0]) if archive.digests else "a file")


def _choose(archive: Archive, vault: Vault) -> Digest:
    """The digest under which the vault holds, or will hold, the file.

    A requirements file lists the digests of all files of a release; then only the vault can tell
    which one is meant.
    """
    digests = [d for algorithm in _PREFERENCE for d in archive.digests if d.algorithm == algorithm]
    if not digests:
        raise UnreadableError(
            "is not pinned by a digest",
            where=_shown(archive),
            expected="a sha256 digest",
            hint="lock again with hashes",
        )
    candidates = sorted({d for d in digests if d.algorithm == digests[0].algorithm})
    held = [digest for digest in candidates if vault.has(digest)]
    if len(candidates) == 1 or len(held) == 1:
        return (held or candidates)[0]
    raise UnreadableError(
        f"is pinned by {len(candidates)} digests, and the vault holds {len(held)} of these files",
        where=_shown(archive),
        expected="one file that the vault holds, or one digest and a URL",
        hint="lock again in a format that states the URL of each file (pylock.toml)",
    )


def _source(archive: Archive, base: Path | None, *, offline: bool) -> Path | str:
    """Where to get a file that the vault lacks: a local path, or a URL."""
    url = archive.url or ""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return _below(base, Path(unquote(parts.path)), archive)
    if archive.path is not None and base is not None:
        path = _below(base, base / archive.path, archive)
        if path.is_file() or not url:
            return path
    if url and not offline:
        return url
    where = (
        f"offline, and {_host(url)} is not asked" if url else "no place to get it from is stated"
    )
    raise UnreadableError(
        f"is not in the vault ({where})",
        where=_shown(archive),
        hint="run it once while online",
    )


def _below(base: Path | None, path: Path, archive: Archive) -> Path:
    """*path*, which must lie below *base* once its links are followed.

    A lock that somebody else wrote must not choose what is read on this machine. Nothing is said
    about what lies there.
    """
    try:
        if base is not None and (real := path.resolve()).is_relative_to(base.resolve()):
            return real
    except (OSError, ValueError, RuntimeError):  # a NUL in the name, links that go round
        pass
    raise UnreadableError(
        "is a local file that does not lie below the folder of the lock",
        where=_shown(archive),
        found=str(path),
        hint="put the file into the lock's folder, and lock again",
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or "its URL"


class _Fetching:
    """The downloads of one `fetch`: what is missing, how far they are, whether to stop."""

    def __init__(
        self,
        missing: Mapping[Digest, tuple[Archive, Path | str]],
        vault: Vault,
        progress: Progress,
    ) -> None:
        self._missing = missing
        self._vault = vault
        self._progress = progress
        sizes = [archive.size for archive, _ in missing.values()]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)
        self._done = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def run(self, workers: int) -> list[EnvguardError]:
        """Fetch all; returns what went wrong."""
        self._tell(0)
        with closing(Client(workers)) as client, ThreadPoolExecutor(workers, "fetch") as pool:
            jobs = [pool.submit(self._one, digest, client) for digest in self._missing]
            try:
                wait(jobs)
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [error for job in jobs if (error := _error(job))]

    def _one(self, digest: Digest, client: Client) -> None:
        archive, source = self._missing[digest]
        for pause in (*_PAUSES, None):
            received = 0
            try:
                with (
                    _opened(source, client) as body,
                    self._vault.receiving(digest, _shown(archive)) as incoming,
                ):
                    for data in self._capped(archive, body):
                        incoming.write(data)
                        received += len(data)
                        self._tell(len(data))
                return
            except Transient as error:
                self._tell(-received)
                if pause is None or self._stop.wait(pause):
                    raise UnreadableError(
                        f"could not be fetched from {_host(str(source))}: {error}",
                        where=_shown(archive),
                        hint=error.hint,
                    ) from error

    def _capped(self, archive: Archive, body: Body) -> Iterator[bytes]:
        """The body, which must not be longer or shorter than the pin states."""
        limit = _SIZE_LIMIT if archive.size is None else archive.size
        if body.length is not None and archive.size not in (None, body.length):
            raise _wrong_size(archive, body.length)
        size = 0
        for data in body.chunks:
            size += len(data)
            if size > limit:
                raise _wrong_size(archive, size)
            if self._stop.is_set():
                raise Transient("stopped")
            yield data
        if body.length is None and size < (archive.size or 0):
            # Without a stated length a torn connection looks like the end.
            raise Transient(f"ended after {size} of {archive.size} bytes")

    def _tell(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._progress("fetching wheels", self._done, self._total)


@contextmanager
def _opened(source: Path | str, client: Client) -> Iterator[Body]:
    if isinstance(source, str):
        with client.get(source) as body:
            yield body
        return
    with closing(File(source, str(source))) as file:
        starts = range(0, file.size, _COPY_SIZE)
        yield Body(
            file.size, (file.at(start, min(_COPY_SIZE, file.size - start)) for start in starts)
        )


def _error(job: Future[None]) -> EnvguardError | None:
    try:
        job.result()
    except EnvguardError as error:
        return error
    return None


def _wrong_size(archive: Archive, found: int) -> EnvguardError:
    if archive.size is None:
        return LimitError(
            "is too large", where=_shown(archive), expected=f"at most {_SIZE_LIMIT} bytes"
        )
    return IntegrityError(
        "is not as large as the file that was pinned",
        where=_shown(archive),
        expected=f"{archive.size} bytes, {archive.digests[0]}",
        found=f"{found} bytes or more",
        hint="do not use this file; find out who changed it before locking again",
    )


def _disagreeing(archive: Archive, digest: Digest, vault: Vault) -> Iterator[EnvguardError]:
    """Digests in other algorithms that the file, right by *digest*, does not have."""
    for algorithm in {other.algorithm for other in archive.digests} - {digest.algorithm}:
        stated = [other for other in archive.digests if other.algorithm == algorithm]
        with vault.path(digest).open("rb") as stream:
            found = Digest(algorithm, hashlib.file_digest(stream, algorithm).hexdigest())
        if found not in stated:
            yield wrong_digest(_shown(archive), stated[0], found)


def _together(errors: Sequence[EnvguardError]) -> EnvguardError:
    """One error for all, by cause; wrong bytes weigh more than absent ones."""
    if len(errors) == 1:
        return errors[0]
    wrong = [error for error in errors if isinstance(error, IntegrityError)]
    kind = IntegrityError if wrong else UnreadableError
    hints = dict.fromkeys(error.hint for error in wrong or errors if error.hint)
    return kind(
        f"{len(errors)} files cannot be used: " + "; ".join(_by_cause(errors)),
        hint="; ".join(hints) or None,
    )


def _by_cause(errors: Sequence[EnvguardError]) -> Iterator[str]:
    """One line for each cause, with the names of all files that it kept away."""
    causes: dict[tuple[str, str | None, str | None], list[EnvguardError]] = {}
    for error in errors:
        causes.setdefault((error.message, error.expected, error.found), []).append(error)
    for (message, _, _), alike in causes.items():
        if len(alike) == 1:
            yield _line(alike[0])
        else:
            names = dict.fromkeys(PurePosixPath(error.where or "a file").name for error in alike)
            yield f"{len(alike)} files: {message} ({', '.join(names)})"


def _line(error: EnvguardError) -> str:
    details = [f"{word} {text}" for word, text in
               (("expected", error.expected), ("found", error.found)) if text]  # fmt: skip
    return f"{error} ({', '.join(details)})" if details else str(error)
