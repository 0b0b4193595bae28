"""The words of a requirements file: named requirements, direct references, settings, includes."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from envguard.formats.requirements_grammar import Given
from envguard.model.digest import Digest

_URL = re.compile(r"(?:https?|ftp|file|(?P<vcs>git|hg|bzr|svn)\+[a-z-]+):", re.IGNORECASE)
_ARCHIVE = re.compile(
    r"\.(?:zip|whl|tar|tgz|tbz|txz|tlz|tar\.(?:gz|bz2|xz|lz|lzma))$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A distribution by its normalised name.

    *text* is the line for people; *specifier* and *marker* are in packaging's normal form;
    *digests* are those of all files that may be installed, sorted.
    """

    place: Place
    text: str
    name: str
    specifier: str = ""
    extras: tuple[str, ...] = ()
    marker: str | None = None
    digests: tuple[Digest, ...] = ()
    build_options: tuple[Given, ...] = ()
    is_constraint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """A URL, a version-control revision or a path.

    *url* is as written: credentials removed, variables not expanded, fragment kept. *name* and
    *version* are ``None`` where only a build could tell them.
    """

    place: Place
    text: str
    url: str
    name: str | None = None
    version: str | None = None
    extras: tuple[str, ...] = ()
    marker: str | None = None
    digests: tuple[Digest, ...] = ()
    build_options: tuple[Given, ...] = ()
    editable: bool = False
    is_constraint: bool = False

    @property
    def vcs(self) -> str | None:
        """``git`` of ``git+https://…``, or ``None``."""
        match = _URL.match(self.url)
        return match["vcs"].lower() if match and match["vcs"] else None

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine, as a path or a ``file:`` URL."""
        return not is_url(self.url) or self.url.lower().startswith("file:")

    @property
    def filename(self) -> str | None:
        """The archive's name, or ``None`` for a folder or a revision."""
        name = unquote(re.split("[?#]", self.url)[0].rpartition("/")[2])
        return name if self.vcs is None and is_archive(name) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An option on a line of its own, by its long name; URLs are without credentials."""

    place: Place
    text: str
    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Include:
    """``-r`` or ``-c``: another file to read."""

    place: Place
    path: str
    is_constraint: bool


Line = Named | Direct | Setting


def is_url(text: str) -> bool:
    """Whether pip takes *text* for a URL and not for a path or name."""
    return _URL.match(text) is not None


def is_archive(name: str) -> bool:
    """Whether pip takes *name* for an archive, by its ending."""
    return _ARCHIVE.search(name) is not None
