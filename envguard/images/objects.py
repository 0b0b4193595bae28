"""Whether the shared libraries and symbol versions that wheels need will be there.

An installer looks at tags alone; a wheel whose library is missing fails at import, on the first
request. Here the same is found before an image is made: each ``DT_NEEDED`` must be in another
wheel or in the base, and each symbol version must be defined by the library that has it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from envguard.images.elf import Elf, PackageObject
from envguard.images.loader import Loader, is_of_driver


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectProblem:
    """An object of *package* that cannot be loaded. *version* is ``None``: the library is missing.

    *available* are the newest versions of that kind that the base's library defines.
    """

    package: str
    path: str
    library: str
    version: str | None = None
    available: str | None = None

    def __str__(self) -> str:
        needs = f"{self.package}: {self.path} needs "
        if self.version is None:
            return f"{needs}{self.library}, which neither the base nor a wheel has"
        newest = f"has {self.available} at most" if self.available else "does not define it"
        return f"{needs}{self.version}, and the base's {self.library} {newest}"


def check_objects(objects: Iterable[PackageObject], loader: Loader) -> tuple[ObjectProblem, ...]:
    """Everything that the *objects* of all wheels together lack in the base of *loader*; sorted.

    Objects for another machine are left out: some wheels bring them for other systems. Which
    folder a wheel's object would look in for another wheel's library is not asked, since
    packages load such libraries before they are needed. libc's own check is the same: a library
    that defines no versions at all has any.
    """
    fitting = [item for item in objects if item.elf.fits(loader.process)]
    brought: dict[str, Elf] = {name: item.elf for item in fitting for name in item.names}
    wanted = {name for item in fitting for name in item.elf.needed} - brought.keys()
    provided = _provided({name for name in wanted if not is_of_driver(name)}, loader)
    return tuple(
        sorted({problem for item in fitting for problem in _problems(item, brought, provided)})
    )


def _provided(names: set[str], loader: Loader) -> dict[str, Elf | None]:
    """The base's libraries by name, ``None`` where it has none."""
    loader.read_ahead(names)
    paths = {name: loader.find(name) for name in sorted(names)}
    if not all(paths.values()):
        # What the program itself has loaded is found by its name, wherever it lies.
        loaded = {path.rpartition("/")[2]: path for path in loader.closure(()).libraries}
        paths = {name: path or loaded.get(name) for name, path in paths.items()}
    return {name: loader.read(path) if path else None for name, path in paths.items()}


def _problems(
    item: PackageObject, brought: dict[str, Elf], provided: dict[str, Elf | None]
) -> Iterator[ObjectProblem]:
    for name in item.elf.needed:
        if name in brought or is_of_driver(name):
            continue
        library = provided[name]
        if library is None:
            yield ObjectProblem(package=item.package, path=item.path, library=name)
        elif library.provides:
            missing = set(item.elf.requires.get(name, ())) - set(library.provides)
            for version in missing:
                yield ObjectProblem(
                    package=item.package,
                    path=item.path,
                    library=name,
                    version=version,
                    available=_newest(version, library),
                )


def _newest(version: str, library: Elf) -> str | None:
    """``GLIBC_2.36`` for ``GLIBC_2.38``: the newest that *library* has of that series."""
    series = version.rpartition("_")[0]
    numbered = [
        (tuple(int(part) for part in number.split(".")), name)
        for name in library.provides
        for prefix, _, number in [name.rpartition("_")]
        if prefix == series and number.replace(".", "").isdigit()
    ]
    return max(numbered)[1] if numbered else None
