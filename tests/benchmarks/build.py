"""Building an image with a real environment: from nothing, unchanged, with another model."""

from collections.abc import Callable, Iterator

from tests.benchmarks.images import BASE, Site, building_site, missing, remove
from tests.benchmarks.measure import Contender, Goal, Race
from tests.benchmarks.scratch import Scratch

_OWN, _UV, _PIP = "envguard-bench-own:1", "envguard-bench-uv:1", "envguard-bench-pip:1"
_DOCKER_UV, _DOCKER_PIP = "docker build with uv", "docker build with pip"


def races(scratch: Scratch) -> Iterator[Race]:
    """Against docker build on the same base, from the same wheels, without a network.

    What Docker installs has no bytecode either; a layout needs no engine, so its base is an
    archive, and nothing of Docker's does the same.
    """
    lacking = [*missing()]
    if lacking:
        print(f"build: skipped, for want of {' and '.join(lacking)}")
        return
    with building_site(scratch, _OWN, _UV, _PIP) as site:
        yield _unchanged(site)
        yield _other_model(site)
        yield _cold(site)


def _unchanged(site: Site) -> Race:
    limit = [Goal(at_most=0.5)]
    return Race(
        title="build: nothing changed",
        reference=_DOCKER_UV,
        contenders=[*_contenders(site, layout=limit, engine=limit)],
    )


def _other_model(site: Site) -> Race:
    return Race(
        title="build: only the model changed",
        reference=_DOCKER_UV,
        contenders=[
            *_contenders(
                site, before=site.change_model, engine=[Goal(of=_DOCKER_UV, at_most=1 / 1.5)]
            )
        ],
    )


def _cold(site: Site) -> Race:
    """Wheels are on the machine, layers are not; neither in the engine."""

    def forget() -> None:
        site.forget_layers()
        remove(_OWN, _UV, _PIP)

    return Race(
        title="build: from nothing",
        reference=_DOCKER_UV,
        contenders=[
            *_contenders(site, "--no-cache", before=forget, engine=[Goal(of=_DOCKER_UV, at_most=1)])
        ],
        warm=False,
    )


def _contenders(
    site: Site,
    *options: str,
    before: Callable[[], object] = lambda: None,
    layout: list[Goal] | None = None,
    engine: list[Goal] | None = None,
) -> Iterator[Contender]:
    output = site.project / "image"
    yield Contender(
        name="envguard to a layout",
        run=site.envguard("--output", output, base=site.base),
        before=before,
        goals=layout or (),
    )
    yield Contender(
        name="envguard into the engine",
        run=site.envguard("--load", "--tag", _OWN, base=f"docker:{BASE}"),
        before=before,
        goals=engine or (),
        elsewhere=True,
    )
    for name, installer, tag in ((_DOCKER_UV, "uv", _UV), (_DOCKER_PIP, "pip", _PIP)):
        yield Contender(
            name=name,
            run=site.docker(installer, tag, *options),
            before=before,
            elsewhere=True,
        )
