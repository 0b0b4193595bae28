"""The distributions in site folders, read from their metadata files alone.

Source: recording installed projects (PEP 376, 610, 627); setuptools' egg-info for what is older.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from envguard.formats.dist_info import (
    Metadata,
    normalised,
    read_metadata,
    read_origin,
    read_wheel_build,
)
from envguard.formats.site_folders import added_folders
from envguard.model.errors import UnreadableError
from envguard.model.files import Files, Kind, join, names, read
from envguard.model.findings import Area, Gap
from envguard.model.package import Index, LocalFolder, Origin, Package

_SMALL_LIMIT = 1 << 20
_PEP_610_INSTALLERS = ("pip", "uv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """An installed distribution: its *package* as its metadata states it, and where it is.

    *folder* is its dist-info; ``None`` for egg-info, which has no RECORD.
    """

    package: Package
    site: str
    folder: str | None
    label: str

    @property
    def is_editable(self) -> bool:
        """Whether its modules are in a source tree and not in the site folder."""
        match self.package.origin:
            case LocalFolder(editable=True):
                return True
            case _:
                return False


@dataclass(slots=True)
class _Found:
    """What was found so far; the first site that has a name wins, as on ``sys.path``."""

    distributions: dict[str, Distribution] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)

    def add(self, found: Distribution) -> None:
        name = found.package.name
        first = self.distributions.setdefault(name, found)
        if first is found or first.site != found.site or _agree(first, found):
            return
        self.gap(name, f"is installed twice in one folder: {first.label} and {found.label}")

    def gap(self, subject: str, reason: str) -> None:
        fix = "install it again into an environment of its own"
        self.gaps.append(Gap(area=Area.PACKAGES, subject=subject, reason=reason, fix=fix))


def find_distributions(
    files: Files, sites: Sequence[str]
) -> tuple[tuple[Distribution, ...], tuple[Gap, ...]]:
    """Every distribution in *sites* and in the folders that their .pth files add, by name.

    Gaps name metadata that cannot be read and distributions that are installed twice.
    """
    found = _Found()
    added: dict[str, None] = {}
    for site in sites:
        for path in _read_site(files, site, found):
            if path not in sites:
                added[path] = None
    for path in added:
        _read_added(files, path, found)
    ordered = sorted(found.distributions.values(), key=lambda one: one.package.name)
    return tuple(ordered), tuple(found.gaps)


def _read_site(files: Files, site: str, found: _Found) -> Iterator[str]:
    """Read what *site* lists; the paths that its .pth files add come back."""
    for entry in names(files, site):
        name = entry.name
        if name.startswith("~"):  # pip's leftovers of an upgrade that failed
            continue
        if name.endswith(".dist-info"):
            found.add(_from_dist_info(files, site, name, found))
        elif name.endswith(".egg-info"):
            _add_egg_info(files, site, name, found, origin=None)
        elif name.endswith(".pth") and entry.kind is not Kind.FOLDER:
            yield from added_folders(files, site, name)


def _read_added(files: Files, path: str, found: _Found) -> None:
    """A folder of a .pth file: a source tree (``develop``), an egg, or one more site folder."""
    entry = files.stat(path)
    if entry is not None and entry.kind is Kind.FILE and path.endswith(".egg"):
        found.gap(path.rpartition("/")[2], "is a zipped egg, which is not read")
    if entry is None or entry.kind is not Kind.FOLDER:
        return
    origin = None if path.endswith(".egg") else LocalFolder(url=f"file:///{path}", editable=True)
    for inner in files.scan(path):
        if inner.name.endswith(".dist-info"):
            found.add(_from_dist_info(files, path, inner.name, found))
        elif inner.name.endswith(".egg-info") or inner.name == "EGG-INFO":
            _add_egg_info(files, path, inner.name, found, origin=origin)


def _from_dist_info(files: Files, site: str, name: str, found: _Found) -> Distribution:
    folder = join(site, name)
    try:
        path = join(folder, "METADATA")
        metadata = read_metadata(read(files, path), path)
    except UnreadableError as error:
        metadata = _from_folder_name(name)
        found.gap(metadata.name, f"its metadata cannot be read: {error}")
    wheel = _optional(files, join(folder, "WHEEL"), found, metadata.name)
    package = Package(
        name=metadata.name,
        version=metadata.version or None,
        build=read_wheel_build(wheel) if wheel else None,
        origin=_origin(files, folder, found, metadata.name),
        requires=metadata.requires,
    )
    return Distribution(package=package, site=site, folder=folder, label=name)


def _from_folder_name(name: str) -> Metadata:
    stem, _, version = name.removesuffix(".dist-info").rpartition("-")
    return Metadata(name=normalised(stem or version), version=version if stem else "")


def _origin(files: Files, folder: str, found: _Found, name: str) -> Origin | None:
    """PEP 610: who follows it writes direct_url.json for all that does not come from an index."""
    path = join(folder, "direct_url.json")
    if data := _optional(files, path, found, name):
        try:
            return read_origin(data, path)
        except UnreadableError as error:
            found.gap(name, f"its origin cannot be read: {error}")
            return None
    installer = _optional(files, join(folder, "INSTALLER"), found, name) or b""
    known = installer.decode("utf-8", "replace").strip() in _PEP_610_INSTALLERS
    return Index() if known else None


def _add_egg_info(
    files: Files, site: str, name: str, found: _Found, *, origin: Origin | None
) -> None:
    """An egg-info folder with a PKG-INFO, or a PKG-INFO that is called so itself."""
    path = join(site, name)
    entry = files.stat(path)
    if entry is not None and entry.kind is Kind.FOLDER:
        path = join(path, "PKG-INFO")
    try:
        metadata = read_metadata(read(files, path), path)
    except UnreadableError as error:
        found.gap(name, f"its metadata cannot be read: {error}")
        return
    package = Package(
        name=metadata.name, version=metadata.version, origin=origin, requires=metadata.requires
    )
    found.add(Distribution(package=package, site=site, folder=None, label=name))


def _agree(first: Distribution, second: Distribution) -> bool:
    """Whether the second only repeats the first: Debian ships dist-info and egg-info of one."""
    return second.folder is None and first.package.version == second.package.version


def _optional(files: Files, path: str, found: _Found, name: str) -> bytes | None:
    """A small file that need not be there."""
    try:
        return read(files, path, limit=_SMALL_LIMIT)
    except UnreadableError as error:
        if files.stat(path) is not None:
            found.gap(name, f"cannot be read whole: {error}")
        return None
