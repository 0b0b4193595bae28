"""uv as a resolver: ``uv pip compile`` to PEP 751.

For several platforms, or none, the resolution is universal: markers decide, for the oldest Python
and all later ones. Limits to several platforms are markers in the lock's ``environments``, since
uv takes such limits from a project's own ``pyproject.toml`` alone. For one platform uv resolves
for exactly that platform and Python, so it chooses versions that have a wheel there.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from envguard.engines.resolve.inputs import PROJECT_FILE
from envguard.engines.resolve.program import run
from envguard.engines.resolve.request import Request, Resolution
from envguard.formats.pylock_document import pins
from envguard.model.errors import UsageError

_HINTS = {
    "building": "where a wheel is wanting, --allow-build lets packages run code to build it",
    "failed to fetch": "look at the network, and at the index settings of uv",
    "error sending request": "look at the network, and at the index settings of uv",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Uv:
    """Resolves with the uv that is installed beside envguard, else the one on ``PATH``."""

    def resolve(self, request: Request) -> Resolution:
        """See `envguard.engines.resolve.request.Resolver`."""
        with tempfile.TemporaryDirectory(prefix="envguard-lock-") as folder:
            # uv writes this format only to a file of this name, and keeps the versions in it.
            output = Path(folder).resolve() / "pylock.toml"
            if request.existing is not None:
                output.write_bytes(pins(request.existing))
            compile_document(request, output)
            return Resolution(
                document=output.read_bytes(),
                made_in=str(output.parent),
                environments=tuple(_environments(request)),
            )


def compile_document(request: Request, output: Path, *options: str) -> None:
    """Let uv write the lock of *request* to *output*."""
    run(
        [uv_program(), "pip", "compile", *options, *_arguments(request, output)],
        name="uv",
        where=", ".join(map(str, request.inputs)),
        hints=_HINTS,
    )


def uv_program() -> str:
    """The path of uv. Raises `UsageError` when there is none."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise UsageError("uv is not installed", hint="pip install uv")
    return found


def _arguments(request: Request, output: Path) -> Iterator[str]:
    yield from ("--quiet", "--color=never", "--no-header", "--no-annotate")
    yield from ("--no-emit-index-url", "--no-emit-find-links", "--format=pylock.toml")
    yield from (f"--output-file={output}", f"--python={sys.executable}", "--no-python-downloads")
    yield f"--python-version={request.python}"
    match request.platforms:
        case (platform,):
            yield f"--python-platform={platform.name}"
        case _:
            yield "--universal"
    if not request.allow_build:
        yield "--no-build"
    if request.exclude_newer:
        yield f"--exclude-newer={request.exclude_newer}"
    if request.upgrade:
        yield "--upgrade"
    yield from (f"--upgrade-package={name}" for name in request.upgrade_packages)
    yield from (f"--constraints={path}" for path in request.constraints)
    yield from (f"--extra={name}" for name in request.extras)
    projects = [path for path in request.inputs if path.name == PROJECT_FILE]
    yield from (f"--group={project}:{name}" for project in projects for name in request.groups)
    yield "--"
    yield from map(str, request.inputs)


def _environments(request: Request) -> Iterator[str]:
    exact = f"python_version == '{request.python}' and " if len(request.platforms) == 1 else ""
    yield from dict.fromkeys(exact + platform.marker for platform in request.platforms)
