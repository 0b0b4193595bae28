"""What stands for an object while a pickle is read: only what a later opcode could ask for.

Numbers, short texts, small tuples and ``None`` stand for themselves. A dict keeps the few keys
that matter (`KEPT_KEYS`). Everything else is one of the classes here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

KEPT_TEXT = 256
"""The longest text that is kept, in bytes: longer ones name no module."""

KEPT_ITEMS = 64
"""The longest tuple that is kept: more than an array has dimensions."""


class Opaque(Enum):
    """Something of which only the sort matters."""

    THING = "neither text nor tuple, and not callable: bytes, a float, a list, an array"
    TEXT = "a text that is too long to keep, or in an unknown encoding"
    TUPLE = "a tuple that is too long to keep"
    COMPUTED = "could be anything: made outside the pickle"


class Role(Enum):
    """What a global does to the reading of a pickle."""

    ORDINARY = "nothing"
    CONSTRUCTOR = "makes a bare instance of its first argument, a class"
    CONVERTER = "keeps the content of its first argument"
    GETATTR = "gives an attribute of its first argument"
    DTYPE = "the type of an array's elements"
    ARRAY = "joblib's wrapper, which the bytes of an array follow"
    OLD_ARRAY = "the wrapper of joblib before 0.10, which reads a second file"


@dataclass(slots=True, eq=False)
class Global:
    """A module's attribute as the loader asks for it; *offset* is of the first opcode to ask."""

    module: str
    name: str
    role: Role
    offset: int
    instance: "Made" = field(init=False)
    """Stands for all instances of an ordinary class: nothing tells them apart."""

    def __post_init__(self) -> None:
        self.instance = Made(self)


@dataclass(slots=True, eq=False)
class Made:
    """What a call made. *arguments* is ``None`` for an instance made without its initialiser.

    Arguments and state are kept only for `Role.DTYPE` and `Role.ARRAY`.
    """

    of: Global
    arguments: "Symbol" = None
    state: "Symbol" = None


@dataclass(frozen=True, slots=True)
class Stamped:
    """Long bytes or a long text in which versions are stated, by distribution."""

    versions: Mapping[str, str]


Symbol: TypeAlias = (
    "int | str | tuple[Symbol, ...] | dict[str, Symbol] | Global | Made | Stamped | Opaque | None"
)
