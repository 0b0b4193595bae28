"""Makers and checkers of pickles: what a real load asks for, real models, and hostile streams."""

import io
import pickle
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
from joblib import numpy_pickle, numpy_pickle_utils

if TYPE_CHECKING:

    class _PythonUnpickler(pickle.Unpickler):
        proto: int
else:
    _PythonUnpickler = pickle._Unpickler


def traced_load(data: bytes, **options: Any) -> tuple[Any, set[tuple[str, str]]]:
    """What ``pickle.load`` gives, and the globals (as renamed) that it asks for."""
    asked: set[tuple[str, str]] = set()

    class Traced(_PythonUnpickler):
        def find_class(self, module: str, name: str) -> Any:
            asked.add(renamed(module, name, self.proto))
            return super().find_class(module, name)

    return Traced(io.BytesIO(data), **options).load(), asked


def traced_joblib_load(path: Path) -> tuple[Any, set[tuple[str, str]]]:
    """What ``joblib.load`` gives, and the globals that it asks for."""
    asked: set[tuple[str, str]] = set()

    class Traced(numpy_pickle.NumpyUnpickler):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            asked.add(renamed(module, name, self.proto))
            return super().find_class(module, name)

    with (
        path.open("rb") as stream,
        numpy_pickle_utils._validate_fileobject_and_memmap(stream, str(path), None) as (inner, _),
    ):
        return Traced(str(path), inner, ensure_native_byte_order=True).load(), asked


def asked_for(data: bytes) -> set[tuple[str, str]] | None:
    """The globals that a load of hostile *data* asks for; each is given as something harmless.

    ``None`` when the loader refuses *data*.
    """
    asked: set[tuple[str, str]] = set()

    class Harmless(_PythonUnpickler):
        def find_class(self, module: str, name: str) -> Any:
            asked.add(renamed(module, name, self.proto))
            return _Anything

        def persistent_load(self, pid: Any) -> Any:
            return _Anything()

    try:
        Harmless(io.BytesIO(data)).load()
    except Exception:  # noqa: BLE001 - broken pickles raise anything
        return None
    return asked


