"""One installed or locked package, and where it came from."""

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from envguard.model.digest import Digest


class Ecosystem(StrEnum):
    """Whose naming, versions and metadata a package follows."""

    PYPI = "pypi"
    CONDA = "conda"
    DEB = "deb"


class Index(Struct, frozen=True, kw_only=True, tag="index"):
    """A package from an index (PEP 503); *url* without credentials, ``None`` where not stated."""

    url: str | None = None


class DirectUrl(Struct, frozen=True, kw_only=True, tag="url"):
    """A package from one file's URL (PEP 610 ``archive_info``)."""

    url: str


class Vcs(Struct, frozen=True, kw_only=True, tag="vcs"):
    """A package from a version-control revision (PEP 610 ``vcs_info``)."""

    system: str
    url: str
    commit: str


class LocalFolder(Struct, frozen=True, kw_only=True, tag="folder"):
    """A package from a source tree (PEP 610 ``dir_info``)."""

    url: str
    editable: bool = False


Origin = Index | DirectUrl | Vcs | LocalFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A file that a package can be installed from.

    *url* never carries credentials; *path* is relative to the lock that states it; *size* is in
    bytes; any of *digests* pins the bytes (requirements files list the hashes of all files of a
    release without saying which is which, so *filename* may be unknown).
    """

    filename: str | None = None
    url: str | None = None
    path: str | None = None
    size: int | None = None
    digests: tuple[Digest, ...] = ()

    @property
    def is_wheel(self) -> bool:
        """Whether the file is a wheel (PEP 427), by its name."""
        return self.filename is not None and self.filename.endswith(".whl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package by ecosystem and normalised name (PEP 503).

    *build* tells apart builds of one version: the wheel's build number and tags
    (``cp311-cp311-manylinux_2_17_x86_64``) or conda's build string. *content* is the digest over
    what it installs (see `envguard.formats.record`; ``None``: not known). *requires* are its
    ``Requires-Dist`` fields as written, *modules* the top-level names that it makes importable.
    """

    ecosystem: Ecosystem = Ecosystem.PYPI
    name: str
    version: str | None
    build: str | None = None
    archives: tuple[Archive, ...] = ()
    content: Digest | None = None
    origin: Origin | None = None
    requires: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    """Installed files (normalised paths) that are missing or not what RECORD states."""
