"""The digest over the packages of a locked environment: which ones, and pinned to which bytes.

It is the sha256 over one line for each package::

    envguard-packages-v1
    <ecosystem> NUL <name> NUL <version> NUL <pin> [SP <pin> ...] LF        (sorted)

A pin is the digest of an archive (``sha256:...``), or ``<system>:<commit>`` of a package from
version control; the pins of a line are sorted, and each stands there once. What a version or a
pin lacks is empty. Where a package was fetched from, and what is known of its content, do not
count: one lock has one digest wherever it selects the same files.
"""

import hashlib
from collections.abc import Iterable

from envguard.model.digest import Digest
from envguard.model.package import Package, Vcs


def digest(packages: Iterable[Package]) -> Digest:
    """The digest over *packages* in any order (see the module's text for its definition)."""
    hasher = hashlib.sha256(b"envguard-packages-v1\n")
    for line in sorted(map(_line, packages)):
        hasher.update(line.encode())
    return Digest("sha256", hasher.hexdigest())


def _line(package: Package) -> str:
    pins = {str(digest) for archive in package.archives for digest in archive.digests}
    match package.origin:
        case Vcs(system=system, commit=commit):
            pins.add(f"{system}:{commit}")
    version = package.version or ""
    return f"{package.ecosystem}\0{package.name}\0{version}\0{' '.join(sorted(pins))}\n"
