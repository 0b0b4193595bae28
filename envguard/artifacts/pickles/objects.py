"""Opcodes that ask for globals, call them, and set the state of what was made."""

from collections.abc import Iterator

from envguard.artifacts.pickles import names, standard_library, stated_versions
from envguard.artifacts.pickles.loader import Handler, Loader, Opcode
from envguard.artifacts.pickles.symbols import Global, Made, Opaque, Role, Stamped, Symbol

_FOLLOWED = (Role.DTYPE, Role.ARRAY, Role.OLD_ARRAY)


def _global(loader: Loader) -> None:
    loader.stack.append(_named_by_lines(loader, "utf-8"))


def _named_by_lines(loader: Loader, encoding: str) -> Global:
    offset = loader.source.offset - 1
    module = loader.source.line().decode(encoding)
    name = loader.source.line().decode(encoding)
    return loader.look_up(module, name, offset)


def _stack_global(loader: Loader) -> None:
    offset = loader.source.offset - 1
    name = loader.stack.pop()
    module = loader.stack.pop()
    match module, name:
        case str(), str():
            loader.stack.append(loader.look_up(module, name, offset))
        case _ if not (_perhaps_text(module) and _perhaps_text(name)):
            raise loader.source.damaged("STACK_GLOBAL finds something that is no text")
        case _:
            loader.gap("asks for a global whose name is computed when this is loaded", offset)
            loader.stack.append(Opaque.COMPUTED)


def _perhaps_text(symbol: Symbol) -> bool:
    return isinstance(symbol, (str, Made, Stamped)) or symbol in (Opaque.TEXT, Opaque.COMPUTED)


def _extension(size: int) -> Handler:
    """EXT1, EXT2, EXT4: a global by a number that only the loading program knows."""

    def push(loader: Loader) -> None:
        offset = loader.source.offset - 1
        number = int.from_bytes(loader.source.take(size), "little", signed=size == 4)
        if number <= 0:
            raise loader.source.damaged("an extension's number is not above 0", found=str(number))
        loader.gap(f"asks for extension {number}, which only the loading program knows", offset)
        loader.stack.append(Opaque.COMPUTED)

    return push


def _persistent_text(loader: Loader) -> None:
    loader.source.long_line(0)
    _persistent(loader)


def _persistent_from_stack(loader: Loader) -> None:
    loader.stack.pop()
    _persistent(loader)


def _persistent(loader: Loader) -> None:
    loader.gap("asks the loading program for objects that are not in the pickle")
    loader.stack.append(Opaque.COMPUTED)


def _next_buffer(loader: Loader) -> None:
    loader.gap("asks the loading program for buffers that are not in the pickle")
    loader.stack.append(Opaque.COMPUTED)


def _readonly_buffer(loader: Loader) -> None:
    loader.stack[-1] = loader.stack[-1]


def _reduce(loader: Loader) -> None:
    arguments = loader.stack.pop()
    target = loader.stack.pop()
    loader.stack.append(_called(loader, target, arguments))


def _newobj(loader: Loader) -> None:
    arguments = loader.stack.pop()
    target = loader.stack.pop()
    loader.stack.append(_instance(loader, target, arguments))


def _newobj_ex(loader: Loader) -> None:
    keywords = loader.stack.pop()
    arguments = loader.stack.pop()
    target = loader.stack.pop()
    if not isinstance(keywords, (dict, Made)) and keywords is not Opaque.COMPUTED:
        raise loader.source.damaged("NEWOBJ_EX finds keywords that are no dict")
    made = _instance(loader, target, arguments)
    if isinstance(made, Made) and made.of.role in _FOLLOWED:
        made.arguments = Opaque.TUPLE
    loader.stack.append(made)


def _inst(loader: Loader) -> None:
    arguments = loader.pop_mark()
    target = _named_by_lines(loader, "ascii")
    loader.stack.append(_instantiated(loader, target, arguments))


def _obj(loader: Loader) -> None:
    target, *arguments = loader.pop_mark() or _nothing()
    loader.stack.append(_instantiated(loader, target, arguments))


def _nothing() -> list[Symbol]:
    raise IndexError


def _instantiated(loader: Loader, target: Symbol, arguments: list[Symbol]) -> Symbol:
    """``_instantiate``: without arguments a class is not called, its instance is made bare."""
    if arguments:
        return _called(loader, target, tuple(arguments))
    return _instance(loader, target, ())


def _called(loader: Loader, target: Symbol, arguments: Symbol) -> Symbol:
    """What ``target(*arguments)`` gives."""
    _check_arguments(loader, arguments)
    if not isinstance(target, Global):
        return _computed_call(loader, target)
    _check_call(loader, target, arguments)
    first: Symbol = Opaque.COMPUTED
    if isinstance(arguments, tuple):
        first = arguments[0] if arguments else None
    match target.role:
        case Role.CONSTRUCTOR:
            return _constructed(loader, target, arguments, first)
        case Role.CONVERTER if isinstance(first, Stamped):
            return first
        case Role.GETATTR:
            return _attribute(loader, target, arguments)
        case Role.DTYPE | Role.ARRAY | Role.OLD_ARRAY:
            return Made(target, arguments)
        case _:
            return target.instance


