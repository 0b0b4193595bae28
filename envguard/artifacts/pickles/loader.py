"""The state of a pickle's loader: stacks, memo and protocol, and the facts that it meets."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from envguard.artifacts.pickles import names, stated_versions
from envguard.artifacts.pickles.source import Source
from envguard.artifacts.pickles.symbols import Global, Symbol


@dataclass(slots=True, kw_only=True)
class Facts:
    """What a file's pickles say: each fact with the offset where it was met first.

    *gaps* are by their reason, *versions* by distribution and version. *protocol* is the oldest
    that has every opcode used, and at least the one that the pickle claims.
    """

    globals: dict[tuple[str, str], Global] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)
    versions: dict[tuple[str, str], int] = field(default_factory=dict)
    protocol: int = 0
    arrays: int = 0


class Loader:
    """What ``pickle.Unpickler`` holds while it loads, with symbols in the place of objects.

    As in ``Lib/pickle.py``, *stack* holds what was pushed since the last MARK and *outer_stacks*
    what lay before each. *opcodes* counts down what may still be run; nested pickles share it.
    """

    __slots__ = ("facts", "memo", "opcodes", "outer_stacks", "protocol", "source", "stack")

    def __init__(self, source: Source, facts: Facts, opcodes: Iterator[int]) -> None:
        self.source = source
        self.facts = facts
        self.opcodes = opcodes
        self.stack: list[Symbol] = []
        self.outer_stacks: list[list[Symbol]] = []
        self.memo: dict[int, Symbol] = {}
        self.protocol = 0

    def pop_mark(self) -> list[Symbol]:
        """Everything since the last MARK, in order; the MARK goes too."""
        items = self.stack
        self.stack = self.outer_stacks.pop()
        return items

    def look_up(self, module: str, name: str, offset: int) -> Global:
        """The global that ``find_class`` would give, noted as asked for at *offset*."""
        if not module or not name:
            raise self.source.damaged("it asks for a global without a name")
        if "." in name and self.protocol < 4:
            self.gap(f"{module}.{name} is looked up as one name before protocol 4", offset)
        return self._ask(names.resolve(module, name, self.protocol), offset)

    def attribute(self, of: Global, name: str) -> Global:
        """The attribute *name* of a global, which is then asked for as well.

        Before protocol 4 this is how a class inside a class is written.
        """
        return self._ask((of.module, f"{of.name}.{name}"), self.source.offset - 1)

    def _ask(self, key: tuple[str, str], offset: int) -> Global:
        known = self.facts.globals.get(key)
        if known is None:
            known = Global(*key, names.role(*key), offset)
            self.facts.globals[key] = known
            if reason := names.hidden(*key):
                self.gap(reason, offset)
        return known

    def gap(self, reason: str, offset: int | None = None) -> None:
        """Note something that the loader does and no reader can follow."""
        self.facts.gaps.setdefault(reason, self.source.offset - 1 if offset is None else offset)

    def stated(self, distribution: str, version: str) -> None:
        """Note that *version* of *distribution* wrote this."""
        self.facts.versions.setdefault((distribution, version), self.source.offset - 1)


Handler = Callable[[Loader], None]


@dataclass(frozen=True, slots=True)
class Opcode:
    """An instruction: the protocol that introduced it, and what it does to the loader."""

    protocol: int
    run: Handler


Opcodes = Mapping[int, Opcode]
"""Instructions by their byte."""

KEPT_KEYS = stated_versions.KEPT_KEYS | {"shape", "dtype", "numpy_array_alignment_bytes"}
"""The keys of dicts that are kept: all that is ever asked of one."""
