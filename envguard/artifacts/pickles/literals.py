"""Opcodes that push a value written in the pickle itself."""

import codecs
import re
from collections.abc import Callable, Iterator

from envguard.artifacts.pickles import stated_versions
from envguard.artifacts.pickles.loader import Handler, Loader, Opcode
from envguard.artifacts.pickles.symbols import KEPT_TEXT, Opaque, Stamped, Symbol

_WORTH_SEARCHING = 64  # bytes: no content that states a version is shorter
_KEPT_LONG = 16  # bytes of an integer: shapes and sizes are smaller


def _constant(value: Symbol) -> Handler:
    def push(loader: Loader) -> None:
        loader.stack.append(value)

    return push


def _binint1(loader: Loader) -> None:
    loader.stack.append(loader.source.byte())


def _binint2(loader: Loader) -> None:
    loader.stack.append(loader.source.number(2))


def _binint(loader: Loader) -> None:
    loader.stack.append(int.from_bytes(loader.source.take(4), "little", signed=True))


def _int(loader: Loader) -> None:
    """INT: a number in base 0 (``0x10`` counts), or the booleans of protocol 1."""
    text = loader.source.line()
    loader.stack.append({b"00": False, b"01": True}.get(text, _number(text)))


def _long(loader: Loader) -> None:
    """LONG: a number in base 0, with or without the L of Python 2."""
    loader.stack.append(_number(loader.source.line().removesuffix(b"L")))


def _number(text: bytes) -> int:
    # The loader in C reads "010" as octal and stops at NUL; the one in Python refuses both.
    return 0 if text in (b"00", b"01") else int(text, 0)


def _counted_long(size: int) -> Handler:
    """LONG1, LONG4: a counted little-endian number in two's complement."""

    def push(loader: Loader) -> None:
        length = _length(loader, size, signed=size == 4)
        if length <= _KEPT_LONG:
            loader.stack.append(int.from_bytes(loader.source.take(length), "little", signed=True))
            return
        for _ in loader.source.pieces(length):
            pass
        loader.stack.append(Opaque.THING)

    return push


def _float(loader: Loader) -> None:
    float(loader.source.line())
    loader.stack.append(Opaque.THING)


def _binfloat(loader: Loader) -> None:
    loader.source.take(8)
    loader.stack.append(Opaque.THING)


def _counted_bytes(size: int) -> Handler:
    """SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8."""

    def push(loader: Loader) -> None:
        length = _length(loader, size)
        if length < _WORTH_SEARCHING:
            loader.source.take(length)
            loader.stack.append(Opaque.THING)
        else:
            loader.stack.append(_searched(loader.source.pieces(length), Opaque.THING))

    return push


def _short_text(loader: Loader) -> None:
    """SHORT_BINUNICODE."""
    source = loader.source
    loader.stack.append(source.take(source.byte()).decode("utf-8", "surrogatepass"))


def _counted_text(size: int) -> Handler:
    """BINUNICODE, BINUNICODE8."""

    def push(loader: Loader) -> None:
        source = loader.source
        length = _length(loader, size)
        if length <= KEPT_TEXT:
            loader.stack.append(source.take(length).decode("utf-8", "surrogatepass"))
        else:
            loader.stack.append(_searched(_valid(source.pieces(length)), Opaque.TEXT))

    return push


