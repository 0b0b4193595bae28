"""Opcodes that move things: marks, memo, tuples, lists, dicts and sets."""

from collections.abc import Sequence

from envguard.artifacts.pickles.loader import KEPT_KEYS, Handler, Loader, Opcode
from envguard.artifacts.pickles.symbols import KEPT_ITEMS, Global, Made, Opaque, Role, Symbol


def _mark(loader: Loader) -> None:
    loader.outer_stacks.append(loader.stack)
    loader.stack = []


def _pop(loader: Loader) -> None:
    """POP: the last thing, or the last MARK where nothing was pushed since."""
    if loader.stack:
        loader.stack.pop()
    else:
        loader.pop_mark()


def _pop_mark(loader: Loader) -> None:
    loader.pop_mark()


def _dup(loader: Loader) -> None:
    loader.stack.append(loader.stack[-1])


def _memoize(loader: Loader) -> None:
    memo = loader.memo
    memo[len(memo)] = loader.stack[-1]


def _binput(loader: Loader) -> None:
    loader.memo[loader.source.byte()] = loader.stack[-1]


def _long_binput(loader: Loader) -> None:
    loader.memo[loader.source.number(4)] = loader.stack[-1]


def _put_text(loader: Loader) -> None:
    index = int(loader.source.line())
    if index < 0:
        raise loader.source.damaged("a place in the memo is negative", found=str(index))
    loader.memo[index] = loader.stack[-1]


def _binget(loader: Loader) -> None:
    _remember(loader, loader.source.byte())


def _long_binget(loader: Loader) -> None:
    _remember(loader, loader.source.number(4))


def _get_text(loader: Loader) -> None:
    _remember(loader, int(loader.source.line()))


def _remember(loader: Loader, index: int) -> None:
    try:
        loader.stack.append(loader.memo[index])
    except KeyError:
        raise loader.source.damaged("nothing is in the memo there", found=str(index)) from None


def _tuple(loader: Loader) -> None:
    items = loader.pop_mark()
    loader.stack.append(tuple(items) if len(items) <= KEPT_ITEMS else Opaque.TUPLE)


def _short_tuple(size: int) -> Handler:
    """TUPLE1, TUPLE2, TUPLE3."""

    def pack(loader: Loader) -> None:
        stack = loader.stack
        if len(stack) < size:
            raise IndexError
        stack[-size:] = [tuple(stack[-size:])]

    return pack


def _thing_of_items(loader: Loader) -> None:
    """LIST, FROZENSET: the items are never asked for."""
    loader.pop_mark()
    loader.stack.append(Opaque.THING)


def _dict(loader: Loader) -> None:
    items = loader.pop_mark()
    made: dict[str, Symbol] = {}
    _set_items(loader, made, items)
    loader.stack.append(made)


def _append(loader: Loader) -> None:
    loader.stack.pop()
    _changeable(loader, loader.stack[-1])


def _extend(loader: Loader) -> None:
    """APPENDS, ADDITEMS."""
    loader.pop_mark()
    _changeable(loader, loader.stack[-1])


def _setitem(loader: Loader) -> None:
    value = loader.stack.pop()
    key = loader.stack.pop()
    _set_items(loader, loader.stack[-1], (key, value))


def _setitems(loader: Loader) -> None:
    items = loader.pop_mark()
    _set_items(loader, loader.stack[-1], items)


def _set_items(loader: Loader, target: Symbol, items: Sequence[Symbol]) -> None:
    if len(items) % 2:
        raise loader.source.damaged("a dict has a key without a value")
    if not isinstance(target, dict):
        _changeable(loader, target)
        return
    for index in range(0, len(items), 2):
        key = items[index]
        if isinstance(key, str) and key in KEPT_KEYS:
            target[key] = items[index + 1]


def _changeable(loader: Loader, target: Symbol) -> None:
    """Check that *target* can take items."""
    match target:
        case Global():
            loader.gap(f"{target.module}.{target.name} itself is changed when this is loaded")
        case Made(of=of) if of.role is Role.GETATTR:
            loader.gap("changes something that is itself computed when this is loaded")
        case dict() | Made() | Opaque.THING | Opaque.COMPUTED:
            pass
        case _:
            raise loader.source.damaged("items are added to something that takes none")


OPCODES = {
    code[0]: Opcode(protocol, run)
    for code, protocol, run in [
        (b"(", 0, _mark),
        (b"0", 0, _pop),
        (b"2", 0, _dup),
        (b"a", 0, _append),
        (b"d", 0, _dict),
        (b"g", 0, _get_text),
        (b"l", 0, _thing_of_items),
        (b"p", 0, _put_text),
        (b"s", 0, _setitem),
        (b"t", 0, _tuple),
        (b"1", 1, _pop_mark),
        (b"e", 1, _extend),
        (b"h", 1, _binget),
        (b"j", 1, _long_binget),
        (b"q", 1, _binput),
        (b"r", 1, _long_binput),
        (b"u", 1, _setitems),
        (b"\x85", 2, _short_tuple(1)),
        (b"\x86", 2, _short_tuple(2)),
        (b"\x87", 2, _short_tuple(3)),
        (b"\x90", 4, _extend),
        (b"\x91", 4, _thing_of_items),
        (b"\x94", 4, _memoize),
    ]
}
