"""How long work tells what it is doing, without knowing who listens."""

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""``progress(label, done, total)``: *done* of *total* (``None``: not known) units of *label*.

The first call with a label starts it; ``done == total`` ends it. Must be safe to call from
several threads."""


def silent(label: str, done: int, total: int | None) -> None:
    """Tells nobody."""
