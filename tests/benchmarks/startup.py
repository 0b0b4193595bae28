"""What a command costs before it does anything."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.measure import Contender, Goal, Race, command
from tests.benchmarks.peers import Peers, installed
from tests.benchmarks.scratch import Scratch, cache_at

_TYPER = """
import typer

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


def _add(name: str) -> None:
    def act(
        thing: str,
        output: str = typer.Option("-", "--output", "-o", help="Where to write."),
        quiet: bool = typer.Option(False, "--quiet", "-q", help="Say nothing."),
    ) -> None:
        typer.echo(thing)

    app.command(name, help="A command.")(act)


for name in ("one", "two", "three", "four", "five", "six", "seven", "eight"):
    _add(name)
app()
"""
_LOCK = 'lock-version = "1.0"\ncreated-by = "benchmarks"\npackages = []\n'


def races(scratch: Scratch) -> Iterator[Race]:
    """Start-up against the bare interpreter, a bare Typer application, pip and uv."""
    folder = scratch.fresh("startup")
    bare, lock = folder / "bare.py", folder / "pylock.toml"
    bare.write_text(_TYPER)
    lock.write_text(_LOCK)
    peers = Peers()
    yield Race(
        title="start-up: --version",
        reference="python -c pass",
        contenders=[*_versions(peers)],
        skipped=peers.skipped,
        seconds=5,
    )
    yield Race(
        title="start-up: a command's fixed cost",
        reference="bare Typer, a command",
        contenders=[*_commands(bare, lock, folder / "cache")],
        seconds=15,
    )


def _versions(peers: Peers) -> Iterator[Contender]:
    floor = Goal(of="python -c pass", at_most=1.3)
    yield Contender(name="python -c pass", run=command(sys.executable, "-c", "pass"))
    yield Contender(
        name="envguard --version", run=command(*installed(), "--version"), goals=[floor]
    )
    for uv in peers.program("uv"):
        yield Contender(name="uv --version", run=command(uv, "--version"))
    for pip in peers.pip():
        yield Contender(name="pip --version", run=command(*pip, "--version"))


def _commands(bare: Path, lock: Path, cache: Path) -> Iterator[Contender]:
    typer, typer_help = "bare Typer, a command", "bare Typer, --help of a command"
    yield Contender(name=typer, run=command(sys.executable, bare, "two", "word"))
    yield Contender(name=typer_help, run=command(sys.executable, bare, "two", "--help"))
    yield Contender(
        name="envguard diff --help",
        run=command(*installed(), "diff", "--help"),
        goals=[Goal(of=typer_help, at_most=1.15)],
    )
    yield Contender(
        name="envguard inspect, an empty lock",
        run=command(*installed(), "inspect", lock, variables=cache_at(cache)),
        goals=[Goal(of=typer, at_most=1.15), Goal(of="pip --version", at_most=0.65)],
    )
    for pip in Peers().pip():
        yield Contender(name="pip --version", run=command(*pip, "--version"))
