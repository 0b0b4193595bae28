"""What a locator names, as a model value: artifact, lock, fingerprint or environment.

Each reader is imported where it is used: a command that reads a lock loads no pickle reader.
"""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from envguard import storage
from envguard.artifacts.limits import Limits
from envguard.model.artifact import Artifact
from envguard.model.environment import Environment
from envguard.model.errors import LimitError, UsageError
from envguard.model.files import Files
from envguard.model.fingerprint import Fingerprint
from envguard.model.lock import Lock
from envguard.model.progress import Progress, silent
from envguard.model.target import Target
from envguard.places.digest_cache import DigestCache
from envguard.places.folder import Folder, tree
from envguard.sources.locators import (
    ImageRef,
    Located,
    LockFile,
    Prefix,
    Process,
    open_regular,
    words_for,
)
from envguard.wheels.vault import Vault

if TYPE_CHECKING:
    from envguard.images.image import Image

_LOCK_LIMIT = 64 << 20
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How sources are read: from the vault only, believing RECORD or not, telling whom."""

    offline: bool = False
    verify_files: bool = True
    progress: Progress = silent
    vault: Vault = field(default_factory=lambda: Vault(storage.cache_folder() / "vault"))
    digests: DigestCache = field(default_factory=DigestCache)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A Python prefix in a tree of files."""

    files: Files
    prefix: str


def artifact(path: Path, access: Access, *, keep_damaged: bool = False) -> Artifact:
    """The model at *path*, a file or a folder; nothing of it is executed."""
    from envguard.artifacts.read import read

    name = path.resolve().name
    try:
        found = read(
            model_files(path, access),
            name,
            progress=access.progress,
            limits=access.limits,
            keep_damaged=keep_damaged,
        )
    finally:
        access.digests.save()
    if not found.manifest:
        raise UsageError("holds no files", where=str(path), expected="a model")
    return found


def model_files(path: Path, access: Access) -> Files:
    """The files of the model at *path*, a file or a folder."""
    return tree(path, cache=access.digests)


def lock(located: LockFile) -> Lock:
    """The lock in a file."""
    source = str(located.path)
    if located.format == "pylock":
        from envguard.formats import pylock

        return pylock.read(_bytes(located.path), source)
    from envguard.formats import requirements, requirements_lock

    parsed = requirements.parse(source, lambda path: _bytes(Path(path)), variables={})
    return requirements_lock.to_lock(parsed)


def fingerprint(path: Path) -> Fingerprint:
    """The fingerprint in a file, checked against its own digests."""
    from envguard.formats import fingerprint as file

    return file.read(_bytes(path, file.LIMIT), str(path))


def environment(located: Located, access: Access, *, source: str) -> Environment:
    """The environment that *located* is; `UsageError` for a model or a lock."""
    return look(located, access, source=source)[0]


def look(located: Located, access: Access, *, source: str) -> tuple[Environment, Tree]:
    """The environment that *located* is, and the files it was read from."""
    match located:
        case Process(python=python):
            return _ask(python, access, source)
        case Prefix() | ImageRef():
            return _read(located, access, source)
        case other:
            raise UsageError(
                "is no environment",
                where=source,
                expected="a venv, an interpreter or an image",
                found=words_for(other),
            )


def _ask(python: Path, access: Access, source: str) -> tuple[Environment, Tree]:
    from envguard.places.process import probe_interpreter, read_process

    try:
        environment = read_process(
            python,
            source=source,
            verify=access.verify_files,
            cache=access.digests,
            progress=access.progress,
        )
    finally:
        access.digests.save()
    prefix = probe_interpreter(python, source=source).prefix.lstrip("/")
    return environment, Tree(files=Folder(Path("/"), cache=access.digests), prefix=prefix)


def _read(located: Prefix | ImageRef, access: Access, source: str) -> tuple[Environment, Tree]:
    from envguard.formats.site_packages import read_environment

    found, os_name, machine = _tree_of(located, access)
    try:
        environment = read_environment(
            found.files,
            found.prefix,
            source=source,
            os=os_name,
            machine=machine,
            verify=access.verify_files,
            progress=access.progress,
        )
    finally:
        access.digests.save()
    return environment, found


def _tree_of(located: Prefix | ImageRef, access: Access) -> tuple[Tree, str, str]:
    """The files and prefix of *located*, with the operating system and machine they are for."""
    match located:
        case Prefix(path=path):
            prefix = str(path.resolve()).lstrip("/")
            root = Folder(Path("/"), cache=access.digests)
            return Tree(files=root, prefix=prefix), sys.platform, platform.machine()
        case ImageRef():
            from envguard.images.tree import ImageFiles

            image = open_image(located)
            files = ImageFiles(image, progress=access.progress)
            prefix = located.prefix or _prefix(files, image.config.runtime.variables, located)
            stated = image.config.platform
            machine = _MACHINES.get(stated.architecture, stated.architecture)
            return Tree(files=files, prefix=prefix), stated.os, machine


def open_image(located: ImageRef) -> "Image":
    """The image that *located* names."""
    match located.kind:
        case "layout":
            from envguard.images.layout import open_layout

            return open_layout(Path(located.name))
        case "archive":
            from envguard.images.archive import open_archive

            return open_archive(Path(located.name))
        case _:
            from envguard.images.daemon import open_daemon_image

            return open_daemon_image(located.name)


def _prefix(files: Files, variables: Mapping[str, str], located: ImageRef) -> str:
    """The one Python prefix that is meant: VIRTUAL_ENV's, else the only one."""
    from envguard.formats.python_prefix import find_prefixes

    found = find_prefixes(files, variables)
    stated = variables.get("VIRTUAL_ENV", "").strip("/")
    if stated in found:
        return stated
    if len(found) == 1:
        return found[0]
    raise UsageError(
        "holds several Python environments" if found else "holds no Python environment",
        where=located.name,
        found=", ".join(f"/{prefix}" for prefix in found) or None,
        hint=f"name one: {located.name}#{found[0]}" if found else None,
    )


@cache
def this_target() -> Target:
    """The Python that envguard runs on, and this machine."""
    from envguard.places.process import read_process

    return Target.of(read_process(Path(sys.executable), source="env:", packages=False))


def _bytes(path: Path, limit: int = _LOCK_LIMIT) -> bytes:
    with open_regular(path) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise LimitError("file is too large", where=str(path), expected=f"at most {limit} bytes")
    return data
