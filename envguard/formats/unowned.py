"""Files that Python can import and that no package installed: what RECORD does not know.

Every site folder is walked once and what packages own is subtracted. What installers and makers
of environments write is left out: dist-info folders, ``__pycache__`` of owned sources, leftovers
that begin with ``~``, README files. Of bytecode in ``__pycache__`` only its header is looked at:
whether what it holds is its source's cannot be told without compiling.

Sources: the standard library's ``site`` and ``importlib``, PEP 552 (bytecode that is not checked
against its source), PEP 3147 (``__pycache__``).
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from envguard.formats.dist_info import module_name
from envguard.formats.installed import Listing
from envguard.formats.owned import Owned, find_owned
from envguard.formats.python_prefix import inside
from envguard.formats.record import InstalledFile, content_digest
from envguard.formats.site_folders import added_folders
from envguard.formats.start_up import HOOKS, digest_of, of_virtualenv, runs_code, script_programs
from envguard.model.digest import Digest
from envguard.model.environment import UnownedFile, UnownedKind
from envguard.model.errors import UnreadableError
from envguard.model.files import Entry, Files, Kind, Name, join, names, read, walk

HOOK = "start-up hook"
NO_SOURCE = "bytecode without source"
UNCHECKED = "bytecode that is never checked against its source"
_README = ("README", "README.txt", "README.md", "README.rst")
_INFO = (".dist-info", ".egg-info", ".egg")
_UNCHECKED_HASH = 1
_HEADER = 8
_MOST = 1000
_MOST_IN_FOLDER = 10_000


def find_unowned(
    files: Files,
    prefix: str,
    sites: Sequence[str],
    listings: Sequence[Listing],
    modules: Mapping[str, str],
) -> tuple[UnownedFile, ...]:
    """What no package of *listings* owns in *sites* and in the folders that .pth files add.

    A folder in which nothing is owned is one item. Of more than 1000 items the rest is one too.
    Also interpreters of *prefix* that are scripts. *modules* says which package makes a top-level
    name importable. Sorted by path.
    """
    search = _search(files, sites, listings, modules)
    found = [*script_programs(files, prefix)]
    for root in search.roots:
        found += search.below(root)
    return _few(sorted(set(found), key=lambda file: (file.path, file.why)))


def _search(
    files: Files, sites: Sequence[str], listings: Sequence[Listing], modules: Mapping[str, str]
) -> "_Search":
    sources = {listing.distribution.site for listing in listings}
    infos = {
        listing.distribution.site for listing in listings if listing.distribution.folder is not None
    }
    roots = dict.fromkeys(sites)
    owned = find_owned(files, tuple(dict.fromkeys([*sites, *infos])), listings, modules)
    search = _Search(files=files, owned=owned, sites=sites, sources=sources)
    for site in sites:
        for entry in names(files, site):
            path = join(site, entry.name)
            if entry.name.endswith(".pth") and path not in owned.editable:
                for folder in added_folders(files, site, entry.name):
                    if folder not in owned.folders and (folder not in sources or folder in infos):
                        roots.setdefault(folder)
    search.roots = tuple(roots)
    return search


@dataclass(kw_only=True)
class _Search:
    """A walk through import roots; *sources* are folders that hold a package's metadata."""

    files: Files
    owned: Owned
    sites: Sequence[str]
    sources: set[str]
    roots: tuple[str, ...] = ()

    def below(self, folder: str, *, root: bool = True) -> Iterator[UnownedFile]:
        """What is not owned in *folder*, which is an import *root* or a package's."""
        owned = self.owned.names.get(folder, {})
        strays: list[Name] = []
        sources = set(owned)
        for entry in names(self.files, folder):
            name = entry.name
            if name in owned or (root and self._means_nothing(folder, entry)):
                continue
            path = join(folder, name)
            if path in self.owned.folders:
                yield from self.below(path, root=False)
            elif name == "__pycache__" and entry.kind is Kind.FOLDER:
                strays.append(entry)
            elif not (path in self.roots or self._is_ours(folder, entry, root)):
                sources.add(name)
                strays.append(entry)
        for entry in strays:
            if entry.name == "__pycache__":
                yield from self._cached(join(folder, entry.name), sources, owned)
            elif (found := self._stray(folder, entry, root)) and (
                found.kind is not UnownedKind.OTHER or not root or folder in self.sites
            ):
                yield found

    def _means_nothing(self, folder: str, entry: Name) -> bool:
        """Metadata; and in a folder that a .pth file adds (a source tree) all but modules."""
        name = entry.name
        if name.endswith(_INFO):
            return True
        importable = module_name(name) or name.removesuffix(".pyc")
        return folder not in self.sites and not importable.isidentifier()

    def _is_ours(self, folder: str, entry: Name, root: bool) -> bool:
        """Whether an installer or the environment's maker wrote it, or an old package owns it."""
        name = entry.name
        if not root:
            return False
        stem = module_name(name) or name
        return (
            name in _README
            or (entry.kind is Kind.FOLDER and name.startswith("~"))
            or f"{folder}/{stem}" in self.owned.trees
            or (name.endswith(".pth") and not self._adds(folder, name))
            or (name.endswith(".egg-link") and self._links_package(join(folder, name)))
        )

    def _cached(
        self, folder: str, sources: set[str], owned: dict[str, str]
    ) -> Iterator[UnownedFile]:
        for entry in names(self.files, folder):
            if not entry.name.endswith(".pyc"):
                continue
            path = join(folder, entry.name)
            source = _source_of(entry.name, sources)
            if source is None:
                yield self._item(path, UnownedKind.BYTECODE, NO_SOURCE)
            elif source in owned and _is_unchecked(self.files, path):
                yield self._item(path, UnownedKind.BYTECODE, UNCHECKED)

    def _stray(self, folder: str, entry: Name, root: bool) -> UnownedFile | None:
        path = join(folder, entry.name)
        if self.owned.by_debian(path):
            return None
        at = self.files.stat(path) if entry.kind is Kind.LINK else entry
        if at is not None and at.kind is Kind.FOLDER:
            return self._folder(folder, entry.name, root)
        kind, why = self._kind(folder, entry.name, root)
        item = self._item(path, kind, why)
        return of_virtualenv(item) if root and entry.name == "_virtualenv.py" else item

    def _kind(self, folder: str, name: str, root: bool) -> tuple[UnownedKind, str]:
        stem = module_name(name)
        if root and (found := self._at_root(folder, name, stem)):
            return found
        if name.endswith(".pyc"):
            return UnownedKind.BYTECODE, NO_SOURCE
        if stem is None:
            return UnownedKind.OTHER, "belongs to no package"
        return self._module(folder, stem, root)

    def _at_root(self, folder: str, name: str, stem: str | None) -> tuple[UnownedKind, str] | None:
        """What means more in a folder of the import path than elsewhere."""
        if (stem or name.removesuffix(".pyc")) in HOOKS:
            return UnownedKind.HOOK, HOOK
        if name.endswith(".pth") and folder in self.sites:
            if runs_code(self.files, join(folder, name)):
                return UnownedKind.HOOK, HOOK
            return UnownedKind.MODULE, "adds folders to the import path"
        if name.endswith(".egg-link"):
            return UnownedKind.MODULE, "names a source tree that is no package here"
        return None

    def _module(self, folder: str, name: str, root: bool) -> tuple[UnownedKind, str]:
        """A module, or a folder of modules: beside others, or in the place of one."""
        owner = self.owned.module(folder, name) or (root and self.owned.modules.get(name))
        if owner:
            return UnownedKind.SHADOW, f"shadows the module of {owner}"
        within = None if root else self.owned.folders.get(folder)
        return UnownedKind.MODULE, f"module among those of {within}" if within else "module"

    def _folder(self, above: str, name: str, root: bool) -> UnownedFile | None:
        """A folder in which nothing is owned, as one item; nothing where it holds no file."""
        path = join(above, name)
        found = list(islice(_files_below(self.files, path), _MOST_IN_FOLDER + 1))
        if not found:
            return None
        names = {below.rpartition("/")[2] for below, _ in found}
        kind, why = UnownedKind.OTHER, "belongs to no package"
        if root and name in HOOKS:
            kind, why = UnownedKind.HOOK, HOOK
        elif any(module_name(name) for name in names):
            kind, why = self._module(above, name, root)
        elif any(name.endswith(".pyc") for name in names):
            kind, why = UnownedKind.BYTECODE, NO_SOURCE
        digest = _digest_of_all(self.files, path, found)
        return UnownedFile(path=self._shown(path), kind=kind, why=why, digest=digest)

    def _adds(self, site: str, pth: str) -> bool:
        """Whether a .pth file does more than to name the folders of packages that are seen."""
        if runs_code(self.files, join(site, pth)):
            return True
        known = {*self.sites, *self.sources}
        folders = added_folders(self.files, site, pth)
        return any(path not in known and path not in self.owned.folders for path in folders)

    def _links_package(self, path: str) -> bool:
        try:
            lines = read(self.files, path, limit=1 << 20).decode("utf-8", "replace").splitlines()
        except UnreadableError:
            return False
        return bool(lines) and inside(lines[0].strip()) in self.sources

    def _item(self, path: str, kind: UnownedKind, why: str) -> UnownedFile:
        digest = digest_of(self.files, path)
        return UnownedFile(path=self._shown(path), kind=kind, why=why, digest=digest)

    def _shown(self, path: str) -> str:
        for site in self.sites:
            if path.startswith(f"{site}/"):
                return f"lib/{path[len(site) + 1 :]}"
        return f"/{path}"