def _check_call(loader: Loader, target: Global, arguments: Symbol) -> None:
    """Note a call that may do anything; see `standard_library`."""
    count = len(arguments) if isinstance(arguments, tuple) else None
    reason = standard_library.unseen_call(target.module, target.name, count)
    if reason and not names.hidden(target.module, target.name):
        loader.gap(reason)


def _constructed(loader: Loader, constructor: Global, arguments: Symbol, class_: Symbol) -> Symbol:
    """What ``copyreg``'s functions give.

    ``_reconstructor(class, base, state)`` calls the base's ``__new__`` and ``__init__``.
    """
    if constructor.name == "_reconstructor":
        match arguments:
            case (_, Global() as base, *_):
                _check_call(loader, base, None)
            case _:
                _computed_call(loader, Opaque.COMPUTED)
    return _instance(loader, class_, ())


def _attribute(loader: Loader, getattr_: Global, arguments: Symbol) -> Symbol:
    """What ``getattr(*arguments)`` gives: a global again, or something computed.

    Methods of objects are written like this. Attributes of attributes are no methods: through them
    everything can be reached.
    """
    match arguments:
        case (Global() as of, str(name)) if name and "." not in name:
            return loader.attribute(of, name)
        case (Made(of=of), _) if of.role is Role.GETATTR:
            loader.gap("takes an attribute of something that is computed when this is loaded")
        case (_, str()):
            pass
        case _:
            loader.gap("takes an attribute whose name is computed when this is loaded")
    return getattr_.instance


def _instance(loader: Loader, target: Symbol, arguments: Symbol) -> Symbol:
    """What ``target.__new__(target, *arguments)`` gives."""
    _check_arguments(loader, arguments)
    if not isinstance(target, Global):
        return _computed_call(loader, target)
    _check_call(loader, target, arguments)
    if target.role in _FOLLOWED:
        return Made(target, arguments or None)
    return target.instance


def _check_arguments(loader: Loader, arguments: Symbol) -> None:
    # The loader in Python takes any iterable here, the one in C only a tuple.
    if not isinstance(arguments, (tuple, Made)) and arguments not in (
        Opaque.TUPLE,
        Opaque.COMPUTED,
    ):
        raise loader.source.damaged("the arguments of a call are no tuple")


def _computed_call(loader: Loader, target: Symbol) -> Symbol:
    if not isinstance(target, Made) and target is not Opaque.COMPUTED:
        raise loader.source.damaged("it calls something that cannot be called")
    loader.gap("calls something that is itself computed when this is loaded")
    return Opaque.COMPUTED


def build(loader: Loader) -> None:
    """BUILD: give a state to the last thing made."""
    state = loader.stack.pop()
    match loader.stack[-1]:
        case Made(of=of) if of.role is Role.GETATTR:
            loader.gap("changes something that is itself computed when this is loaded")
        case Made() as made:
            _set_state(loader, made, state)
        case Global() as changed:
            loader.gap(f"{changed.module}.{changed.name} itself is changed when this is loaded")
        case Opaque.COMPUTED:
            pass
        case _:
            raise loader.source.damaged("a state is given to something that takes none")


def _set_state(loader: Loader, made: Made, state: Symbol) -> None:
    if made.of.role in _FOLLOWED:
        # A second state would be merged in ways that depend on the class: not followed.
        made.state = state if made.state is None else Opaque.COMPUTED
        return
    for items in _dicts(state) if state else ():
        _note_versions(loader, made.of.module.partition(".")[0], items)


def _dicts(state: Symbol) -> Iterator[dict[str, Symbol]]:
    """A state is a dict, or a pair of one for ``__dict__`` and one for slots (PEP 307)."""
    for part in state if isinstance(state, tuple) else (state,):
        if isinstance(part, dict) and part:
            yield part


def _note_versions(loader: Loader, package: str, items: dict[str, Symbol]) -> None:
    texts = {key: value for key, value in items.items() if isinstance(value, str)}
    for distribution, version in stated_versions.in_state(package, texts):
        loader.stated(distribution, version)
    for key, value in items.items():
        if isinstance(value, Stamped):
            for distribution, version in value.versions.items():
                if stated_versions.holds_content(package, key, distribution):
                    loader.stated(distribution, version)


OPCODES = {
    code[0]: Opcode(protocol, run)
    for code, protocol, run in [
        (b"P", 0, _persistent_text),
        (b"R", 0, _reduce),
        (b"b", 0, build),
        (b"c", 0, _global),
        (b"i", 0, _inst),
        (b"Q", 1, _persistent_from_stack),
        (b"o", 1, _obj),
        (b"\x81", 2, _newobj),
        (b"\x82", 2, _extension(1)),
        (b"\x83", 2, _extension(2)),
        (b"\x84", 2, _extension(4)),
        (b"\x92", 4, _newobj_ex),
        (b"\x93", 4, _stack_global),
        (b"\x97", 5, _next_buffer),
        (b"\x98", 5, _readonly_buffer),
    ]
}
