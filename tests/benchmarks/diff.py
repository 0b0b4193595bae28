"""Comparing two environments of about 300 packages, whole processes."""

from collections.abc import Callable, Iterator
from functools import partial

from tests.benchmarks.measure import Contender, Goal, Race, command
from tests.benchmarks.peers import ENVGUARD, Peers
from tests.benchmarks.scratch import Scratch, cache_at, discard, environment
from tests.support.environments import site_packages

_DIFFERENT = (1,)


def races(scratch: Scratch) -> Iterator[Race]:
    """``envguard diff A B`` against listing both sides with pip or uv, which compares nothing."""
    sides = environment(scratch, "a"), environment(scratch, "b", changed="1.1")
    cache, peers = scratch.folder / "diff-cache", Peers()
    diff = partial(
        command, *ENVGUARD, "diff", *sides, "-q", expect=_DIFFERENT, variables=cache_at(cache)
    )
    contenders = [
        Contender(name="envguard diff", run=diff(), before=partial(discard, cache)),
        Contender(
            name="envguard diff, again",
            run=diff(),
            goals=[Goal(of="pip list, twice", at_most=0.5)],
        ),
        Contender(
            name="envguard diff --trust-record",
            run=command(
                *ENVGUARD, "diff", *sides, "-q", "--trust-record",
                expect=_DIFFERENT, variables=cache_at(cache),
            ),
            goals=[Goal(of="pip list, twice", at_most=0.5)],
        ),
        *(
            Contender(
                name="pip list, twice",
                run=_both(*(command(*pip, "list", "--path", site_packages(a)) for a in sides)),
            )
            for pip in peers.pip()
        ),
        *(
            Contender(
                name="uv pip list, twice",
                run=_both(*(command(uv, "pip", "list", "--python", a) for a in sides)),
            )
            for uv in peers.program("uv")
        ),
    ]  # fmt: skip
    yield Race(
        title="diff: two environments of 300 packages, five differ",
        reference="envguard diff, again" if "pip" in peers.missing else "pip list, twice",
        contenders=contenders,
        skipped=peers.skipped,
        seconds=40,
    )


def _both(*runs: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        for one in runs:
            one()

    return run