def _valid(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pass *pieces* on while they are the UTF-8 that the loader accepts."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
    for piece in pieces:
        decoder.decode(piece)
        yield piece
    decoder.decode(b"", final=True)


def _searched(pieces: Iterator[bytes], otherwise: Opaque) -> Symbol:
    versions = stated_versions.in_content(pieces)
    return Stamped(versions) if versions else otherwise


def _counted_string(size: int) -> Handler:
    """SHORT_BINSTRING, BINSTRING: a string of Python 2; the length is signed."""

    def push(loader: Loader) -> None:
        length = _length(loader, size, signed=size == 4)
        if length <= KEPT_TEXT:
            loader.stack.append(_from_python_2(loader.source.take(length)))
        else:
            loader.stack.append(_searched(loader.source.pieces(length), Opaque.TEXT))

    return push


def _from_python_2(raw: bytes) -> Symbol:
    # Text for most callers of the loader; what it says beyond ASCII, or whether it stays bytes,
    # is decided by the caller's `encoding`.
    return raw.decode("ascii") if raw.isascii() else Opaque.TEXT


def _length(loader: Loader, size: int, *, signed: bool = False) -> int:
    length = int.from_bytes(loader.source.take(size), "little", signed=signed)
    if not 0 <= length < 1 << 63:
        raise loader.source.damaged("a length is out of range", found=str(length))
    return length


def _string(loader: Loader) -> None:
    """STRING: a quoted string of Python 2 with escapes."""
    line = loader.source.long_line(KEPT_TEXT)
    if len(line) > KEPT_TEXT:
        loader.stack.append(Opaque.TEXT)
        return
    if len(line) < 2 or line[0] != line[-1] or line[0] not in b"\"'":
        raise loader.source.damaged("a STRING is not quoted")
    loader.stack.append(_from_python_2(_ESCAPE.sub(_unescaped, line[1:-1])))


_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.|\Z)", re.DOTALL)
_ESCAPED = dict(zip(b"\\'\"abfnrtv", b"\\'\"\a\b\f\n\r\t\v", strict=True))


def _unescaped(match: re.Match[bytes]) -> bytes:
    """One escape of a bytes literal, as ``codecs.escape_decode`` reads it."""
    escape = match[1]
    if escape[:1].isdigit() and escape[0] < ord("8"):
        return bytes([int(escape, 8) & 0xFF])
    if len(escape) == 3:
        return bytes.fromhex(escape[1:].decode())
    if escape in (b"", b"x"):
        raise ValueError("a STRING has a broken escape")
    return bytes([_ESCAPED[escape[0]]]) if escape[0] in _ESCAPED else match[0]


def _unicode(loader: Loader) -> None:
    line = loader.source.long_line(KEPT_TEXT)
    if len(line) > KEPT_TEXT:
        loader.stack.append(Opaque.TEXT)
    else:
        loader.stack.append(line.decode("raw-unicode-escape"))


def _empty_dict(loader: Loader) -> None:
    loader.stack.append({})


def _table(rows: list[tuple[bytes, int, Callable[[Loader], None]]]) -> dict[int, Opcode]:
    return {code[0]: Opcode(protocol, run) for code, protocol, run in rows}


OPCODES = _table(
    [
        (b"N", 0, _constant(None)),
        (b"I", 0, _int),
        (b"L", 0, _long),
        (b"F", 0, _float),
        (b"S", 0, _string),
        (b"V", 0, _unicode),
        (b"J", 1, _binint),
        (b"K", 1, _binint1),
        (b"M", 1, _binint2),
        (b"G", 1, _binfloat),
        (b"T", 1, _counted_string(4)),
        (b"U", 1, _counted_string(1)),
        (b"X", 1, _counted_text(4)),
        (b")", 1, _constant(())),
        (b"]", 1, _constant(Opaque.THING)),
        (b"}", 1, _empty_dict),
        (b"\x88", 2, _constant(True)),
        (b"\x89", 2, _constant(False)),
        (b"\x8a", 2, _counted_long(1)),
        (b"\x8b", 2, _counted_long(4)),
        (b"B", 3, _counted_bytes(4)),
        (b"C", 3, _counted_bytes(1)),
        (b"\x8c", 4, _short_text),
        (b"\x8d", 4, _counted_text(8)),
        (b"\x8e", 4, _counted_bytes(8)),
        (b"\x8f", 4, _constant(Opaque.THING)),
        (b"\x96", 5, _counted_bytes(8)),
    ]
)
"""EMPTY_LIST and EMPTY_SET are here too: their items are never asked for."""
