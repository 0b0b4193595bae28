"""What a distribution installed, against its RECORD: content digest and modified files.

Nothing outside the distribution's prefix is opened: rows that lead there are gaps.
Source: recording installed projects (PEP 376, PEP 627).
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from envguard.formats.digests import Hashed, hash_files
from envguard.formats.dist_info import module_name, top_level_modules
from envguard.formats.distributions import Distribution
from envguard.formats.python_prefix import inside, is_file
from envguard.formats.record import (
    InstalledFile,
    RecordRow,
    content_digest,
    in_library,
    in_prefix,
    is_rewritten,
    read_record,
)
from envguard.formats.site_folders import added_folders, prefix_of
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from envguard.model.files import Files, Kind, join, read
from envguard.model.findings import Area, Gap
from envguard.model.package import Package
from envguard.model.progress import Progress, silent

_NOT_PLAIN = re.compile(r"[/.]/|[\0]|/\.|\.$")
_NAMED = 5
_SHOWN = 300
_CHUNK = 1 << 20


class Row(NamedTuple):
    """A file of a RECORD that counts: where it is in the tree, and what RECORD states of it."""

    path: str
    normalised: str
    digest: Digest | None
    size: int | None

    @property
    def is_complete(self) -> bool:
        """Whether RECORD alone says enough for the content digest."""
        return (
            self.size is not None and self.digest is not None and self.digest.algorithm == "sha256"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The rows of one distribution, and why they are not the whole of what it installs, if so."""

    distribution: Distribution
    rows: tuple[Row, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What is really there: the *files* that count for content, and what is not as recorded."""

    files: tuple[InstalledFile, ...]
    modified: tuple[str, ...]
    problems: tuple[str, ...]


def complete_packages(
    files: Files,
    listings: Sequence[Listing],
    *,
    verify: bool,
    workers: int | None = None,
    progress: Progress = silent,
) -> tuple[tuple[Package, ...], tuple[Gap, ...]]:
    """The packages of *listings* with content, modules and modified files, and their gaps.

    With *verify* every file of every RECORD is hashed; without, RECORD is believed.
    """
    rows = [row for listing in listings for row in listing.rows if verify or not row.is_complete]
    sizes = {row.path: row.size or 0 for row in rows}
    hashed = hash_files(files, sizes, workers=workers, progress=progress)
    packages: list[Package] = []
    gaps: list[Gap] = []
    for listing in listings:
        package = listing.distribution.package
        installed = compare(files, listing, hashed)
        gaps += (_gap(package.name, problem) for problem in installed.problems)
        packages.append(
            replace(
                package,
                content=None if installed.problems else content_digest(installed.files),
                modules=modules_of(files, listing),
                modified=installed.modified,
            )
        )
    return tuple(packages), tuple(gaps)


def read_installed(files: Files, distribution: Distribution) -> Installed:
    """What is really there of one distribution, every file hashed."""
    listing = read_listing(files, distribution)
    sizes = {row.path: row.size or 0 for row in listing.rows}
    return compare(files, listing, hash_files(files, sizes))


def read_listing(files: Files, distribution: Distribution) -> Listing:
    """The rows of *distribution*'s RECORD that count, each path once."""
    if distribution.folder is None:
        return Listing(distribution=distribution, problems=("has no RECORD: it is an egg-info",))
    path = join(distribution.folder, "RECORD")
    if files.stat(path) is None:
        return Listing(distribution=distribution, problems=("has no RECORD",))
    try:
        record = read_record(read(files, path), path)
    except UnreadableError as error:
        return Listing(
            distribution=distribution, problems=(f"RECORD cannot be read: {error}"[:_SHOWN],)
        )
    rows, problems = _rows(distribution.site, record)
    if distribution.is_editable:
        problems = ["is editable: its modules are a source tree that can change at any time"]
    return Listing(distribution=distribution, rows=rows, problems=_few(problems))


def compare(files: Files, listing: Listing, hashed: Mapping[str, Hashed]) -> Installed:
    """*listing* against what was hashed; rows that were not hashed are believed."""
    found: list[InstalledFile] = []
    modified: list[str] = []
    problems = list(listing.problems)
    for row in listing.rows:
        path, normalised, stated, size = row
        actual = hashed.get(path, stated)
        if actual is None:
            modified.append(normalised)
            continue
        if isinstance(actual, UnreadableError):
            problems.append(f"{normalised} cannot be read: {actual.message}")
            continue
        agrees = actual is stated or _agrees(files, row, actual)
        if not agrees:
            modified.append(normalised)
        if not (normalised.startswith("scripts/") and _is_script(files, row)):
            if not agrees or size is None:
                size = _size(files, path)
            found.append(InstalledFile(normalised, actual, size))
    return Installed(files=tuple(found), modified=tuple(sorted(modified)), problems=tuple(problems))


def modules_of(files: Files, listing: Listing) -> tuple[str, ...]:
    """What can be imported: by RECORD, else by the other files that tell."""
    distribution = listing.distribution
    names = top_level_modules(row.normalised for row in listing.rows)
    if names or not (distribution.is_editable or distribution.folder is None):
        return names
    folder = distribution.folder or join(distribution.site, distribution.label)
    try:
        stated = read(files, join(folder, "top_level.txt"), limit=1 << 20)
    except UnreadableError:
        return tuple(sorted(set(_source_modules(files, listing))))
    return tuple(sorted(name for name in stated.decode("utf-8", "replace").split()))


def _rows(site: str, record: Iterable[RecordRow]) -> tuple[tuple[Row, ...], list[str]]:
    prefix = prefix_of(site)
    rows: dict[str, Row] = {}
    problems: list[str] = []
    for stated in record:
        if stated.path.endswith(".pyc"):
            continue
        path, normalised = _places(site, prefix, stated.path)
        if path is None:
            problems.append(f"RECORD leads out of the environment: {stated.path[:200]!r}")
        elif normalised:
            row = Row(path, normalised, stated.digest, stated.size)
            first = rows.setdefault(path, row)
            if first is not row and first != row:
                problems.append(f"RECORD states {normalised} twice and differently")
    return tuple(rows.values()), problems


def _places(site: str, prefix: str, stated: str) -> tuple[str | None, str | None]:
    """Where a RECORD's path lies in the tree, and its normalised path; see the two below.

    Nearly all paths are plain ones in site-packages, where both are known at once.
    """
    if _is_plain(stated):
        return f"{site}/{stated}", in_library(stated)
    path = _in_tree(site, prefix, stated)
    return path, None if path is None else _normalised(site, prefix, path)


def _is_plain(stated: str) -> bool:
    return not (
        "/." in stated
        or "./" in stated
        or "//" in stated
        or "\0" in stated
        or stated.startswith("/")
        or stated.endswith(("/", "."))
        or not stated
    )


def _in_tree(site: str, prefix: str, stated: str) -> str | None:
    """Where a RECORD's path lies in the tree; ``None`` outside the prefix."""
    if stated[:1] not in ("/", "") and not _NOT_PLAIN.search(stated):
        return f"{site}/{stated}"
    path = inside(stated) if stated.startswith("/") else posixpath.normpath(f"{site}/{stated}")
    below = f"{prefix}/" if prefix else ""
    if "\0" in path or path == ".." or path.startswith("../") or not path.startswith(below):
        return None
    return path


def _normalised(site: str, prefix: str, path: str) -> str | None:
    """See `envguard.formats.record`. lib and lib64 are purelib and platlib of one environment."""
    if site == prefix:
        return in_prefix(f"lib/{path[len(site) + 1 :]}", "lib")
    start = len(prefix) + 1 if prefix else 0
    own, below = site[start:], path[start:]
    if below.startswith(f"{own}/"):
        return in_prefix(below, own)
    library, _, rest = own.partition("/")
    twin = f"{'lib' if library == 'lib64' else 'lib64'}/{rest}"
    return in_prefix(below, twin if below.startswith(f"{twin}/") else own)


def _few(problems: list[str]) -> tuple[str, ...]:
    """A hostile RECORD may hold a million bad lines: the first ones are named, the rest counted."""
    more = [f"and {len(problems) - _NAMED} more problems"] if len(problems) > _NAMED else []
    return (*problems[:_NAMED], *more)


def _agrees(files: Files, row: Row, actual: Digest) -> bool:
    """Whether the file is what RECORD states. RECORD may state sha384 or sha512."""
    if row.digest is None or row.digest == actual:
        return True
    if row.digest.algorithm == actual.algorithm:
        return False
    hasher = hashlib.new(row.digest.algorithm)
    with files.open(row.path) as stream:
        while chunk := stream.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest() == row.digest.hex


def _is_script(files: Files, row: Row) -> bool:
    """Whether installers generate or rewrite this file, so that it does not count for content."""
    try:
        with files.open(row.path) as stream:
            return is_rewritten(row.normalised, stream.read(2))
    except UnreadableError:
        return True  # gone: when it matters, it is among the modified files


def _size(files: Files, path: str) -> int:
    entry = files.stat(path)
    return entry.size if entry else 0


def _source_modules(files: Files, listing: Listing) -> Iterator[str]:
    """The modules in the folders that an editable distribution's own .pth files add."""
    site = listing.distribution.site
    for row in listing.rows:
        if row.path.endswith(".pth"):
            for folder in added_folders(files, site, posixpath.basename(row.path)):
                yield from _modules_in(files, folder)


def _modules_in(files: Files, folder: str) -> Iterator[str]:
    for entry in files.scan(folder):
        if entry.kind is Kind.FILE and (name := module_name(entry.name)):
            yield name
        elif entry.kind is Kind.FOLDER and is_file(
            files, join(folder, f"{entry.name}/__init__.py")
        ):
            yield entry.name


def _gap(name: str, problem: str) -> Gap:
    fix = None if "editable" in problem else f"install {name} again from a wheel"
    return Gap(area=Area.PACKAGES, subject=name, reason=problem, fix=fix)
