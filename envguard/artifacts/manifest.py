"""The manifest of a model: every file of it, hashed.

A link counts as the file that it names. `digest`, the model's identity, is the digest over the
manifest (see `envguard.formats.manifest_digest`), so it does not depend on the order of files, the
number of workers, clocks, owners, or where the model lies.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from envguard.formats import manifest_digest
from envguard.model.artifact import ManifestEntry
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from envguard.model.files import Entry, Files, Kind, walk
from envguard.model.progress import Progress, silent

digest = manifest_digest.digest


def build(
    files: Files, *, workers: int = os.cpu_count() or 1, progress: Progress = silent
) -> tuple[ManifestEntry, ...]:
    """Hash every file of the tree with *workers* threads; sorted by path.

    Raises `UnreadableError` naming every link that leaves the tree or leads nowhere, every pipe,
    device or socket, every name that is no UTF-8, and every file that cannot be read.
    """
    found = _find(files)
    digests = _hash(files, found, workers, progress)
    return tuple(
        ManifestEntry(path=path, size=entry.size, digest=digests[path], executable=entry.executable)
        for path, entry in sorted(found.items())
    )


def _find(files: Files) -> dict[str, Entry]:
    """Every regular file by its path, links resolved."""
    found: dict[str, Entry] = {}
    problems: list[str] = []
    for path, entry in walk(files):
        try:
            for file in _counted(files, path, entry):
                found[path] = file
        except UnreadableError as error:
            problems.append(str(error))
    _raise(problems)
    return found


def _counted(files: Files, path: str, entry: Entry) -> Iterator[Entry]:
    """The file that *path* counts as: itself, or what a link names; none for a folder."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        shown = path.encode("utf-8", "backslashreplace").decode()
        raise UnreadableError("the file's name is no UTF-8", where=shown) from error
    match entry.kind:
        case Kind.FILE:
            yield entry
        case Kind.LINK:
            yield _linked(files, path, entry)
        case Kind.OTHER:
            raise UnreadableError("is a pipe, device or socket, not a file", where=path)
        case Kind.FOLDER:
            pass


def _linked(files: Files, path: str, link: Entry) -> Entry:
    target = files.stat(path)
    if target is None:
        raise UnreadableError(
            "is a link that leads nowhere or out of the model",
            where=path,
            found=link.target,
            hint="copy the file to the place of the link",
        )
    if target.kind is not Kind.FILE:
        raise UnreadableError(f"is a link to a {target.kind}", where=path, found=link.target)
    return target


def _hash(
    files: Files, found: dict[str, Entry], workers: int, progress: Progress
) -> dict[str, Digest]:
    """Hash with threads that share one queue: no task for each of many small files."""
    queue = deque(sorted(found, key=lambda path: (-found[path].size, path)))
    digests: dict[str, Digest] = {}
    problems: dict[str, str] = {}
    advance = _counter(progress, sum(entry.size for entry in found.values()))

    def work() -> None:
        while True:
            try:
                path = queue.popleft()
            except IndexError:
                return
            try:
                digests[path] = files.digest(path)
            except UnreadableError as error:
                problems[path] = str(error)
            advance(found[path].size)

    threads = max(1, min(workers, len(found)))
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for worker in [pool.submit(work) for _ in range(threads)]:
            worker.result()
    _raise([problems[path] for path in sorted(problems)])
    return digests


def _counter(progress: Progress, total: int) -> Callable[[int], None]:
    """Tells *progress* how many bytes are hashed, from any thread, without going backwards."""
    lock = Lock()
    done = 0

    def advance(size: int) -> None:
        nonlocal done
        with lock:
            done += size
            progress("hashing the model", done, total)

    advance(0)
    return advance


def _raise(problems: list[str]) -> None:
    if problems:
        raise UnreadableError("; ".join(problems))
