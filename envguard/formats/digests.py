"""The digests of many files at once, on all processors."""

import math
import os
import time
from collections.abc import Callable, Mapping

from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from envguard.model.files import Files
from envguard.model.progress import Progress, silent

Hashed = Digest | UnreadableError | None
"""A file's sha256, why it has none, or ``None`` when the file is not there."""

_LABEL = "reading installed files"
_MOST_WORKERS = 8
_REPORT_EVERY = 256
_ALONE = 0.1
"""Seconds of reading before more threads come."""
_LOOKED_UP = 50e-6
"""Seconds that no cache takes."""
_FASTEST = 8e9
"""Bytes in a second that nobody hashes."""


def hash_files(
    files: Files,
    sizes: Mapping[str, int],
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Hashed]:
    """The digest of every path of *sizes* (expected bytes), the largest files first.

    *workers* threads share the files, by default as many as there are processors and at most
    eight. One begins alone: where a cache knows the digests, more threads would only wait for
    each other, so the others come when files really are read.
    """
    waiting = sorted(sizes, key=sizes.__getitem__)
    total = len(waiting)
    found: dict[str, Hashed] = {}

    def work(seconds: float = math.inf) -> None:
        """Hash files until none is left, or until so long was spent on reading them."""
        while waiting and seconds > 0:
            started = time.perf_counter()
            try:
                path = waiting.pop()
            except IndexError:  # another thread took the last one
                return
            found[path] = _hashed(files, path)
            spent = time.perf_counter() - started
            seconds -= spent if spent > max(_LOOKED_UP, sizes[path] / _FASTEST) else 0
            if len(found) % _REPORT_EVERY == 0:
                progress(_LABEL, len(found), total)

    if total:
        progress(_LABEL, 0, total)
        work(_ALONE)
        if waiting:
            _run(work, workers or _processors(), stop=waiting.clear)
        progress(_LABEL, total, total)
    return found


def _run(work: Callable[[], None], workers: int, *, stop: Callable[[], None]) -> None:
    """*work* on so many threads; an error or an interrupt stops them all."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        try:
            for running in [pool.submit(work) for _ in range(workers)]:
                running.result()
        finally:
            stop()


def _processors() -> int:
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def _hashed(files: Files, path: str) -> Hashed:
    try:
        return files.digest(path)
    except UnreadableError as error:
        return error if files.stat(path) is not None else None
