"""A Python environment, whole, from its files: interpreter, platform, packages.

The same for a virtual environment of this machine and for one inside an image: everything is
read from a `Files` tree whose root is ``/``. Nothing is run or imported.
"""

from collections.abc import Sequence

from envguard.formats.distributions import find_distributions
from envguard.formats.installed import complete_packages, read_installed, read_listing
from envguard.formats.python_prefix import (
    find_installation,
    library_names,
    read_interpreter,
    read_platform,
    read_settings,
)
from envguard.formats.record import InstalledFile
from envguard.formats.site_folders import site_folders
from envguard.formats.unowned import find_unowned
from envguard.model.environment import Environment, Interpreter, Section
from envguard.model.errors import UnreadableError
from envguard.model.files import Files
from envguard.model.findings import Area, Gap
from envguard.model.progress import Progress, silent


def read_environment(
    files: Files,
    prefix: str,
    *,
    source: str,
    os: str,
    machine: str,
    sites: Sequence[str] | None = None,
    verify: bool = True,
    workers: int | None = None,
    progress: Progress = silent,
) -> Environment:
    """The environment of the Python prefix *prefix* (``opt/venv``) in a tree.

    *source* is its name for people, *os* and *machine* as in `Platform`; *sites* are its site
    folders where somebody knows better than the files say. With *verify* every installed file is
    hashed on *workers* threads; without, RECORD is believed.

    Raises `UnreadableError` when there is no Python at *prefix*.
    """
    interpreter, gaps = _interpreter(files, prefix, source)
    folders = site_folders(files, prefix) if sites is None else tuple(sites)
    distributions, found = find_distributions(files, folders)
    listings = [read_listing(files, distribution) for distribution in distributions]
    packages, unknown = complete_packages(
        files, listings, verify=verify, workers=workers, progress=progress
    )
    modules = {module: package.name for package in packages for module in package.modules}
    return Environment(
        source=source,
        interpreter=interpreter,
        platform=Section.seen(read_platform(files, os=os, machine=machine, prefix=prefix)),
        packages=Section.seen(packages),
        gaps=(*gaps, *found, *unknown),
        unowned=find_unowned(files, prefix, folders, listings, modules),
    )


def installed_files(files: Files, prefix: str, name: str) -> tuple[InstalledFile, ...]:
    """The files of one distribution by its normalised *name*, hashed, sorted; none when absent.

    They name what differs when two sides have another content digest.
    """
    distributions, _ = find_distributions(files, site_folders(files, prefix))
    wanted = [one for one in distributions if one.package.name == name]
    return tuple(sorted(file for one in wanted for file in read_installed(files, one).files))


def _interpreter(
    files: Files, prefix: str, source: str
) -> tuple[Section[Interpreter], tuple[Gap, ...]]:
    """The interpreter of *prefix*, as far as its files state it, and what does not fit in them."""
    interpreter = read_interpreter(files, prefix)
    installation = find_installation(files, prefix)
    settings = read_settings(files, prefix)
    if interpreter is None:
        if settings is None:
            raise UnreadableError(
                "holds no Python",
                where=source,
                expected="pyvenv.cfg, or lib/python3.x/os.py",
                hint="name the prefix: the folder that holds bin/python",
            )
        return Section.unseen(
            f"the base {settings.home} is not there, and no version is stated"
        ), ()
    if installation is None and settings is not None:
        reason = f"the base {settings.home} is not there: as pyvenv.cfg states it"
        return Section.partly(interpreter, reason), ()
    strangers = _strangers(files, prefix, interpreter)
    if interpreter.version == interpreter.minor:
        return Section.partly(interpreter, "no file states the patch version"), strangers
    return Section.seen(interpreter), strangers


def _strangers(files: Files, prefix: str, interpreter: Interpreter) -> tuple[Gap, ...]:
    """A virtual environment for another Python than its base now is: its packages are not seen."""
    if read_settings(files, prefix) is None:
        return ()
    names = sorted(set(library_names(files, prefix)))
    if not names or any(name.removesuffix("t").endswith(f"n{interpreter.minor}") for name in names):
        return ()
    return (
        Gap(
            area=Area.INTERPRETER,
            subject="pyvenv.cfg",
            reason=f"made for {', '.join(names)}, but its base is now Python {interpreter.version}",
            fix="make the virtual environment again",
        ),
    )
