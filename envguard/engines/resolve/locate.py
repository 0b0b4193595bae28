"""Which files the hashes of a requirements lock belong to.

Hashed requirements pin the files of a release without naming them. The index is asked for the
release's files (through uv, so with the user's own index settings); only a file whose hash is
among the stated ones counts.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from envguard.engines.resolve.request import Request
from envguard.engines.resolve.uv import compile_document
from envguard.formats import pylock
from envguard.model.package import Package
from envguard.model.target import Target


def locate_files(packages: Sequence[Package], target: Target) -> list[Package]:
    """*packages* with the one file of each that *target* would install, where its hash is stated.

    A package keeps its nameless hashes when the index has no such file. Raises `ToolError` when
    the index cannot be asked or lacks a version.
    """
    unnamed = [package for package in packages if _is_unnamed(package)]
    if not unnamed:
        return list(packages)
    found = {package.name: package for package in _ask(unnamed, target)}
    return [_pinned(package, found.get(package.name)) for package in packages]


def _is_unnamed(package: Package) -> bool:
    return bool(package.archives) and all(
        archive.filename is None and archive.url is None for archive in package.archives
    )


def _ask(packages: Sequence[Package], target: Target) -> tuple[Package, ...]:
    with tempfile.TemporaryDirectory(prefix="envguard-locate-") as folder:
        pins, output = Path(folder) / "pins.txt", Path(folder).resolve() / "pylock.toml"
        pins.write_text("".join(f"{package.name}=={package.version}\n" for package in packages))
        request = Request(inputs=(pins,), python=target.interpreter.minor, allow_build=False)
        compile_document(request, output, "--no-deps")
        lock = pylock.read(output.read_bytes(), "the index's files")
    return lock.select(target).packages.value or ()


def _pinned(package: Package, found: Package | None) -> Package:
    """*package* with the archive of *found*, if that is one of the pinned files."""
    if not _is_unnamed(package) or found is None or len(found.archives) != 1:
        return package
    pins = {digest for archive in package.archives for digest in archive.digests}
    if pins.isdisjoint(found.archives[0].digests):
        return package
    return replace(package, archives=found.archives, build=found.build)
