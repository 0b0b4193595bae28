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
from binascii import a2b_base64
from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

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
_NOT_PLAIN = re.compile(r"(?:^|/)(?:\.{0,2}/|\.{1,2}$)|/$")
_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
_HEADERS = re.compile(r"include/(?:site/)?python\d+\.\d+t?/[^/]+/(.+)")


class InstalledFile(NamedTuple):
    """One file that a distribution installs, by its normalised path; *size* in bytes."""

    path: str
    digest: Digest
    size: int


class RecordRow(NamedTuple):
    """A line of a RECORD as written: the path, and digest and size where they are stated."""

    path: str
    digest: Digest | None
    size: int | None


def content_digest(files: Iterable[InstalledFile]) -> Digest:
    """The digest over *files* in any order (see the module's text for its definition)."""
    hasher = hashlib.sha256(b"envguard-content-v1\n")
    for file in sorted(files, key=attrgetter("path")):
        hasher.update(f"{file.path}\0{file.digest.hex}\0{file.size}\n".encode())
    return Digest("sha256", hasher.hexdigest())


def in_wheel(path: str, data_folder: str) -> str | None:
    """The normalised path of a wheel's member, or ``None`` for what does not count.

    *data_folder* is ``{distribution}-{version}.data``.
    """
    if not path.startswith(data_folder + "/"):
        return in_library(path)
    scheme, _, rest = path[len(data_folder) + 1 :].partition("/")
    match scheme:
        case "purelib" | "platlib":
            return in_library(rest)
        case "scripts" | "headers":
            return f"{scheme}/{rest}"
        case _:
            return in_prefix(rest, site=None)


def in_prefix(path: str, site: str | None) -> str | None:
    """The normalised path of *path* below a prefix whose site-packages is *site*, or ``None``."""
    if _NOT_PLAIN.search(path):
        path = posixpath.normpath(path)
    if site is not None and path.startswith(site + "/"):
        return in_library(path[len(site) + 1 :])
    if path.startswith(("bin/", "Scripts/")):
        return "scripts/" + path.partition("/")[2]
    if match := _HEADERS.fullmatch(path):
        return f"headers/{match[1]}"
    return _counted(f"data/{path}")


def in_library(path: str) -> str | None:
    """The normalised path of *path*, plain and relative to site-packages, or ``None``."""
    return _counted(f"lib/{path}")


def _counted(path: str) -> str | None:
    if path.endswith(".pyc") or "/__pycache__/" in path:
        return None
    if ".dist-info/" in path:
        parts = path.split("/")
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
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is no RECORD: {error}", where=source) from error
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            path, digest, size = _fields(line)
            rows.append(RecordRow(path, _digest(digest), int(size) if size else None))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        raise UnreadableError("; ".join(problems), where=source, expected="path,hash,size lines")
    return tuple(rows)


def _fields(line: str) -> list[str]:
    """Path, hash and size of a line; nearly all lines need no CSV reader."""
    if '"' not in line:
        fields = line.split(",")
        return fields if len(fields) == 3 else [*fields, "", ""][:3]
    try:
        return [*next(csv.reader([line], strict=True)), "", ""][:3]
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _digest(text: str) -> Digest | None:
    """``sha256=<urlsafe base64 without padding>`` as a digest; ``None`` when empty or weaker.

    Debian's packages write the digest in hexadecimal.
    """
    algorithm, _, encoded = text.partition("=")
    if algorithm not in _SIZES:
        return None
    if len(encoded) == 2 * _SIZES[algorithm]:
        return Digest.parse(f"{algorithm}:{encoded}")
    plain = encoded.replace("-", "+").replace("_", "/")  # four times as fast as translate
    raw = a2b_base64(plain + "=" * (-len(encoded) % 4))
    return Digest(algorithm, raw.hex())


def record_hash(digest: Digest) -> str:
    """*digest* as a RECORD writes it."""
    encoded = base64.urlsafe_b64encode(bytes.fromhex(digest.hex)).rstrip(b"=").decode()
    return f"{digest.algorithm}={encoded}"
