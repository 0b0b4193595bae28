"""JSON documents of the image specification: read strictly, written canonically.

Two readers must not be able to see two documents in the same bytes, so what is ambiguous is
refused: a key that is there twice, and a key that differs from a known one in case only (Go's
decoder takes it, others do not).
"""

import json
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar, cast

from envguard.model.digest import Digest
from envguard.model.errors import LimitError, UnreadableError

T = TypeVar("T")


def encode(document: Mapping[str, object], *, required: Collection[str] = ()) -> bytes:
    """*document* as canonical JSON: sorted keys, no spaces, UTF-8.

    Empty values are left out but for those of *required* keys.
    """
    kept = {key: value for key, value in document.items() if value or key in required}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def decode(data: bytes, *, source: str, limit: int) -> dict[str, object]:
    """The JSON object in *data*. Raises `UnreadableError`; `LimitError` above *limit* bytes."""
    document = _decoded(data, source, limit)
    if not isinstance(document, dict):
        raise UnreadableError("is no JSON object", where=source)
    return document


def decode_list(data: bytes, *, source: str, limit: int) -> list[object]:
    """The JSON list in *data*; raises as `decode` does."""
    document = _decoded(data, source, limit)
    if not isinstance(document, list):
        raise UnreadableError("is no JSON list", where=source)
    return document


def _decoded(data: bytes, source: str, limit: int) -> object:
    if len(data) > limit:
        raise LimitError(
            "document is too large",
            where=source,
            expected=f"at most {limit} bytes",
            found=f"{len(data)} bytes",
        )
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"is no valid JSON document: {error}", where=source) from error


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"key {', '.join(twice)} is there twice")
    return found


class Fields:
    """The fields of one JSON object; notes what is wrong with them, to be raised all at once."""

    def __init__(
        self,
        document: Mapping[str, object],
        source: str,
        *,
        known: Collection[str],
        problems: list[str] | None = None,
        at: str = "",
    ) -> None:
        self.document = document
        self._source = source
        self._at = at
        self.problems = [] if problems is None else problems
        folded = {name.casefold(): name for name in known}
        for name in document:
            if name not in known and name.casefold() in folded:
                self.problem(name, f"looks like {folded[name.casefold()]} in another case")

    def problem(self, name: str, text: str) -> None:
        """Note that the field *name* is wrong."""
        self.problems.append(f"{self._at}{name} {text}")

    def raise_problems(self) -> None:
        """Raise `UnreadableError` naming everything noted so far."""
        if self.problems:
            raise UnreadableError("; ".join(self.problems), where=self._source)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.document.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        """A string; required where there is no *default*."""
        return self._typed(name, str, "a string", "" if default is None else default, default)

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number, not negative."""
        value = self._typed(name, int, "a whole number", default or 0, default)
        if isinstance(value, bool) or not 0 <= value < 1 << 63:
            self.problem(name, "must be a whole number, not negative")
            return 0
        return value

    def truth(self, name: str) -> bool:
        """True or false; false where absent."""
        return self._typed(name, bool, "true or false", False, False)

    def digest(self, name: str) -> Digest:
        """A digest; one of zeros stands in for a wrong one until the problems are raised."""
        return self._digest(name, self.text(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; empty where absent."""
        return tuple(self._list(name, str, "strings"))

    def digests(self, name: str) -> tuple[Digest, ...]:
        """A list of digests."""
        return tuple(
            self._digest(f"{name}[{index}]", text) for index, text in enumerate(self.texts(name))
        )

    def table(self, name: str) -> dict[str, str]:
        """An object whose values are strings; empty where absent."""
        value = self.raw(name)
        if not all(isinstance(item, str) for item in value.values()):
            self.problem(name, "must have strings only")
            return {}
        return cast("dict[str, str]", value)

    def raw(self, name: str) -> dict[str, object]:
        """An object as it is; empty where absent."""
        return self._typed(name, dict, "an object", {}, {})

    def nested(self, name: str, read: "Callable[[Fields], T]", *, known: Collection[str]) -> T:
        """What *read* makes of the object *name*; of an empty one where absent."""
        return read(self._inner(self.raw(name), f"{name}.", known))

    def objects(
        self, name: str, read: "Callable[[Fields], T]", *, known: Collection[str]
    ) -> tuple[T, ...]:
        """What *read* makes of every object of a list; nothing where absent."""
        return tuple(
            read(self._inner(item, f"{name}[{index}].", known))
            for index, item in enumerate(self._list(name, dict, "objects"))
        )

    def _inner(self, document: Mapping[str, object], at: str, known: Collection[str]) -> "Fields":
        return Fields(document, self._source, known=known, problems=self.problems, at=self._at + at)

    def _list(self, name: str, kind: type[T], text: str) -> list[T]:
        empty: list[object] = []
        values = self._typed(name, list, "a list", empty, empty)
        if not all(isinstance(value, kind) for value in values):
            self.problem(name, f"must be a list of {text}")
            return []
        return cast("list[T]", values)

    def _typed(self, name: str, kind: type[T], text: str, broken: T, default: T | None) -> T:
        value = self.document.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, kind):
            self.problem(name, "is missing" if value is None else f"must be {text}")
            return broken
        return value

    def _digest(self, name: str, text: str) -> Digest:
        try:
            return Digest.parse(text)
        except ValueError:
            self.problem(name, f"must be a digest, not {text[:80]!r}")
            return Digest("sha256", "0" * 64)
