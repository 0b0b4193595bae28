"""Requirements files, with everything that they include.

`parse` reads pip's whole grammar without touching a disk: files come through the caller's *read*.
`to_lock` and `write` of `envguard.formats.requirements_lock` go from and to a lock.

Source: pip, "Requirements File Format"; dependency specifiers (PEP 508).
"""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

from envguard.formats.requirements_grammar import (
    GrammarError,
    ambiguous_lines,
    decode,
    logical_lines,
)
from envguard.formats.requirements_line import read_line
from envguard.formats.requirements_model import Direct, Include, Line, Named, Place
from envguard.formats.url import redacted
from envguard.model.errors import EnvguardError, LimitError, UnreadableError

MAX_BYTES = 64 << 20
"""Of all files together."""
MAX_FILES = 1000
MAX_DEPTH = 50
MAX_PROBLEMS = 20
"""How many are named; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a requirements file and the files that it includes say, in pip's order."""

    source: str
    lines: tuple[Line, ...]
    files: tuple[str, ...]
    """Every file that was read, in the order of reading; one included twice is named twice."""

    @property
    def named(self) -> tuple[Named, ...]:
        """The requirements by name, constraints left out."""
        return tuple(x for x in self.lines if isinstance(x, Named) and not x.is_constraint)

    @property
    def direct(self) -> tuple[Direct, ...]:
        """The URLs, revisions and paths, constraints left out."""
        return tuple(x for x in self.lines if isinstance(x, Direct) and not x.is_constraint)


def parse(
    source: str,
    read: Callable[[str], bytes],
    *,
    variables: Mapping[str, str] | None = None,
    is_constraint: bool = False,
) -> Requirements:
    """Read *source* and what it includes; paths are relative to the including file.

    ``${NAME}`` is expanded from *variables* alone. Raises `UnreadableError` naming every problem
    with its file and line, and `LimitError` beyond `MAX_FILES`, `MAX_DEPTH` or `MAX_BYTES`.
    """
    reader = _Reader(source=source, read=read, variables=variables or {})
    reader.file(_joined("", source), is_constraint=is_constraint, parents=(), included_at=None)
    if reader.problems:
        shown = reader.problems[:MAX_PROBLEMS]
        if rest := len(reader.problems) - len(shown):
            shown.append(f"... and {rest} more")
        raise UnreadableError(
            "cannot be read as requirements:\n" + "\n".join(f"  {problem}" for problem in shown),
            where=source,
        )
    return Requirements(source=source, lines=tuple(reader.lines), files=tuple(reader.files))


@dataclass(slots=True, kw_only=True)
class _Reader:
    """The state of one `parse`."""

    source: str
    read: Callable[[str], bytes]
    variables: Mapping[str, str]
    lines: list[Line] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    bytes_read: int = 0

    def file(
        self, path: str, *, is_constraint: bool, parents: tuple[str, ...], included_at: Place | None
    ) -> None:
        """Read one file; *parents* are those that include it."""
        shown = redacted(path)
        if path in parents:
            self.problems.append(f"{included_at}: {shown} includes itself")
            return
        if len(parents) > MAX_DEPTH:
            raise LimitError(f"includes are nested deeper than {MAX_DEPTH}", where=shown)
        text = self._text(path, included_at)
        if text is None:
            return
        for number in ambiguous_lines(text):
            self.problems.append(f"{shown}:{number}: a character that ends lines for some readers")
        for line in logical_lines(text):
            place = Place(file=shown, line=line.number)
            try:
                found = read_line(
                    line.text, place, variables=self.variables, is_constraint=is_constraint
                )
            except GrammarError as error:
                self.problems.append(f"{place}: {redacted(str(error))}")
                continue
            for item in found:
                if isinstance(item, Include):
                    self._include(item, path, parents)
                else:
                    self.lines.append(item)

    def _text(self, path: str, included_at: Place | None) -> str | None:
        """The file's text; ``None`` after noting a problem."""
        where = redacted(path) if included_at is None else f"{included_at}: {redacted(path)}"
        self.files.append(redacted(path))
        if len(self.files) > MAX_FILES:
            raise LimitError(f"includes more than {MAX_FILES} files", where=self.source)
        try:
            data = self.read(path)
            self.bytes_read += len(data)
            if self.bytes_read > MAX_BYTES:
                raise LimitError(f"more than {MAX_BYTES} bytes in all", where=self.source)
            return decode(data)
        except GrammarError as error:
            self.problems.append(f"{where}: {error}")
        except LimitError:
            raise
        except EnvguardError as error:
            self.problems.append(f"{where}: {redacted(error.message)}")
        return None

    def _include(self, include: Include, includer: str, parents: tuple[str, ...]) -> None:
        # pip: a file that a constraints file includes with -r holds requirements again.
        self.file(
            _joined(includer, include.path),
            is_constraint=include.is_constraint,
            parents=(*parents, includer),
            included_at=include.place,
        )


def _joined(includer: str, path: str) -> str:
    """*path* as the file *includer* means it."""
    if "://" in path or path.startswith("file:"):
        return path
    if "://" in includer:
        return urljoin(includer, path)
    return posixpath.normpath(posixpath.join(posixpath.dirname(includer), path))
