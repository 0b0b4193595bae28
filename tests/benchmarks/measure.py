"""Interleaved runs of several contenders, and the table of what they took."""

import os
import resource
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_LEAST_ROUNDS = 5
_MOST_ROUNDS = 40


def nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """One run: seconds on the clock, and of processors (``None``: spent in another process)."""

    wall: float
    cpu: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """At most *at_most* times what the contender *of* takes; without one, so many seconds."""

    of: str | None = None
    at_most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Something to time: *run* is timed, *before* is not and comes first each time.

    With *elsewhere* the work is done by a daemon, so processor time says nothing.
    """

    name: str
    run: Callable[[], object]
    before: Callable[[], object] = nothing
    goals: Sequence[Goal] = ()
    elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """The contenders of one table; ratios are to the one named *reference*.

    Rounds go on until *seconds* are over, but there are at least five. *skipped* names peers that
    are not on this machine. With *warm* every contender runs once before it counts.
    """

    title: str
    reference: str
    contenders: Sequence[Contender]
    seconds: float = 10.0
    skipped: Sequence[str] = ()
    warm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All runs of a race, by contender; the n-th run of each belongs to the n-th round."""

    race: Race
    runs: Mapping[str, Sequence[Took]]

    def wall(self, name: str) -> float:
        """Median seconds on the clock."""
        return median(took.wall for took in self.runs[name])

    def cpu(self, name: str) -> float | None:
        """Median seconds of processors."""
        known = [took.cpu for took in self.runs[name] if took.cpu is not None]
        return median(known) if known else None

    def wall_ratio(self, name: str, of: str) -> float:
        """How many times what *of* took: the median over rounds, so that slow times cancel."""
        pairs = zip(self.runs[name], self.runs[of], strict=True)
        return median(one.wall / other.wall for one, other in pairs)

    def cpu_ratio(self, name: str, of: str) -> float | None:
        """The same for processor time, where both spend it themselves."""
        pairs = zip(self.runs[name], self.runs[of], strict=True)
        known = [one.cpu / other.cpu for one, other in pairs if one.cpu and other.cpu]
        return median(known) if known else None


def command(
    *arguments: str | Path,
    expect: Collection[int] = (0,),
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Callable[[], None]:
    """A run of a program whose output nobody reads; it must end with one of the codes *expect*."""
    words = [str(argument) for argument in arguments]
    environment = {**os.environ, **(variables or {})}

    def run() -> None:
        done = subprocess.run(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        if done.returncode not in expect:
            told = done.stderr.decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {told}")

    return run


def race(race: Race) -> Result:
    """Run the contenders in turn, every second round backwards, until the time is over."""
    if race.warm:
        for contender in race.contenders:
            contender.before()
            contender.run()
    runs: dict[str, list[Took]] = {contender.name: [] for contender in race.contenders}
    end = time.monotonic() + race.seconds
    for number in range(_MOST_ROUNDS):
        if number >= _LEAST_ROUNDS and time.monotonic() > end:
            break
        for contender in race.contenders[:: -1 if number % 2 else 1]:
            runs[contender.name].append(_timed(contender))
    return Result(race=race, runs=runs)


def table(result: Result) -> Iterator[str]:
    """The lines of a table: medians, ratios to the reference, goals and whether they are met."""
    race = result.race
    rounds = len(result.runs[race.reference])
    yield f"{race.title} ({rounds} rounds; ratios to: {race.reference})"
    width = max(len(contender.name) for contender in race.contenders)
    yield f"  {'':{width}}  {'wall ms':>9}  {'CPU ms':>9}  {'x wall':>7}  {'x CPU':>7}  goals"
    for contender in race.contenders:
        name = contender.name
        times = (_number(value and value * 1000, 9, 1) for value in _times(result, name))
        ratios = (_number(value, 7, 2) for value in _ratios(result, name, race.reference))
        goals = "; ".join(_judged(result, name, goal) for goal in contender.goals)
        yield "  ".join(("", f"{name:{width}}", *times, *ratios, goals)).rstrip()[1:]
    for reason in race.skipped:
        yield f"  skipped: {reason}"


def _timed(contender: Contender) -> Took:
    contender.before()
    before, started = _processor_seconds(), time.perf_counter()
    contender.run()
    wall = time.perf_counter() - started
    spent = _processor_seconds() - before
    return Took(wall=wall, cpu=None if contender.elsewhere else spent)


def _processor_seconds() -> float:
    """What this process and its ended children have spent, user and system."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _times(result: Result, name: str) -> tuple[float | None, float | None]:
    return result.wall(name), result.cpu(name)


def _ratios(result: Result, name: str, of: str) -> tuple[float | None, float | None]:
    return result.wall_ratio(name, of), result.cpu_ratio(name, of)


def _number(value: float | None, width: int, digits: int) -> str:
    return f"{'-' if value is None else format(value, f',.{digits}f'):>{width}}"


def _judged(result: Result, name: str, goal: Goal) -> str:
    """A goal in words; on a busy machine clock and processor time may disagree: then it says so."""
    if goal.of is None:
        met = result.wall(name) <= goal.at_most
        return f"<= {goal.at_most:g} s: {'met' if met else 'MISSED'}"
    if goal.of not in result.runs:
        return f"<= {goal.at_most:.3g}x {goal.of}: not measured"
    wall, cpu = _ratios(result, name, goal.of)
    found = f"{_number(wall, 0, 2)} wall, {_number(cpu, 0, 2)} CPU"
    return f"<= {goal.at_most:.3g}x {goal.of}: {_verdict(wall, cpu, goal.at_most)} ({found})"


def _verdict(wall: float | None, cpu: float | None, at_most: float) -> str:
    """Met when all that was measured says so; two processors may meet it on the clock only."""
    met = {name: value <= at_most for name, value in (("wall", wall), ("CPU", cpu)) if value}
    if len(set(met.values())) == 1:
        return "met" if all(met.values()) else "MISSED"
    return f"met in {next(name for name in met if met[name])} only"
