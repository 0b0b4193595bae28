"""``python -m tests.benchmarks [NAME...]``: chooses areas, runs them, prints their tables."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.benchmarks import build, diff, fingerprint, inventory, reading, startup
from tests.benchmarks.measure import Race, race, table
from tests.benchmarks.scratch import Scratch

AREAS: Mapping[str, Callable[[Scratch], Iterator[Race]]] = {
    "startup": startup.races,
    "fingerprint": fingerprint.races,
    "inventory": inventory.races,
    "diff": diff.races,
    "build": build.races,
    "reading": reading.races,
}


def main() -> None:
    """Run the areas that the command line names, or all of them."""
    names, scratch = _asked()
    print(f"{_machine()}; made things are kept in {scratch.folder}", flush=True)
    for name in names:
        started = time.monotonic()
        for area_race in AREAS[name](scratch):
            print("\n" + "\n".join(table(race(area_race))), flush=True)
        sys.stderr.write(f"({name}: {time.monotonic() - started:.0f} s)\n")


def _asked() -> tuple[list[str], Scratch]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Ratios against peers, side by side."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(AREAS)}")
    parser.add_argument("--scratch", type=Path, help="the folder that keeps what was made")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in AREAS]
    if unknown:
        parser.error(f"no area is called {', '.join(unknown)}: choose from {', '.join(AREAS)}")
    scratch = Scratch(folder=arguments.scratch.resolve()) if arguments.scratch else None
    return arguments.names or list(AREAS), scratch or Scratch.default()


def _machine() -> str:
    processors = len(os.sched_getaffinity(0))
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{processors} processors, {release}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
