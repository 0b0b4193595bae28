"""Progress on stderr: bars on a terminal, a line for each step when asked, else nothing."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from envguard.model.progress import Progress, silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


@contextmanager
def reporting(*, quiet: bool, verbose: bool) -> Iterator[Progress]:
    """What a command hands to its verb to tell how far it is."""
    if quiet:
        yield silent
    elif verbose or not sys.stderr.isatty():
        yield _Lines().tell if verbose else silent
    else:
        with _bars() as progress:
            yield progress


class _Lines:
    """One line when a step begins and one when it ends."""

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._lock = threading.Lock()

    def tell(self, label: str, done: int, total: int | None) -> None:
        with self._lock:
            if label not in self._begun:
                self._begun.add(label)
                sys.stderr.write(f"{label} ...\n")
            elif done == total:
                sys.stderr.write(f"{label}: done ({done:,})\n")


@contextmanager
def _bars() -> Iterator[Progress]:
    """Bars that appear with the first step, so a command that takes none shows none."""
    bars: Bars | None = None
    tasks: dict[str, TaskID] = {}
    lock = threading.Lock()

    def tell(label: str, done: int, total: int | None) -> None:
        nonlocal bars
        with lock:
            if bars is None:
                bars = _start()
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done, total=total)

    try:
        yield tell
    finally:
        if bars is not None:
            bars.stop()


def _start() -> "Bars":
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    bars.start()
    return bars
