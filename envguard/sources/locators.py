"""Locator text -> what it names: the one table of schemes and of kinds of paths.

A locator is a path, recognised by its content, or ``scheme:rest``. Whatever fits two entries of
the table is an error that lists them, never a guess.
"""

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from envguard.model.errors import UnreadableError, UsageError

_HEAD = 64 << 10
_IMAGE_NAMES = {"oci-layout", "index.json", "manifest.json", "blobs", "blobs/sha256"}


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
    if not text or not path.exists():
        raise UsageError(
            "there is no such file or folder",
            where=text or repr(text),
            expected=f"a path, or one of {', '.join(f'{name}:' for name in _SCHEMES)}",
        )
    candidates = _folder(path) if path.is_dir() else _file(path)
    if len(candidates) != 1:
        raise UsageError(
            "could be several things",
            where=text,
            found=" and ".join(words_for(candidate) for candidate in candidates),
            hint="name the part that is meant",
        )
    return candidates[0]


def words_for(located: Located) -> str:
    """What *located* is, for people."""
    match located:
        case Model():
            return "a model"
        case LockFile():
            return "a lock"
        case FingerprintFile():
            return "a fingerprint"
        case Prefix():
            return "a Python environment"
        case Process():
            return "an interpreter"
        case ImageRef():
            return "an image"


def _this_python(rest: str) -> Located:
    if rest:
        raise UsageError("takes nothing behind it", where="env:", found=rest)
    return Process(python=Path(sys.executable))


def _python(rest: str) -> Located:
    from shutil import which

    found = which(rest)
    if found is None:
        raise UsageError("is no program that can be run", where=f"python:{rest}")
    return Process(python=Path(found))


_SCHEMES: dict[str, Callable[[str], Located]] = {
    "env": _this_python,
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

    head = read_head(path)
    if path.name.endswith(SUFFIX):
        return [FingerprintFile(path=path)]
    if path.suffix == ".toml" and (path.name.startswith("pylock.") or b"lock-version" in head):
        return [LockFile(path=path, format="pylock")]
    if path.suffix in (".txt", ".in") and b"\0" not in head:
        return [LockFile(path=path, format="requirements")]
    if head[:4] == b"\x7fELF" and path.name.startswith("python"):
        raise UsageError(
            "is an interpreter", where=str(path), hint=f"to ask it about itself: python:{path}"
        )
    if _is_image_archive(path, head):
        return [ImageRef(kind="archive", name=str(path))]
    return [Model(path=path)]


def read_head(path: Path) -> bytes:
    """The first 64 KiB of a regular file; `UnreadableError` for anything else (a pipe waits)."""
    with open_regular(path) as stream:
        return stream.read(_HEAD)


def open_regular(path: Path) -> BinaryIO:
    """The bytes of a regular file; `UnreadableError` for a pipe, device or socket."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableError("is no regular file", where=str(path))
    return os.fdopen(descriptor, "rb")


def _is_image_archive(path: Path, head: bytes) -> bool:
    """Whether a tar's first members are those of an image, as all writers put them.

    Only headers are looked at (POSIX ustar): names are short, and sizes skip what lies between.
    """
    if head[257:262] != b"ustar":
        return False
    with open_regular(path) as stream:
        at = 0
        for _ in range(64):
            stream.seek(at)
            header = stream.read(512)
            name = header[:100].partition(b"\0")[0].decode("utf-8", "replace").rstrip("/")
            if name in _IMAGE_NAMES or name.startswith("blobs/sha256/"):
                return True
            if name.endswith(("/layer.tar", "/VERSION", "/json")):
                return True
            size = header[124:136].rstrip(b"\0 ")
            if not name or not size.isdigit() or len(size) > 12:
                return False
            at += 512 + -(-int(size, 8) // 512) * 512
    return False
