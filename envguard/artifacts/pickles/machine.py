"""Runs the opcodes of one pickle, as the loader would, up to its STOP."""

from collections.abc import Mapping

from envguard.artifacts.pickles import containers, literals, objects
from envguard.artifacts.pickles.loader import Handler, Loader, Opcode, Opcodes
from envguard.artifacts.pickles.symbols import Symbol
from envguard.model.errors import LimitError

_STOP = ord(".")
_NEWEST = 5


def run(loader: Loader, opcodes: Opcodes, limit: int) -> Symbol:
    """Run to STOP and give what the pickle stands for; the source is left just behind it.

    Raises `UnreadableError` where the loader fails or loaders differ, and `LimitError` when the
    count in *loader* (of *limit* in all) runs out.
    """
    handlers = [opcodes[code].run if code in opcodes else _UNKNOWN[code] for code in range(256)]
    seen = bytearray(256)
    try:
        for code, _ in zip(loader.source.each_byte(), loader.opcodes, strict=False):
            if code == _STOP:
                _finish(loader, opcodes, seen)
                return loader.stack.pop()
            seen[code] = 1
            handlers[code](loader)
    except IndexError as error:
        # Every pop is from the part of the stack that the loader may use: an empty one raises.
        raise loader.source.damaged("an opcode finds too little on the stack") from error
    except ValueError as error:
        raise loader.source.damaged(f"an argument is malformed: {error}") from error
    raise LimitError(
        "the pickle has too many opcodes",
        where=f"{loader.source.path}@{loader.source.offset}",
        expected=f"at most {limit:,}",
        hint="for a model that is really this large: --limit opcodes=N",
    )


def _finish(loader: Loader, opcodes: Opcodes, seen: bytearray) -> None:
    loader.source.end_frame()
    used = (opcodes[code].protocol for code in range(256) if seen[code])
    loader.facts.protocol = max(loader.facts.protocol, *used, 0)


def _unknown(code: int) -> Handler:
    def refuse(loader: Loader) -> None:
        raise loader.source.damaged(
            "it has an unknown opcode", expected="one of protocol 0 to 5", found=f"0x{code:02x}"
        )

    return refuse


def _proto(loader: Loader) -> None:
    protocol = loader.source.byte()
    if protocol > _NEWEST:
        raise loader.source.damaged(
            "it claims an unknown protocol", expected="0 to 5", found=str(protocol)
        )
    loader.protocol = protocol
    loader.facts.protocol = max(loader.facts.protocol, protocol)


def _frame(loader: Loader) -> None:
    loader.source.begin_frame(loader.source.number(8))


_UNKNOWN = [_unknown(code) for code in range(256)]
_FRAMING: dict[bytes, tuple[int, Handler]] = {b"\x80": (2, _proto), b"\x95": (4, _frame)}

PLAIN: Mapping[int, Opcode] = {
    **literals.OPCODES,
    **containers.OPCODES,
    **objects.OPCODES,
    **{code[0]: Opcode(*opcode) for code, opcode in _FRAMING.items()},
}
"""The instructions of ``pickle.load``, but for STOP."""
