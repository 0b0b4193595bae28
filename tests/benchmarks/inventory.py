"""Reading an environment of about 300 packages: names, files by RECORD, and every file itself."""

import functools
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from envguard.formats.site_packages import read_environment
from envguard.places.digest_cache import DigestCache
from envguard.places.folder import Folder
from tests.benchmarks.measure import Contender, Goal, Race, command
from tests.benchmarks.peers import ENVGUARD, Peers
from tests.benchmarks.scratch import Scratch, cache_at, discard, environment
from tests.support.environments import site_packages

_CHUNK = 1 << 20


def races(scratch: Scratch) -> Iterator[Race]:
    """What is installed; every file against its RECORD; whole commands."""
    prefix = environment(scratch, "a")
    yield _listed(prefix)
    yield _verified(scratch, prefix)
    yield _commands(scratch, prefix)


def _listed(prefix: Path) -> Race:
    site, peers = site_packages(prefix), Peers()
    contenders = [
        Contender(name="importlib.metadata", run=lambda: _by_metadata(site)),
        Contender(
            name="envguard, RECORD believed",
            run=lambda: _read(prefix, verify=False),
            goals=[Goal(of="uv pip check", at_most=1.4), Goal(of="pip list", at_most=0.35)],
        ),
        *_listers(prefix, peers),
    ]
    return Race(
        title="inventory: 300 packages listed with their content",
        reference="importlib.metadata",
        contenders=contenders,
        skipped=peers.skipped,
    )


def _listers(prefix: Path, peers: Peers) -> Iterator[Contender]:
    for uv in peers.program("uv"):
        for verb in ("list", "check"):
            run = command(uv, "pip", verb, "--python", prefix)
            yield Contender(name=f"uv pip {verb}", run=run)
    for pip in peers.pip():
        run = command(*pip, "list", "--path", site_packages(prefix))
        yield Contender(name="pip list", run=run)


def _verified(scratch: Scratch, prefix: Path) -> Race:
    """Hashing all that is installed."""
    site, kept, peers = site_packages(prefix), scratch.fresh("inventory-digests"), Peers()
    names = kept / "names"
    files = [Path(folder) / name for folder, _, found in os.walk(site) for name in found]
    names.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in files))
    cache = DigestCache(kept)
    _read(prefix, verify=True, cache=cache)
    cache.save()
    contenders = [
        Contender(name="read floor, two threads", run=lambda: _read_all(files)),
        Contender(
            name="envguard, every file hashed",
            run=lambda: _read(prefix, verify=True),
            goals=[
                Goal(of="read floor, two threads", at_most=1.5),
                Goal(of="xargs sha256sum", at_most=0.2),
            ],
        ),
        Contender(
            name="envguard, digests kept",
            run=lambda: _read(prefix, verify=True, cache=DigestCache(kept)),
            goals=[Goal(of="uv pip list", at_most=2)],
        ),
        *(
            Contender(name="xargs sha256sum", run=command("xargs", "-0", "-a", names, program))
            for program in peers.program("sha256sum")
        ),
        *_listers(prefix, peers),
    ]
    return Race(
        title=f"inventory: every one of {len(files):,} files",
        reference="read floor, two threads",
        contenders=contenders,
        skipped=peers.skipped,
        seconds=20,
    )


def _commands(scratch: Scratch, prefix: Path) -> Race:
    peers = Peers()
    cache = scratch.folder / "inventory-cache"
    inspect = command(*ENVGUARD, "inspect", "-q", prefix, variables=cache_at(cache))
    contenders = [
        *_listers(prefix, peers),
        Contender(name="envguard inspect", run=inspect, before=functools.partial(discard, cache)),
        Contender(
            name="envguard inspect, again",
            run=inspect,
            goals=[Goal(of="pip list", at_most=0.35)],
        ),
    ]
    return Race(
        title="inventory: the whole command",
        reference="pip list" if "pip" not in peers.missing else "envguard inspect",
        contenders=contenders,
        skipped=peers.skipped,
        seconds=20,
    )


def _read(prefix: Path, *, verify: bool, cache: DigestCache | None = None) -> None:
    found = read_environment(
        Folder(Path("/"), cache=cache),
        str(prefix).lstrip("/"),
        source=str(prefix),
        os=sys.platform,
        machine=platform.machine(),
        verify=verify,
    )
    assert found.packages.value


def _by_metadata(site: Path) -> None:
    found = importlib.metadata.distributions(path=[str(site)])
    assert [(one.metadata["Name"], one.version) for one in found]


def _read_all(files: list[Path]) -> None:
    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(_read_each, files[number::2]) for number in range(2)]
        for half in halves:
            half.result()


def _read_each(files: list[Path]) -> None:
    buffer = bytearray(_CHUNK)
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        while os.readv(descriptor, [buffer]):
            pass
        os.close(descriptor)
