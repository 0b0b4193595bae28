"""Requirements files as locks: what they pin, and hashed files for ``pip install``.

What a line pins decides what it becomes:

* ``name==version`` (also through a constraint) is an entry with one `Archive` for each hash. The
  file does not say which hash is which file's, so the archives have no name. Without hashes the
  entry has no archives: the version is known and compared, the content is not. That is no gap of
  the lock, as nothing that it states was left unread.
* A URL of an archive is an entry with that archive; a full git commit or a folder is an entry too.
* Everything else is a gap: it could be any version.
"""

import re
from collections.abc import Iterable, Mapping

from envguard.formats.lock_meaning import meaning
from envguard.formats.requirements import Requirements
from envguard.formats.requirements_model import Direct, Named, is_url
from envguard.formats.url import has_credentials
from envguard.model.digest import Digest
from envguard.model.errors import UsageError
from envguard.model.findings import Gap
from envguard.model.lock import Lock, LockEntry, unpinned
from envguard.model.package import Archive, DirectUrl, Index, LocalFolder, Package, Vcs

_NOTE = re.compile(rb"# envguard: (?P<key>[a-z]+) (?P<value>[\w.:-]+)\r?\n?")
_COMMIT = re.compile(r"(?P<url>.+)@(?P<commit>[0-9a-f]{40}(?:[0-9a-f]{24})?)")
_FRAGMENT_OF_LOCKS = re.compile(r"subdirectory=[^&]+")


def to_lock(requirements: Requirements) -> Lock:
    """The lock that *requirements* amount to; its digest is that of `lock_meaning.meaning`."""
    constraints = _constraints(requirements)
    entries: list[LockEntry] = []
    gaps: list[Gap] = []
    wanted: tuple[Named | Direct, ...] = (*requirements.named, *requirements.direct)
    for line in wanted:
        match _pinned(line, constraints):
            case LockEntry() as entry:
                entries.append(entry)
            case Gap() as gap:
                gaps.append(gap)
    entries = sorted(dict.fromkeys(entries), key=_order)
    return Lock(
        source=requirements.source,
        digest=meaning(entries, gaps=gaps),
        entries=tuple(entries),
        gaps=tuple(gaps),
    )


def write(lock: Lock, *, command: str, notes: Mapping[str, str] | None = None) -> bytes:
    """*lock* as a hashed requirements file that ``pip install --require-hashes`` takes.

    A comment names *command*; each of *notes* is a comment that `notes` reads back. There are no
    options and no index in it. Raises `UsageError` naming every entry that pip cannot check.
    """
    header = [f"# Made by: {' '.join(command.split())}"]
    header += [f"# envguard: {key} {value}" for key, value in (notes or {}).items()]
    problems = [f"  {problem}" for entry in lock.entries if (problem := _unfit(entry))]
    problems += [f"  {gap.subject} is not pinned" for gap in lock.gaps]
    if lock.extras or lock.groups:
        problems.append("  it offers extras or groups to choose from")
    if problems:
        raise UsageError(
            "cannot be written as hashed requirements:\n" + "\n".join(problems),
            where=lock.source,
            hint="write it as pylock.toml instead",
        )
    lines = [_written(entry) for entry in sorted(lock.entries, key=_order)]
    return "\n".join([*header, *lines, ""]).encode()


def notes(data: bytes) -> dict[str, str]:
    """The notes that `write` put at the head of a file."""
    found: dict[str, str] = {}
    for line in data[: 64 << 10].splitlines():
        if not line.startswith(b"#"):
            break
        if match := _NOTE.fullmatch(line):
            found[match["key"].decode()] = match["value"].decode()
    return found


def _constraints(requirements: Requirements) -> dict[str, Named]:
    """The constraints that pin one version, by name; only those without a marker are certain."""
    lines = (line for line in requirements.lines if isinstance(line, Named))
    pins = [x for x in lines if x.is_constraint and not x.marker and _exact_version(x)]
    return {line.name: line for line in pins}


