"""Locator text -> what it names: the one table of schemes and of kinds of paths.

A locator is a path, recognised by its content, or ``scheme:rest``. Whatever fits two entries of
the table is an error that lists them, never a guess.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from envguard.model.errors import UsageError

_HEAD = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model's file or folder."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFile:
    """A lock; *format* is ``pylock`` or ``requirements``."""

    path: Path
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerprintFile:
    """A fingerprint."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """A venv or a Python installation on this machine, read as files."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """An interpreter that is asked about itself."""

    python: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """An image: *kind* is ``layout``, ``archive`` or ``docker``.

    *prefix* (``opt/venv``) names one of several Pythons in it: ``churn-image#opt/venv``.
    """

    kind: str
    name: str
    prefix: str | None = None


Located = Model | LockFile | FingerprintFile | Prefix | Process | ImageRef


def locate(text: str) -> Located:
    """What *text* names.

    Raises `UsageError` when nothing is there, or when it fits several kinds.
    """
    name, hash_mark, prefix = text.rpartition("#")
    if hash_mark and not Path(text).exists() and isinstance(image := locate(name), ImageRef):
        return replace(image, prefix=prefix.strip("/"))
    scheme, colon, rest = text.partition(":")
    if colon and scheme in _SCHEMES and not Path(text).exists():
        return _SCHEMES[scheme](rest)
    path = Path(text)
    if not path.exists():
        raise UsageError(
            "there is no such file or folder",
            where=text,
            expected=f"a path, or one of {', '.join(f'{name}:' for name in _SCHEMES)}",
        )
    candidates = _folder(path) if path.is_dir() else _file(path)
    if len(candidates) != 1:
        raise UsageError(
            "could be several things",
            where=text,
            found=" and ".join(type(candidate).__name__ for candidate in candidates),
            hint="name the part that is meant",
        )
    return candidates[0]


def _python(rest: str) -> Located:
    from shutil import which

    found = which(rest)
    if found is None:
        raise UsageError("is no program that can be run", where=f"python:{rest}")
    return Process(python=Path(found))


_SCHEMES: dict[str, Callable[[str], Located]] = {
    "env": lambda rest: Process(python=Path(sys.executable)),
    "python": _python,
    "docker": lambda rest: ImageRef(kind="docker", name=rest),
}


def _folder(path: Path) -> list[Located]:
    found: list[Located] = []
    if (path / "pyvenv.cfg").is_file() or any(path.glob("lib/python3.*/os.py")):
        found.append(Prefix(path=path))
    if (path / "oci-layout").is_file():
        found.append(ImageRef(kind="layout", name=str(path)))
    return found or [Model(path=path)]


def _file(path: Path) -> list[Located]:
    from envguard.formats.fingerprint import SUFFIX

    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if path.name.endswith(SUFFIX):
        return [FingerprintFile(path=path)]
    if path.suffix == ".toml" and (path.name.startswith("pylock.") or b"lock-version" in head):
        return [LockFile(path=path, format="pylock")]
    if path.suffix in (".txt", ".in") and b"\0" not in head:
        return [LockFile(path=path, format="requirements")]
    if head[257:262] == b"ustar" and _is_image_archive(path):
        return [ImageRef(kind="archive", name=str(path))]
    return [Model(path=path)]


def _is_image_archive(path: Path) -> bool:
    """Whether a tar's first members are those of an image (they come first in all writers)."""
    import tarfile

    names = {"oci-layout", "index.json", "manifest.json", "blobs", "blobs/sha256"}
    try:
        with tarfile.open(path, "r:") as tar:
            for _ in range(64):
                member = tar.next()
                if member is None:
                    return False
                if member.name in names or member.name.startswith("blobs/sha256/"):
                    return True
                if member.name.endswith(("/layer.tar", "/VERSION", "/json")):
                    return True
    except tarfile.TarError:
        return False
    return False