def _source_of(bytecode: str, names: set[str]) -> str | None:
    """The source of ``six.cpython-311.opt-1.pyc`` among *names*; tools add tags with dots."""
    stem = bytecode
    while stem:
        stem = stem.rpartition(".")[0]
        if f"{stem}.py" in names:
            return f"{stem}.py"
    return None


def _is_unchecked(files: Files, path: str) -> bool:
    try:
        with files.open(path) as stream:
            header = stream.read(_HEADER)
    except UnreadableError:
        return False
    return int.from_bytes(header[4:], "little") == _UNCHECKED_HASH


def _files_below(files: Files, folder: str) -> Iterator[tuple[str, Entry]]:
    return ((path, entry) for path, entry in walk(files, folder) if entry.kind is not Kind.FOLDER)


def _digest_of_all(files: Files, folder: str, found: list[tuple[str, Entry]]) -> Digest | None:
    """The digest over all files of a folder, without the bytecode that Python itself caches."""
    if len(found) > _MOST_IN_FOLDER:
        return None
    counted = [one for one in found if "/__pycache__/" not in one[0]] or found
    hashed: list[InstalledFile] = []
    for path, entry in counted:
        if (digest := digest_of(files, path)) is None:
            return None
        relative = posixpath.relpath(path, folder)
        hashed.append(InstalledFile(path=relative, digest=digest, size=entry.size))
    return content_digest(hashed)


def _few(found: list[UnownedFile]) -> tuple[UnownedFile, ...]:
    """A hostile environment may hold a million files: the rest is one item, as bad as its worst."""
    if len(found) <= _MOST:
        return tuple(found)
    first, rest = found[: _MOST - 1], found[_MOST - 1 :]
    text = "".join(f"{file.path}\0{file.digest}\n" for file in rest)
    worst = min((file.kind for file in rest), key=list(UnownedKind).index)
    more = f"{len(rest)} more that belong to no package"
    digest = Digest.of(text.encode("utf-8", "backslashreplace"))
    return (*first, UnownedFile(path="lib", kind=worst, why=more, digest=digest))
