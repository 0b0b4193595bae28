"""Reading the environment out of an image, without running anything of it."""

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.images import VENV, Site, building_site, missing
from tests.benchmarks.measure import Contender, Goal, Race, command
from tests.benchmarks.peers import ENVGUARD, Peers
from tests.benchmarks.scratch import Scratch, cache_at, discard

_PIP, _OWN = "envguard-bench-pip:1", "envguard-bench-own:1"
_RUN = "docker run IMAGE pip list"


def races(scratch: Scratch) -> Iterator[Race]:
    """Out of a layout, an archive and the engine, against running the image."""
    lacking = [*missing()]
    if lacking:
        print(f"reading: skipped, for want of {' and '.join(lacking)}")
        return
    with building_site(scratch, _PIP, _OWN) as site:
        site.docker("pip", _PIP)()
        layout = site.project / "image"
        site.envguard("--output", layout, base=site.base)()
        site.envguard("--load", "--tag", _OWN, base=site.base)()
        yield _engine(site)
        yield _layout(site, layout)


def _engine(site: Site) -> Race:
    goals = [Goal(of=_RUN, at_most=1)]
    run = ("docker", "run", "--rm", "--network", "none", _PIP, f"{VENV}/bin/pip", "list")
    return Race(
        title="reading: an image in the engine",
        reference=_RUN,
        contenders=[
            Contender(name=_RUN, run=command(*run), elsewhere=True),
            *(
                contender
                for name, tag in (("by docker and pip", _PIP), ("by envguard", _OWN))
                for contender in _inspect(site, f"docker:{tag}", f"built {name}", goals)
            ),
        ],
    )


def _layout(site: Site, layout: Path) -> Race:
    peers = Peers()
    blobs = sorted(
        path
        for path in (layout / "blobs" / "sha256").iterdir()
        if path.read_bytes()[:2] == b"\x1f\x8b"
    )
    floors = [
        Contender(name=f"{name} -dc of every layer", run=command(program, "-dc", *blobs))
        for name in ("gzip", "pigz")
        for program in peers.program(name)
    ]
    goals = [Goal(of="pigz -dc of every layer", at_most=0.5)]
    return Race(
        title="reading: an OCI layout",
        reference="gzip -dc of every layer" if shutil.which("gzip") else "envguard inspect layout",
        contenders=[*floors, *_inspect(site, layout, "layout", goals)],
        skipped=peers.skipped,
    )


def _inspect(site: Site, image: str | Path, name: str, goals: list[Goal]) -> Iterator[Contender]:
    """For the first time, and when it was read before."""
    cache = site.project / f"cache of {name}"  # its own: rounds run backwards, too
    run = command(*ENVGUARD, "inspect", "-q", image, variables=cache_at(cache))
    forget = functools.partial(discard, cache)
    yield Contender(name=f"envguard inspect {name}", run=run, before=forget, goals=goals)
    yield Contender(name=f"envguard inspect {name}, again", run=run, goals=goals)
