"""The digests of many files at once, on all processors."""

import os
import time
from collections.abc import Mapping

from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from envguard.model.files import Files
from envguard.model.progress import Progress, silent

Hashed = Digest | UnreadableError | None
"""A file's sha256, why it has none, or ``None`` when the file is not there."""

_LABEL = "reading installed files"
_MOST_WORKERS = 8
_REPORT_EVERY = 256
_LARGE = 64 << 10
_ALONE = 0.05
"""Seconds of reading, more than of looking up, before more threads come."""
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
    each other, so the others come when files really are read. And they take large files only:
    most of a small one's time is the interpreter's, which runs one thread at a time.
    """
    work = _Work(files, sizes, progress)
    if sizes:
        progress(_LABEL, 0, len(sizes))
        work.begin()
        if work.large:
            work.share(workers or _processors())
        work.drain(work.small)
        progress(_LABEL, len(sizes), len(sizes))
    return work.found


class _Work:
    """Files that wait to be hashed, in two stacks with the largest on top, and what was found."""

    def __init__(self, files: Files, sizes: Mapping[str, int], progress: Progress) -> None:
        self.found: dict[str, Hashed] = {}
        ordered = sorted(sizes, key=sizes.__getitem__)
        self.small = [path for path in ordered if sizes[path] < _LARGE]
        self.large = [path for path in ordered if sizes[path] >= _LARGE]
        self._files = files
        self._sizes = sizes
        self._progress = progress

    def begin(self) -> None:
        """Hash large files alone, until clearly more time went into reading than looking up."""
        patience = _ALONE
        while self.large and patience > 0:
            path = self.large.pop()
            started = time.perf_counter()
            self._hash(path)
            spent = time.perf_counter() - started
            is_read = spent > max(_LOOKED_UP, self._sizes[path] / _FASTEST)
            patience -= spent if is_read else -spent

    def share(self, workers: int) -> None:
        """Hash everything: this thread the small files first, the others the large ones."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max(1, workers - 1)) as pool:
            helpers = [pool.submit(self.drain, self.large) for _ in range(workers - 1)]
            try:
                self.drain(self.small)
                self.drain(self.large)
                for helper in helpers:
                    helper.result()
            finally:
                self.large.clear()  # an error or an interrupt stops the others too

    def drain(self, waiting: list[str]) -> None:
        """Hash what waits until nothing does."""
        while True:
            try:
                path = waiting.pop()
            except IndexError:  # another thread may have taken the last one
                return
            self._hash(path)

    def _hash(self, path: str) -> None:
        try:
            found: Hashed = self._files.digest(path)
        except UnreadableError as error:
            found = error if self._files.stat(path) is not None else None
        self.found[path] = found
        if len(self.found) % _REPORT_EVERY == 0:
            self._progress(_LABEL, len(self.found), len(self._sizes))


def _processors() -> int:
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)