def _pinned(line: Named | Direct, constraints: Mapping[str, Named]) -> LockEntry | Gap:
    package = _named(line, constraints) if isinstance(line, Named) else _direct(line)
    if package is None:
        return unpinned(str(line.place), line.text)
    return LockEntry(package=package, marker=line.marker)


def _named(line: Named, constraints: Mapping[str, Named]) -> Package | None:
    constraint = constraints.get(line.name)
    version = _exact_version(line) or (constraint and _constrained(line, constraint))
    if not version:
        return None
    digests = line.digests or (constraint.digests if constraint else ())
    archives = tuple(Archive(digests=(digest,)) for digest in digests)
    return Package(name=line.name, version=version, archives=archives, origin=Index())


def _exact_version(line: Named) -> str | None:
    """The one version that the specifier allows, as far as it says so itself."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    specifiers = SpecifierSet(line.specifier)
    for specifier in specifiers:
        if specifier.operator == "===":
            return specifier.version if len(specifiers) == 1 else None
        if specifier.operator == "==" and not specifier.version.endswith(".*"):
            allowed = specifiers.contains(specifier.version, prereleases=True)
            return str(Version(specifier.version)) if allowed else None
    return None


def _constrained(line: Named, constraint: Named) -> str | None:
    from packaging.specifiers import SpecifierSet

    version = _exact_version(constraint)
    fits = version and SpecifierSet(line.specifier).contains(version, prereleases=True)
    return version if fits else None


def _direct(line: Direct) -> Package | None:
    url, _, fragment = line.url.partition("#")
    subdirectory = _FRAGMENT_OF_LOCKS.search(fragment)
    url += f"#{subdirectory[0]}" if subdirectory else ""
    if line.name is None:
        return None
    if line.vcs:
        match = _COMMIT.fullmatch(line.url.partition("#")[0].partition("+")[2])
        if not match:
            return None
        where = match["url"] + (f"#{subdirectory[0]}" if subdirectory else "")
        vcs = Vcs(system=line.vcs, url=where, commit=match["commit"])
        return Package(name=line.name, version=None, origin=vcs)
    if line.filename is None:
        folder = LocalFolder(url=url, editable=line.editable)
        return Package(name=line.name, version=None, origin=folder) if line.is_local else None
    archive = Archive(
        filename=line.filename,
        url=url if is_url(url) else None,
        path=None if is_url(url) else url,
        digests=line.digests,
    )
    return Package(
        name=line.name, version=line.version, archives=(archive,), origin=DirectUrl(url=url)
    )


def _unfit(entry: LockEntry) -> str | None:
    """Why pip could not install *entry* with ``--require-hashes``."""
    package = entry.package
    if isinstance(package.origin, Vcs | LocalFolder):
        return f"{package.name} has no archive that could be hashed"
    if not _digests(package.archives):
        return f"{package.name} {package.version} has no sha256, sha384 or sha512"
    if entry.marker and re.search(r"\b(?:extras|dependency_groups)\b", entry.marker):
        return f"{package.name} depends on a chosen extra or group"
    if isinstance(package.origin, DirectUrl) and has_credentials(package.origin.url):
        return f"{package.name} has credentials in its URL"
    return None


def _written(entry: LockEntry) -> str:
    package = entry.package
    match package.origin:
        case DirectUrl(url=url):
            head = f"{package.name} @ {url}" if is_url(url) else url
        case _:
            head = f"{package.name}=={package.version}"
    marker = f" ; {entry.marker}" if entry.marker else ""
    hashes = (f"    --hash={digest}" for digest in _digests(package.archives))
    return " \\\n".join([head + marker, *hashes])


def _digests(archives: Iterable[Archive]) -> list[Digest]:
    return sorted({digest for archive in archives for digest in archive.digests})


def _order(entry: LockEntry) -> tuple[str, str, str]:
    return entry.package.name, entry.package.version or "", entry.marker or ""