class _Anything:
    """Takes every argument, item and state."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def add(self, value: Any) -> None:
        pass


def renamed(module: str, name: str, protocol: int) -> tuple[str, str]:
    """As `pickle.Unpickler.find_class` renames what Python 2 wrote."""
    import _compat_pickle

    if protocol < 3:
        if (module, name) in _compat_pickle.NAME_MAPPING:
            return _compat_pickle.NAME_MAPPING[module, name]
        module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    return module, name


def joblib_file(path: Path, value: object, **options: Any) -> Path:
    """*value* as ``joblib.dump`` writes it."""
    joblib.dump(value, path, **options)
    return path


def short_text(text: str) -> bytes:
    """The opcode that pushes *text* (SHORT_BINUNICODE)."""
    raw = text.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def stack_global(module: str, name: str) -> bytes:
    """The opcodes that push a global by way of the stack."""
    return short_text(module) + short_text(name) + b"\x93"


def hostile() -> dict[str, tuple[bytes, set[tuple[str, str]]]]:
    """Streams that hide a global from a reader who only lists opcodes, with what they ask for."""
    system = {("os", "system")}
    call = short_text("true") + b"\x85R."
    return {
        "plain": (b"\x80\x04" + stack_global("os", "system") + call, system),
        "protocol 0 without PROTO": (b"cos\nsystem\n(S'true'\ntR.", system),
        "inst": (b"(S'true'\nios\nsystem\n.", system),
        "obj": (b"(cos\nsystem\nX\x04\0\0\0trueo.", system),
        "renamed module": (b"\x80\x02c__builtin__\neval\n\x8c\x011\x85R.", {("builtins", "eval")}),
        "not renamed": (b"\x80\x03c__builtin__\neval\n.", {("__builtin__", "eval")}),
        "protocol changes on the way": (
            b"\x80\x02ccopy_reg\n_reconstructor\n0\x80\x04" + stack_global("copy_reg", "x") + b".",
            {("copyreg", "_reconstructor"), ("copy_reg", "x")},
        ),
        "by memo": (
            b"\x80\x04\x8c\x02os\x940\x8c\x06system\x940h\x00h\x01\x93" + call,
            system,
        ),
        "memo overwritten": (
            b"\x80\x04\x8c\x04jsonq\x00\x8c\x02osq\x0000h\x00\x8c\x06system\x93" + call,
            system,
        ),
        "memoize counts places": (
            b"\x80\x04\x8c\x04jsonq\x05\x8c\x02os\x9400h\x01\x8c\x06system\x93" + call,
            system,
        ),
        "long memo text": (
            b"\x80\x04\x8c\x02osp4000000000\n0g4000000000\n\x8c\x06system\x93" + call,
            system,
        ),
        "dup": (b"\x80\x04\x8c\x02os2\x8c\x04jsn\x000\x8c\x06system\x93" + call, system),
        "pop and marks": (
            b"\x80\x04(\x8c\x04json1\x8c\x02os(0\x8c\x06system(\x8c\x01x1\x93" + call,
            system,
        ),
        "names in a tuple that goes": (
            b"\x80\x04\x8c\x02os\x8c\x06system\x8c\x04json\x8c\x05loads\x860\x93" + call,
            system,
        ),
        "number in base 0": (b"I0x10\n0\x80\x04" + stack_global("os", "system") + call, system),
        "bool text": (b"I01\n0cos\nsystem\n.", system),
        "long with L": (b"L0x10L\n0cos\nsystem\n.", system),
        "escaped string": (b"S'o\\x73'\nS'sys\\164em'\n\x93.", system),
        "unicode text": (b"V\\u006fs\nVsystem\n\x93.", system),
        "old strings": (b"U\x02osT\x06\0\0\0system\x93.", system),
        "long forms": (
            b"\x80\x04X\x02\0\0\0os\x8d\x06\0\0\0\0\0\0\0system\x93" + call,
            system,
        ),
        "dotted": (
            b"\x80\x04" + stack_global("json", "codecs.sys.modules") + b".",
            {("json", "codecs.sys.modules")},
        ),
        "nested calls": (
            b"\x80\x04"
            + stack_global("builtins", "map")
            + stack_global("os", "system")
            + b"]\x86R.",
            {("builtins", "map"), ("os", "system")},
        ),
        "in a state": (
            b"\x80\x04"
            + stack_global("builtins", "Exception")
            + b")\x81}\x8c\x01a"
            + stack_global("os", "system")
            + b"sb.",
            {("builtins", "Exception"), ("os", "system")},
        ),
        "things under STOP": (b"\x80\x04K\x01(K\x02" + stack_global("os", "system") + b".", system),
        "framed": (framed(b"\x8c\x02os\x8c\x06system\x93."), system),
        "two frames": (
            b"\x80\x04" + frame(b"\x8c\x02os") + frame(b"\x8c\x06system\x93."),
            system,
        ),
        "frame ends between arguments": (
            b"\x80\x04" + frame(b"cos\n") + b"system\n.",
            system,
        ),
        "empty frame": (b"\x80\x04" + frame(b"") + b"cos\nsystem\n.", system),
    }


def frame(body: bytes) -> bytes:
    """*body* in a frame."""
    return b"\x95" + struct.pack("<Q", len(body)) + body


def framed(body: bytes) -> bytes:
    """A pickle of protocol 4 in one frame."""
    return b"\x80\x04" + frame(body)


def broken() -> dict[str, bytes]:
    """Streams that loaders refuse or understand differently."""
    print_call = b"cbuiltins\nprint\nV!\n\x85R"
    return {
        "nothing": b"\x80\x04",
        "no stop": b"\x80\x04N",
        "only stop": b"\x80\x04.",
        "bytes after stop": b"\x80\x04N.cos\nsystem\n.",
        "unknown opcode": b"\x80\x04N\xff.",
        "unknown protocol": b"\x80\x04\x80\x06N.",
        "frame crossed by an argument": (
            b"\x80\x05N(" + frame(b"B\x07") + b"\x01\0\0\0\0" + print_call + b"1."
        ),
        "frame crossed by a line": b"\x80\x04" + frame(b"cos") + b"\nsystem\n.",
        "frame inside a frame": b"\x80\x04\x95" + struct.pack("<Q", 20) + frame(b"N.") + b"N" * 9,
        "frame longer than the file": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
        "rest of a frame after stop": b"\x80\x04" + frame(b"N.cos\nsystem\n."),
        "memo of nothing": b"\x80\x04h\x07.",
        "negative memo": b"\x80\x04Np-1\n.",
        "mark missing": b"\x80\x04Nt.",
        "pop of nothing": b"\x80\x040N.",
        "stack fenced by a mark": b"\x80\x04\x8c\x02os(\x8c\x06system\x93.",
        "tuple beyond a mark": b"\x80\x04N(N\x86.",
        "append to nothing": b"\x80\x04Na.",
        "odd dict": b"\x80\x04(Nd.",
        "global of numbers": b"\x80\x04K\x01K\x02\x93.",
        "global of bytes": b"\x80\x04C\x02os\x8c\x06system\x93.",
        "global of nothing": b"\x80\x04\x8c\x00\x8c\x01x\x93.",
        "call of a number": b"\x80\x04K\x01)R.",
        "call with a list": b"\x80\x04cos\nsystem\n]R.",
        "state of a number": b"\x80\x04K\x01}b.",
        "item of a number": b"\x80\x04K\x01NNs.",
        "number in no base": b"\x80\x04I0z1\n.",
        "number that is octal only in C": b"\x80\x04I010\n.",
        "float in no form": b"\x80\x04Fx\n.",
        "string without quotes": b"\x80\x04Sx\n.",
        "broken escape": b"\x80\x04S'\\x1'\n.",
        "text that is no utf-8": b"\x80\x04\x8c\x01\xff.",
        "long text that is no utf-8": b"\x80\x04X" + struct.pack("<I", 999) + b"\xff" * 999 + b".",
        "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", (1 << 63) - 1) + b".",
        "impossible bytes": b"\x80\x04\x8e" + b"\xff" * 8 + b".",
        "huge text": b"\x80\x04X\xff\xff\xff\xff.",
        "negative long": b"\x80\x04\x8b\xff\xff\xff\xff.",
        "extension 0": b"\x80\x04\x82\x00.",
        "object of nothing": b"\x80\x04(o.",
    }


def unforeseeable() -> dict[str, bytes]:
    """Streams that do what no reader can follow, each in a way that loaders accept."""
    return {
        "extension": b"\x80\x04\x82\x01.",
        "extension 2": b"\x80\x04\x83\x01\x00.",
        "extension 4": b"\x80\x04\x84\x01\0\0\0.",
        "persistent": b"\x80\x04K\x01Q.",
        "persistent text": b"Pabc\n.",
        "buffer": b"\x80\x05\x97\x98.",
        "computed module": (
            b"\x80\x04" + stack_global("builtins", "str") + b"\x8c\x02os\x85R\x8c\x06system\x93."
        ),
        "overlong name": b"\x80\x04X" + struct.pack("<I", 300) + b"a" * 300 + b"\x8c\x01x\x93.",
        "computed call": b"\x80\x04" + stack_global("m", "f") + b")R)R.",
        "computed class": b"\x80\x04" + stack_global("m", "f") + b")R)\x81.",
        "global changed by items": b"\x80\x04" + stack_global("sys", "modules") + b"\x8c\x01aNs.",
        "global changed by a state": b"\x80\x04" + stack_global("sys", "x") + b"}\x8c\x01aNsb.",
        "another pickle": b"\x80\x04" + stack_global("pickle", "loads") + b"C\x02N.\x85R.",
        "another pickle by C": b"\x80\x02c_pickle\nloads\nU\x02N.\x85R.",
        "another pickle of Python 2": b"\x80\x02ccPickle\nloads\nU\x02N.\x85R.",
        "another joblib file": b"\x80\x04" + stack_global("joblib", "load") + b"\x8c\x01f\x85R.",
        "another dill": b"\x80\x04" + stack_global("dill._dill", "loads") + b"C\x02N.\x85R.",
        "code": b"\x80\x04" + stack_global("builtins", "exec") + b"\x8c\x01x\x85R.",
        "dotted name before protocol 4": b"\x80\x02cjson\ncodecs.open\n.",
        "arrays in further files": (
            b"\x80\x04"
            + stack_global("joblib.numpy_pickle", "NDArrayWrapper")
            + b")\x81}\x8c\x08filename\x8c\x01fsb."
        ),
    }
