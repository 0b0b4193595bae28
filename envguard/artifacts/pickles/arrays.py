"""joblib's files: the bytes of each array lie between the opcodes, behind a wrapper object.

Source: ``joblib/numpy_pickle.py``. ``NumpyUnpickler.load_build`` reads the array as soon as a
wrapper has got its state; ``NumpyArrayWrapper.read_array`` says how many bytes that are. An array
of objects is a pickle of its own, loaded by the plain loader. Since joblib 1.2 an array is
aligned by one byte that counts the padding and that many bytes 0xFF.

A file with such a wrapper is read as joblib reads it. Where ``pickle.load`` would go on behind
an unaligned array, a gap says so. Known limit: it would also run an array of objects as opcodes
of the outer pickle, with the outer memo.
"""

import math
import re
from collections.abc import Mapping

from envguard.artifacts.pickles import machine, objects
from envguard.artifacts.pickles.loader import Loader, Opcode
from envguard.artifacts.pickles.symbols import Made, Opaque, Role, Symbol

_HAS_OBJECTS = 1  # NPY_ITEM_HASOBJECT in the flags of a dtype's state
_TYPE = re.compile(r"[|<>=]?([biufcmMOSUV])(\d{1,9})")
_STATED_SIZE = "SUV"  # kinds whose element size is in the state


def run(loader: Loader, limit: int) -> Symbol:
    """`machine.run` with joblib's arrays."""

    def build(loader: Loader) -> None:
        objects.build(loader)
        made = loader.stack[-1]
        if not isinstance(made, Made):
            return
        if made.of.role is Role.ARRAY:
            loader.stack[-1] = _array(loader, made, limit)
        elif made.of.role is Role.OLD_ARRAY:
            loader.gap("reads arrays from further files (joblib before 0.10)")
            loader.stack[-1] = Opaque.COMPUTED

    opcodes: Mapping[int, Opcode] = {**machine.PLAIN, ord("b"): Opcode(0, build)}
    return machine.run(loader, opcodes, limit)


def _array(loader: Loader, wrapper: Made, limit: int) -> Symbol:
    """Pass over the array behind *wrapper* and give what joblib puts in the wrapper's place."""
    source = loader.source
    state = wrapper.state
    if wrapper.arguments is not None or not isinstance(state, dict):
        raise source.damaged("an array does not say how it is stored")
    source.end_frame()
    loader.facts.arrays += 1
    size, has_objects = _element(loader, state.get("dtype"))
    if has_objects:
        return machine.run(Loader(source, loader.facts, loader.opcodes), machine.PLAIN, limit)
    if state.get("numpy_array_alignment_bytes") is not None:
        _padding(loader)
        source.skip(size * _count(loader, state.get("shape")))
    else:
        _unaligned(loader, size * _count(loader, state.get("shape")))
    return Opaque.THING


def _unaligned(loader: Loader, size: int) -> None:
    """Pass over *size* bytes of an array as joblib before 1.2 wrote it.

    The plain loader would run them as opcodes. It stops at the first byte that is none, so only
    the first array of a file can lead it anywhere.
    """
    source = loader.source
    if size and loader.facts.arrays == 1:
        if source.byte() in machine.PLAIN:
            loader.gap("pickle.load, unlike joblib.load, would run an array's bytes as opcodes")
        size -= 1
    source.skip(size)


def _element(loader: Loader, dtype: Symbol) -> tuple[int, bool]:
    """Bytes of an element, and whether elements are objects.

    ``numpy.dtype("f8", False, True)`` gets the state ``(3, "<", None, names, fields, size,
    alignment, flags)``. numpy believes the state, so both must say the same.
    """
    match dtype:
        case Made(of=of, arguments=(str(text), *_), state=state) if of.role is Role.DTYPE:
            parts = _TYPE.fullmatch(text)
        case _:
            parts, state = None, None
    if parts is None:
        raise loader.source.damaged("an array's type of elements is not understood")
    kind, number = parts[1], int(parts[2])
    size = number * 4 if kind == "U" else number
    match state:
        case None if kind not in _STATED_SIZE:
            return size, kind == "O"
        case (int(), _, _, _, _, int(stated), _, int(flags), *_) if stated == size or (
            stated == -1 and kind not in _STATED_SIZE
        ):
            has_objects = bool(flags & _HAS_OBJECTS)
            if kind == "V" or has_objects == (kind == "O"):
                return size, has_objects
    raise loader.source.damaged("an array's type of elements contradicts itself", found=parts[0])


def _count(loader: Loader, shape: Symbol) -> int:
    """The number of elements."""
    if isinstance(shape, tuple):
        lengths = [length for length in shape if isinstance(length, int) and length >= 0]
        count = math.prod(lengths)
        if len(lengths) == len(shape) and count < 1 << 63:
            return count
    raise loader.source.damaged("an array's shape is not understood")


def _padding(loader: Loader) -> None:
    """Pass over the padding.

    It must be as joblib writes it: 0xFF is no opcode, so the plain loader, which knows nothing of
    arrays, stops here instead of running the array's bytes.
    """
    length = loader.source.byte()
    if length == 0 or loader.source.take(length) != b"\xff" * length:
        raise loader.source.damaged("the padding before an array is not as joblib writes it")
