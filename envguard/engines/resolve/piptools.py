"""pip-tools as a resolver: ``pip-compile`` chooses versions, uv hashes what it chose.

pip-compile resolves with pip itself, so for the Python and platform that it runs on and no
other: the lock is limited to them. (Its own ``--generate-hashes`` downloads every archive.)
"""

import importlib.util
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from envguard.engines.resolve.inputs import PROJECT_FILE, read_file, read_project
from envguard.engines.resolve.program import run
from envguard.engines.resolve.request import Request, Resolution
from envguard.engines.resolve.uv import compile_document
from envguard.formats.requirements import parse
from envguard.model.errors import UsageError
from envguard.model.lock import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class PipTools:
    """Resolves with the pip-tools and pip of the Python that runs envguard."""

    def resolve(self, request: Request) -> Resolution:
        """See `envguard.engines.resolve.request.Resolver`."""
        _check(request)
        with tempfile.TemporaryDirectory(prefix="envguard-lock-") as name:
            folder = Path(name).resolve()
            pins, output = folder / "pins.txt", folder / "pylock.toml"
            if request.existing is not None:
                pins.write_text(_known_versions(request.existing))
            _pip_compile(request, pins, _group_file(request, folder))
            pinned = replace(request, inputs=(pins,), constraints=(), extras=(), groups=())
            compile_document(
                replace(pinned, existing=None, upgrade_packages=()), output, "--no-deps"
            )
            return Resolution(
                document=output.read_bytes(), made_in=str(folder), environments=(_here(),)
            )


def _check(request: Request) -> None:
    """Refuse what pip-compile cannot do."""
    problems = []
    if importlib.util.find_spec("piptools") is None:
        raise UsageError("pip-tools is not installed", hint="pip install pip-tools")
    if request.platforms:
        problems.append("limits to platforms: it resolves for the one that it runs on")
    if request.python != _running_python():
        problems.append(f"Python {request.python}: it resolves for the one that runs it")
    problems += () if request.allow_build else _builds(request)
    if problems:
        raise UsageError(
            "pip-tools cannot do " + "; ".join(problems),
            hint="use the resolver uv, or --allow-build for what must be built",
        )


def _builds(request: Request) -> Iterator[str]:
    """The inputs that pip could only understand by running their build."""
    for path in request.inputs:
        if path.name != PROJECT_FILE:
            for line in parse(str(path), read_file).direct:
                if not (line.filename or "").endswith(".whl"):
                    yield f"{line.place} without running its build"


def _group_file(request: Request, folder: Path) -> list[Path]:
    """The chosen dependency groups as an input: pip-compile knows none."""
    projects = [read_project(path) for path in request.inputs if path.name == PROJECT_FILE]
    lines = [line for project in projects for line in project.group_requirements(request.groups)]
    if not lines:
        return []
    path = folder / "groups.in"
    path.write_text("\n".join(lines))
    return [path]


def _pip_compile(request: Request, pins: Path, more: list[Path]) -> None:
    arguments = [*_options(request, pins), "--", *map(str, (*request.inputs, *more))]
    run(
        [sys.executable, "-m", "piptools", "compile", *arguments],
        # The working directory is no place to import modules from, for pip neither.
        environment={"PYTHONSAFEPATH": "1"},
        name="pip-compile",
        where=", ".join(map(str, request.inputs)),
    )


def _options(request: Request, pins: Path) -> Iterator[str]:
    yield from ("--quiet", "--no-header", "--no-annotate", "--strip-extras", "--allow-unsafe")
    yield from ("--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links")
    yield from ("--no-emit-options", f"--output-file={pins}", "--no-config")
    builds = "" if request.allow_build else " --only-binary=:all:"
    yield f"--pip-args=--no-input{builds}"
    yield from (f"--upgrade-package={name}" for name in request.upgrade_packages)
    yield from (f"--constraint={path}" for path in request.constraints)
    yield from (f"--extra={name}" for name in request.extras)
    if request.exclude_newer:
        yield f"--uploaded-prior-to={request.exclude_newer}"
    if request.upgrade:
        yield "--upgrade"


def _known_versions(lock: Lock) -> str:
    packages = (entry.package for entry in lock.entries if entry.package.version)
    return "".join(f"{p.name}=={p.version}\n" for p in packages)


def _running_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _here() -> str:
    return (
        f"python_version == '{_running_python()}' and sys_platform == '{sys.platform}'"
        f" and platform_machine == '{platform.machine()}'"
    )
