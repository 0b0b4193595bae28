"""Not yet."""

from collections.abc import Iterator

from tests.benchmarks.measure import Race
from tests.benchmarks.scratch import Scratch


def races(scratch: Scratch) -> Iterator[Race]:
    """None."""
    yield from ()
