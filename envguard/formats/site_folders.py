"""The folders that an interpreter imports installed packages from, without running it.

Sources: the standard library's ``site`` and ``sysconfig``, Debian's and Fedora's changes to them.
"""

import posixpath
from collections.abc import Iterator

from envguard.formats.python_prefix import (
    find_installation,
    inside,
    library_names,
    read_settings,
)
from envguard.model.errors import UnreadableError
from envguard.model.files import Files, Kind, join, read

_PTH_LIMIT = 1 << 20
_PTH_LINES = 1000


def site_folders(files: Files, prefix: str) -> tuple[str, ...]:
    """The site folders of *prefix* in the order of ``sys.path``, whether they exist or not.

    A virtual environment with ``include-system-site-packages`` goes on with its base's.
    """
    settings = read_settings(files, prefix)
    installation = find_installation(files, prefix)
    name = installation.name if installation else next(library_names(files, prefix), None)
    folders: list[str] = []
    if settings is None:
        folders += _installed(files, prefix, name) if name else ()
    else:
        folders += _below(files, prefix, name) if name else ()
        if settings.system_site_packages and installation:
            folders += _installed(files, installation.prefix, installation.name)
    return tuple(dict.fromkeys(folders))


def added_folders(files: Files, site: str, pth: str) -> tuple[str, ...]:
    """The paths that the lines of a .pth file in *site* add; lines of code add none.

    Source: the standard library's ``site``.
    """
    try:
        text = read(files, join(site, pth), limit=_PTH_LIMIT).decode("utf-8", "replace")
    except UnreadableError:
        return ()
    lines = [line.strip() for line in text.splitlines()[:_PTH_LINES]]
    paths = [line for line in lines if line and not line.startswith(("#", "import ", "import\t"))]
    return tuple(inside(posixpath.join("/", site, path)) for path in paths if "\0" not in path)


def prefix_of(site: str) -> str:
    """The prefix that *site* belongs to: ``opt/venv`` of ``opt/venv/lib/python3.11/site-packages``.

    RECORD names scripts and headers relative to it. A folder of another shape is its own prefix.
    """
    above, _, last = site.rpartition("/")
    above, _, python = above.rpartition("/")
    above, _, library = above.rpartition("/")
    if (
        last in ("site-packages", "dist-packages")
        and python.startswith(("python3", "pypy3"))
        and library in ("lib", "lib64")
    ):
        return above
    return site


def _installed(files: Files, prefix: str, name: str) -> Iterator[str]:
    """The site folders of an installation. Debian's own Python never looks at site-packages."""
    if prefix == "usr" and _is_folder(files, "usr/lib/python3/dist-packages"):
        yield f"usr/local/lib/{name}/dist-packages"
        yield "usr/lib/python3/dist-packages"
        yield f"usr/lib/{name}/dist-packages"
        return
    if prefix == "usr" and files.stat(f"usr/local/lib/{name}/os.py") is None:
        yield from _below(files, "usr/local", name)
    yield from _below(files, prefix, name)


def _below(files: Files, prefix: str, name: str) -> Iterator[str]:
    """purelib, then platlib where ``lib64`` is a folder of its own."""
    yield join(prefix, f"lib/{name}/site-packages")
    lib64 = next((entry for entry in files.scan(prefix) if entry.name == "lib64"), None)
    if lib64 is not None and lib64.kind is Kind.FOLDER:
        yield join(prefix, f"lib64/{name}/site-packages")


def _is_folder(files: Files, path: str) -> bool:
    entry = files.stat(path)
    return entry is not None and entry.kind is Kind.FOLDER
