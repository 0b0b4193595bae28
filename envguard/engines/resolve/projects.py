"""What a ``pyproject.toml`` says that decides a lock (PEP 621, PEP 735, uv's own table)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from envguard.formats.canonical import JsonValue
from envguard.formats.toml import load
from envguard.formats.url import redacted
from envguard.model.errors import LimitError, UnreadableError, UsageError

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The tables of one ``pyproject.toml``; *source* names it for people."""

    source: str
    project: Mapping[str, Any]
    groups: Mapping[str, Any]
    uv: Mapping[str, Any]

    @classmethod
    def read(cls, data: bytes, source: str) -> "Project":
        """Raises `UnreadableError` for anything malformed."""
        document = load(data, source)
        tool = _table(document, "tool", source)
        return cls(
            source=source,
            project=_table(document, "project", source),
            groups=_table(document, "dependency-groups", source),
            uv=_table(tool, "uv", source),
        )

    @property
    def name(self) -> str | None:
        """The distribution's name as written."""
        name = self.project.get("name")
        return name if isinstance(name, str) else None

    def oldest_python(self) -> str | None:
        """The lower bound of ``requires-python``: ``3.11`` of ``>=3.11,<4``."""
        from packaging.specifiers import InvalidSpecifier, SpecifierSet
        from packaging.version import Version

        try:
            specifiers = SpecifierSet(self.project.get("requires-python") or "")
        except (InvalidSpecifier, TypeError, AttributeError) as error:
            raise UnreadableError(f"requires-python: {error}", where=self.source) from error
        bounds = [
            specifier.version.removesuffix(".*")
            for specifier in specifiers
            if specifier.operator in (">=", "~=", "==")
        ]
        oldest = max(bounds, key=Version, default="")
        return match[0] if (match := _VERSION.match(oldest)) else None

    def group_requirements(self, groups: Iterable[str]) -> tuple[str, ...]:
        """What *groups* ask for, with the groups that they include (PEP 735)."""
        from packaging.dependency_groups import resolve_dependency_groups

        try:
            return resolve_dependency_groups(self.groups, *groups)
        except ExceptionGroup as error:
            reasons = "; ".join(redacted(str(cause)) for cause in error.exceptions)
            raise UsageError(f"dependency groups: {reasons}", where=self.source) from error

    def meaning(self, extras: Iterable[str], groups: Iterable[str]) -> JsonValue:
        """All that decides a lock of this project with *extras* and *groups*.

        Raises `UsageError` for an extra or group that is not there, or for dependencies that
        only running the project's code would tell.
        """
        if "dependencies" in _list(self.project.get("dynamic")):
            raise UsageError(
                "its dependencies are dynamic: only running its code would tell them",
                where=self.source,
                hint="list them in [project] dependencies, or in a requirements.in",
            )
        extras = tuple(extras)
        self._check(extras)
        decisive = {
            "requires-python": self.project.get("requires-python"),
            "dependencies": self.project.get("dependencies", []),
            "optional-dependencies": self._optional if extras else None,
            "groups": [*self.group_requirements(groups)],
            "uv": self.uv,
        }
        try:
            return _json(decisive)
        except RecursionError as error:
            raise LimitError("is nested too deeply", where=self.source) from error

    @property
    def _optional(self) -> Mapping[str, Any]:
        return _table(self.project, "optional-dependencies", self.source)

    def _check(self, extras: tuple[str, ...]) -> None:
        from packaging.utils import canonicalize_name

        known = {canonicalize_name(extra) for extra in self._optional}
        if unknown := [extra for extra in extras if canonicalize_name(extra) not in known]:
            raise UsageError(
                f"has no extra {' and no extra '.join(unknown)}",
                where=self.source,
                expected=", ".join(sorted(known)) or "none: it has no extras",
            )


def _table(document: Mapping[str, Any], key: str, source: str) -> Mapping[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, Mapping):
        raise UnreadableError(f"{key} is no table", where=source)
    return table


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _json(value: object) -> JsonValue:
    """A TOML value as JSON; numbers and dates become text, URLs lose their credentials."""
    match value:
        case None | bool():
            return value
        case Mapping():
            return {key: _json(item) for key, item in value.items()}
        case list():
            return [_json(item) for item in value]
        case _:
            return redacted(str(value))
