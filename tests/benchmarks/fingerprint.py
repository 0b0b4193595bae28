"""Hashing a model: one large file, and many small ones; and again when nothing has changed."""

import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from envguard.artifacts import manifest
from envguard.places.digest_cache import DigestCache
from envguard.places.folder import tree
from tests.benchmarks.measure import Contender, Goal, Race, command
from tests.benchmarks.peers import ENVGUARD, Peers
from tests.benchmarks.scratch import Scratch, cache_at, discard, large_file, small_files

_NOT_UNDERSTOOD = (0, 3)
_LOOP = """
import hashlib, os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(folder, name), "rb") as stream:
            hashlib.file_digest(stream, "sha256").hexdigest()
"""


def races(scratch: Scratch) -> Iterator[Race]:
    """Manifests of one large file and of 20,000 small ones."""
    large = scratch.made("large.bin", large_file)
    small = scratch.made("small-files", small_files)
    yield _one_file(large)
    yield _many_files(small)
    yield _unchanged(scratch, small)
    yield _commands(scratch, large, small)


def _one_file(path: Path) -> Race:
    peers = Peers()
    hashlib_loop = Contender(name="hashlib", run=lambda: _hash(path))
    own = Contender(
        name="envguard manifest",
        run=lambda: manifest.build(tree(path)),
        goals=[Goal(of="hashlib", at_most=1.05)],
    )
    tools = [
        Contender(name="sha256sum", run=command(program, path))
        for program in peers.program("sha256sum")
    ]
    return Race(
        title="fingerprint: one file of 1 GiB",
        reference="hashlib",
        contenders=[hashlib_loop, own, *tools],
        skipped=peers.skipped,
        seconds=15,
    )


def _many_files(folder: Path) -> Race:
    peers = Peers()
    names = folder.with_suffix(".names")
    names.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in _walk(folder)))
    return Race(
        title="fingerprint: 20,000 small files",
        reference="hashlib loop",
        contenders=[
            Contender(name="hashlib loop", run=lambda: _each(folder, _hash)),
            Contender(
                name="envguard manifest",
                run=lambda: manifest.build(tree(folder)),
                goals=[Goal(of="hashlib loop", at_most=0.6)],
            ),
            *(
                Contender(name="xargs sha256sum", run=command("xargs", "-0", "-a", names, program))
                for program in peers.program("sha256sum")
            ),
        ],
        skipped=peers.skipped,
        seconds=15,
    )


def _unchanged(scratch: Scratch, folder: Path) -> Race:
    kept = scratch.fresh("digests")
    cache = DigestCache(kept)
    manifest.build(tree(folder, cache=cache))
    cache.save()
    return Race(
        title="fingerprint: 20,000 small files, none changed",
        reference="scandir + stat",
        contenders=[
            Contender(name="scandir + stat", run=lambda: _each(folder, os.stat)),
            Contender(
                name="envguard manifest, digests kept",
                run=lambda: manifest.build(tree(folder, cache=DigestCache(kept))),
                goals=[Goal(of="scandir + stat", at_most=2)],
            ),
        ],
        seconds=8,
    )


def _commands(scratch: Scratch, large: Path, small: Path) -> Race:
    """The whole command: these files are no models, so it ends with 3."""
    loop = "python hashlib loop, small files"
    goals = [Goal(of=loop, at_most=0.6)]
    return Race(
        title="fingerprint: envguard inspect, the whole command",
        reference=loop,
        contenders=[
            Contender(name=loop, run=command(sys.executable, "-c", _LOOP, small)),
            *_inspect(scratch, small, "small files", goals),
            *_inspect(scratch, large, "1 GiB", ()),
        ],
        seconds=20,
    )


def _inspect(scratch: Scratch, path: Path, name: str, goals: Sequence[Goal]) -> Iterator[Contender]:
    """For the first time, and again; with a cache of its own, since rounds run backwards too."""
    cache = scratch.folder / f"cache of {name}"
    run = command(
        *ENVGUARD, "inspect", "-q", path, expect=_NOT_UNDERSTOOD, variables=cache_at(cache)
    )
    forget = functools.partial(discard, cache)
    yield Contender(name=f"envguard inspect, {name}", run=run, before=forget, goals=goals)
    yield Contender(name=f"envguard inspect, {name}, again", run=run)


def _hash(path: str | Path) -> None:
    with Path(path).open("rb") as stream:
        hashlib.file_digest(stream, "sha256").hexdigest()


def _each(folder: Path, act: Callable[[str], object]) -> None:
    for path in _walk(folder):
        act(path)


def _walk(folder: Path | str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
            else:
                yield entry.path
