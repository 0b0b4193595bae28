"""RECORD files, and the content digest that makes a wheel and an installed tree comparable.

The content digest of a distribution is the sha256 over one line for each file that it installs::

    envguard-content-v1
    <normalised path> NUL <sha256 hex> NUL <size> LF        (sorted by path)

A *normalised path* says which scheme a file belongs to and not where that scheme lies, so the
same wheel has the same digest as an archive, installed by pip, and installed by uv: ``lib/`` is
purelib and platlib, ``scripts/``, ``headers/`` and ``data/`` are the others. Left out is what
installers write themselves: RECORD and its signatures, INSTALLER, REQUESTED, direct_url.json and
their kin, bytecode, and scripts with a ``#!`` line, which installers generate or rewrite.

Source: PyPA "Recording installed projects" and "Binary distribution format" (PEP 376, 427, 610).
"""

import base64
import csv
import hashlib
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError

_BY_INSTALLERS = frozenset(
    {
        "RECORD",
        "RECORD.jws",
        "RECORD.p7s",
        "INSTALLER",
        "REQUESTED",
        "direct_url.json",
        "provenance_url.json",
        "uv_build.json",
        "uv_cache.json",
    }
)
_HEADERS = re.compile(r"include/(?:site/)?python\d+\.\d+t?/[^/]+/(.+)")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class InstalledFile:
    """One file that a distribution installs, by its normalised path; *size* in bytes."""

    path: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """A line of a RECORD as written: the path, and digest and size where they are stated."""

    path: str
    digest: Digest | None
    size: int | None


def content_digest(files: Iterable[InstalledFile]) -> Digest:
    """The digest over *files* in any order (see the module's text for its definition)."""
    hasher = hashlib.sha256(b"envguard-content-v1\n")
    for file in sorted(files):
        hasher.update(f"{file.path}\0{file.digest.hex}\0{file.size}\n".encode())
    return Digest("sha256", hasher.hexdigest())


def in_wheel(path: str, data_folder: str) -> str | None:
    """The normalised path of a wheel's member, or ``None`` for what does not count.

    *data_folder* is ``{distribution}-{version}.data``.
    """
    if not path.startswith(data_folder + "/"):
        return _counted(f"lib/{path}")
    scheme, _, rest = path[len(data_folder) + 1 :].partition("/")
    match scheme:
        case "purelib" | "platlib":
            return _counted(f"lib/{rest}")
        case "scripts" | "headers":
            return f"{scheme}/{rest}"
        case _:
            return in_prefix(rest, site=None)


def in_prefix(path: str, site: str | None) -> str | None:
    """The normalised path of *path* below a prefix whose site-packages is *site*, or ``None``."""
    path = posixpath.normpath(path)
    if site is not None and path.startswith(site + "/"):
        return _counted(f"lib/{path[len(site) + 1 :]}")
    if path.startswith(("bin/", "Scripts/")):
        return "scripts/" + path.partition("/")[2]
    if match := _HEADERS.fullmatch(path):
        return f"headers/{match[1]}"
    return _counted(f"data/{path}")


def _counted(path: str) -> str | None:
    parts = path.split("/")
    if path.endswith(".pyc") or "__pycache__" in parts:
        return None
    if len(parts) > 2 and parts[1].endswith(".dist-info") and parts[2] in _BY_INSTALLERS:
        return None
    return path


def is_rewritten(path: str, head: bytes) -> bool:
    """Whether installers generate or rewrite this file: a script that begins with ``#!``."""
    return path.startswith("scripts/") and head.startswith(b"#!")


def read_record(data: bytes, source: str) -> tuple[RecordRow, ...]:
    """The rows of a RECORD. Raises `UnreadableError` naming every line that cannot be read."""
    rows: list[RecordRow] = []
    problems: list[str] = []
    try:
        lines = list(csv.reader(data.decode("utf-8").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"is no RECORD: {error}", where=source) from error
    for number, fields in enumerate(lines, 1):
        if not fields:
            continue
        try:
            path, digest, size = (*fields, "", "")[:3]
            rows.append(
                RecordRow(path=path, digest=_digest(digest), size=int(size) if size else None)
            )
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        raise UnreadableError("; ".join(problems), where=source, expected="path,hash,size lines")
    return tuple(rows)


def _digest(text: str) -> Digest | None:
    """``sha256=<urlsafe base64 without padding>`` as a digest; ``None`` when empty or weaker."""
    algorithm, _, encoded = text.partition("=")
    if algorithm not in ("sha256", "sha384", "sha512"):
        return None
    raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    return Digest(algorithm, raw.hex())


def record_hash(digest: Digest) -> str:
    """*digest* as a RECORD writes it."""
    encoded = base64.urlsafe_b64encode(bytes.fromhex(digest.hex)).rstrip(b"=").decode()
    return f"{digest.algorithm}={encoded}"
