"""The digest of a lock's meaning: equal for locks that install the same bytes everywhere.

It is the sha256 over the canonical JSON (RFC 8785) of::

    {"schema": "envguard.lock-meaning/1",
     "requires_python", "environments", "extras", "groups", "default_groups",
     "entries": [{"name", "version", "marker", "requires_python", "origin",
                  "archives": [{"filename", "digests"}]}],   (sorted)
     "unpinned": [subject of each gap]}

URLs, sizes and upload times of an index's archives do not count: a mirror serves the same lock.
A direct reference counts with its URL and revision, as that is what it asks for. A requirements
file does not say which hash is which file's, so it never has the digest of the pylock.toml that
it was made from.
"""

from collections.abc import Iterable

from envguard.formats.canonical import JsonValue, dumps
from envguard.model.digest import Digest
from envguard.model.findings import Gap
from envguard.model.lock import LockEntry
from envguard.model.package import Archive, DirectUrl, Index, LocalFolder, Origin, Vcs


def meaning(
    entries: Iterable[LockEntry],
    *,
    requires_python: str | None = None,
    environments: Iterable[str] = (),
    extras: Iterable[str] = (),
    groups: Iterable[str] = (),
    default_groups: Iterable[str] = (),
    gaps: Iterable[Gap] = (),
) -> Digest:
    """The digest of a lock with these parts, in whatever order they come."""
    document: JsonValue = {
        "schema": "envguard.lock-meaning/1",
        "requires_python": requires_python,
        "environments": _sorted(environments),
        "extras": _sorted(extras),
        "groups": _sorted(groups),
        "default_groups": _sorted(default_groups),
        "entries": _in_order(_entry(entry) for entry in entries),
        "unpinned": _sorted(gap.subject for gap in gaps),
    }
    return Digest.of(dumps(document))


def _entry(entry: LockEntry) -> JsonValue:
    package = entry.package
    return {
        "name": package.name,
        "version": package.version,
        "marker": entry.marker,
        "requires_python": entry.requires_python,
        "origin": _origin(package.origin),
        "archives": _in_order(_archive(archive) for archive in package.archives),
    }


def _origin(origin: Origin | None) -> JsonValue:
    match origin:
        case None | Index():
            return "index"
        case DirectUrl(url=url):
            return {"url": url}
        case Vcs(system=system, url=url, commit=commit):
            return {"vcs": system, "url": url, "commit": commit}
        case LocalFolder(url=url, editable=editable):
            return {"folder": url, "editable": editable}


def _archive(archive: Archive) -> JsonValue:
    return {"filename": archive.filename, "digests": _sorted(str(d) for d in archive.digests)}


def _sorted(texts: Iterable[str]) -> JsonValue:
    return [*sorted(texts)]


def _in_order(values: Iterable[JsonValue]) -> JsonValue:
    return sorted(values, key=dumps)
