"""The inputs of a lock: what they say, whether they changed, and which name they suggest.

`Inputs.digest` is over what the inputs say, not over their bytes: a comment, a blank line or an
unrelated table of a ``pyproject.toml`` makes no lock stale. No digest is over a credential.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from envguard.engines.resolve.projects import Project
from envguard.formats.canonical import JsonValue, dumps
from envguard.formats.requirements import Requirements, parse
from envguard.formats.requirements_model import Direct, is_url
from envguard.model.digest import Digest
from envguard.model.errors import LimitError, UnreadableError, UsageError

PROJECT_FILE = "pyproject.toml"
MAX_BYTES = 64 << 20
_SAYS_NOTHING = frozenset({"requirements", "requirement", "pyproject", "deps", "dependencies"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """*meaning* is all that the inputs say, *name* what to call their lock, *python* the oldest
    Python that the projects among them allow.
    """

    meaning: JsonValue
    name: str
    python: str | None

    def digest(self, options: Mapping[str, JsonValue]) -> Digest:
        """The digest of the inputs together with the *options* that decide the lock."""
        schema = "envguard.lock-inputs/1"
        stated: JsonValue = {"schema": schema, "inputs": self.meaning, "options": dict(options)}
        return Digest.of(dumps(stated))


def read_inputs(
    inputs: Sequence[Path],
    *,
    constraints: Iterable[Path] = (),
    extras: Sequence[str] = (),
    groups: Sequence[str] = (),
) -> Inputs:
    """Read the *inputs* of a lock (at least one) and everything that they include.

    Raises `UsageError` for what is no input or names an unknown extra or group, and
    `UnreadableError` naming all problems of a file.
    """
    for path in inputs:
        _check_kind(path)
    projects = {path: read_project(path) for path in inputs if path.name == PROJECT_FILE}
    if (extras or groups) and not projects:
        raise UsageError("extras and groups are those of a project", expected=PROJECT_FILE)
    meanings: list[JsonValue] = [
        projects[path].meaning(extras, groups) if path in projects else _requirements(path)
        for path in inputs
    ]
    meanings += (_requirements(path, is_constraint=True) for path in constraints)
    floors = (project.oldest_python() for project in projects.values())
    return Inputs(
        meaning=meanings,
        name=lock_name(inputs[0]),
        python=max((floor for floor in floors if floor), key=_numbers, default=None),
    )


def lock_name(path: Path) -> str:
    """What to call the lock of an input.

    Its stem where that says something (``training`` of training.in), else the name of the project
    in the same folder, else the folder's name; with ``-`` for all that PEP 751 does not allow in
    ``pylock.<name>.toml``.
    """
    if path.stem.lower() not in _SAYS_NOTHING:
        return _as_name(path.stem)
    beside = path.parent / PROJECT_FILE
    project = read_project(beside).name if beside.is_file() else None
    return _as_name(project or path.resolve().parent.name)


def read_project(path: Path) -> Project:
    """The project that a ``pyproject.toml`` describes."""
    return Project.read(read_file(str(path)), str(path))


def read_file(path: str) -> bytes:
    """A file that an input includes. Raises `UnreadableError`, also for what is no local file."""
    if is_url(path):
        raise UnreadableError("is not on this machine, so its lock could not be repeated")
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableError(error.strerror or "cannot be read", where=path) from error
    if len(data) > MAX_BYTES:
        raise LimitError("is too large", where=path, expected=f"at most {MAX_BYTES} bytes")
    return data


def _check_kind(path: Path) -> None:
    if path.is_dir():
        raise UsageError(
            "is a folder", where=str(path), hint=f"name a file in it: {path / PROJECT_FILE}"
        )
    if not path.is_file():
        raise UsageError("there is no such file", where=str(path))
    if path.name != PROJECT_FILE and path.suffix not in (".in", ".txt"):
        raise UsageError(
            "is no input of a lock", where=str(path), expected=f"{PROJECT_FILE}, *.in or *.txt"
        )


def _requirements(path: Path, *, is_constraint: bool = False) -> JsonValue:
    requirements = parse(str(path), read_file, is_constraint=is_constraint)
    return {
        "lines": [
            f"{'-c ' if getattr(line, 'is_constraint', False) else ''}{line.text}"
            for line in requirements.lines
        ],
        "projects": [project.meaning((), ()) for project in _local_projects(requirements)],
    }


def _local_projects(requirements: Requirements) -> Iterator[Project]:
    """The projects in folders that requirements name: their dependencies are part of the lock."""
    for line in requirements.lines:
        if isinstance(line, Direct) and line.is_local and line.filename is None:
            path = Path(unquote(urlsplit(line.url).path)) / PROJECT_FILE
            if path.is_file():
                yield read_project(path)


def _as_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "default"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
