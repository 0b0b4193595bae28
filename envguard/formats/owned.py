"""Which files in site folders belong to a package: by RECORD, or by the little that older ones say.

Source: recording installed projects (PEP 376, 627); for Debian's packages, dpkg's file lists.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from envguard.formats.dist_info import module_name, normalised
from envguard.formats.distributions import Distribution
from envguard.formats.installed import Listing, modules_of, read_listing
from envguard.model.errors import UnreadableError
from envguard.model.files import Files, join, names, read
from envguard.model.package import Package

_DPKG = "var/lib/dpkg/info"
_DPKG_LIMIT = 64 << 20


@dataclass(kw_only=True)
class Owned:
    """Whose every file is: *names* by folder, *folders* that hold such files at any depth.

    *modules* are the top-level names that packages make importable, *trees* what belongs to a
    package whole, because it states no RECORD; *editable* are the .pth files of editable ones.
    """

    files: Files
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    trees: dict[str, str] = field(default_factory=dict)
    editable: set[str] = field(default_factory=set)

    def by_debian(self, path: str) -> bool:
        """Whether a Debian package put *path* among the packages of the system's Python."""
        return path.startswith("usr/lib/python3") and f"/{path}" in self._listed_by_dpkg

    def module(self, folder: str, name: str) -> str | None:
        """The package that has a module *name* in *folder*."""
        if owner := self.folders.get(f"{folder}/{name}") or self.trees.get(f"{folder}/{name}"):
            return owner
        names = self.names.get(folder, {})
        return next((names[file] for file in names if module_name(file) == name), None)

    def add(self, path: str, owner: str) -> None:
        """Note that the file *path* is *owner*'s."""
        folder, _, name = path.rpartition("/")
        names = self.names.get(folder)
        if names is None:
            names = self.names[folder] = {}
            while folder and folder not in self.folders:
                self.folders[folder] = owner
                folder = folder.rpartition("/")[0]
        names[name] = owner

    @cached_property
    def _listed_by_dpkg(self) -> frozenset[str]:
        found: set[str] = set()
        for entry in self.files.scan(_DPKG):
            if entry.name.endswith(".list"):
                found |= _python_paths(self.files, join(_DPKG, entry.name))
        return frozenset(found)


def find_owned(
    files: Files, sites: Sequence[str], listings: Iterable[Listing], modules: Mapping[str, str]
) -> Owned:
    """What belongs to the packages of *listings* and to those that they hide.

    Of two packages of one name the first on the path counts; the files of both are owned.
    """
    owned = Owned(files=files, modules=dict(modules))
    known = list(listings)
    for listing in (*known, *_hidden(files, sites, known)):
        owner = listing.distribution.package.name
        if listing.rows:
            _add_rows(owned, listing, owner, sites)
        else:
            _add_trees(owned, listing, owner)
    return owned


def _hidden(files: Files, sites: Sequence[str], known: list[Listing]) -> Iterable[Listing]:
    """Distributions that an earlier one of the same name hides."""
    seen = {listing.distribution.folder for listing in known}
    for site in sites:
        for entry in names(files, site):
            folder = join(site, entry.name)
            if entry.name.endswith(".dist-info") and folder not in seen:
                package = Package(name=normalised(entry.name.partition("-")[0]), version=None)
                yield read_listing(
                    files,
                    Distribution(package=package, site=site, folder=folder, label=entry.name),
                )


def _add_rows(owned: Owned, listing: Listing, owner: str, sites: Sequence[str]) -> None:
    site = f"{listing.distribution.site}/"
    for row in listing.rows:
        if row.normalised.startswith("lib/"):
            path = row.path
            owned.add(path if path.startswith(site) else _twin(path, site, sites), owner)
    if listing.distribution.is_editable:
        owned.editable.update(row.path for row in listing.rows if row.path.endswith(".pth"))


def _twin(path: str, site: str, sites: Sequence[str]) -> str:
    """*path* below *site*: lib64 is often a link to lib, and RECORD may name either."""
    for old, new in (("/lib64/", "/lib/"), ("/lib/", "/lib64/")):
        twin = path.replace(old, new, 1)
        if twin.startswith(site) and not any(path.startswith(f"{one}/") for one in sites):
            return twin
    return path


def _add_trees(owned: Owned, listing: Listing, owner: str) -> None:
    """A package without RECORD owns its modules whole: by top_level.txt, else by its name."""
    distribution = listing.distribution
    modules = modules_of(owned.files, listing) or (owner.replace("-", "_"),)
    for module in modules:
        owned.trees[f"{distribution.site}/{module}"] = owner
        owned.modules.setdefault(module, owner)


def _python_paths(files: Files, path: str) -> set[str]:
    try:
        lines = read(files, path, limit=_DPKG_LIMIT).decode("utf-8", "replace").splitlines()
    except UnreadableError:
        return set()
    return {line for line in lines if line.startswith("/usr/lib/python3")}
