"""What an ELF object asks of the system that loads it, read from the segments the loader reads.

Section headers are for linkers, can be stripped and can lie; here only program headers and the
dynamic segment count, as they do for the dynamic loader. A few kilobytes are read, wherever they
lie in the object.

Source: System V ABI, "Object Files" and "Dynamic Linking"; LSB Core, "Symbol Versioning".
"""

import io
import struct
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, NamedTuple

from envguard.model.errors import LimitError, UnreadableError

_MAGIC = b"\x7fELF"
_MACHINES = {
    (3, "<"): "i686",
    (20, ">"): "ppc",
    (21, "<"): "ppc64le",
    (21, ">"): "ppc64",
    (22, ">"): "s390x",
    (40, "<"): "armv7l",
    (62, "<"): "x86_64",
    (183, "<"): "aarch64",
    (243, "<"): "riscv64",
    (258, "<"): "loongarch64",
}
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3
_NULL, _NEEDED, _STRTAB, _SONAME, _RPATH, _RUNPATH = 0, 1, 5, 14, 15, 29
_VERDEF, _VERDEF_COUNT = 0x6FFFFFFC, 0x6FFFFFFD
_VERNEED, _VERNEED_COUNT = 0x6FFFFFFE, 0x6FFFFFFF
_BASE_VERSION, _WEAK_VERSION = 1, 2

_MAX_SEGMENTS = 256
_MAX_DYNAMIC = 256 << 10
_MAX_STRING = 4096
_MAX_TEXT = 4 << 20
_MAX_VERSIONS = 65_536
_MAX_OBJECT = 16 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """One object. *machine* as in wheel tags (``x86_64``), *bits* 32 or 64.

    *interpreter* is the loader that an executable asks for; *rpath* and *runpath* are search
    folders as written (``$ORIGIN/../lib``); *requires* maps a needed library to the symbol
    versions that it must define (weak ones, which the loader does not insist on, left out);
    *provides* are the symbol versions that the object itself defines.
    """

    machine: str
    bits: int
    interpreter: str | None = None
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    requires: Mapping[str, tuple[str, ...]]
    provides: tuple[str, ...] = ()

    def fits(self, other: "Elf") -> bool:
        """Whether both can be loaded into one process."""
        return (self.machine, self.bits) == (other.machine, other.bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageObject:
    """An object that *package* installs; *path* is for people and ends in its file name."""

    package: str
    path: str
    elf: Elf

    @property
    def names(self) -> frozenset[str]:
        """The names that a ``DT_NEEDED`` can find the object by."""
        return frozenset({self.path.rpartition("/")[2], self.elf.soname or ""} - {""})


def read_elf(stream: IO[bytes], source: str) -> Elf | None:
    """The object in *stream*, which stands at its start; ``None`` when it is no ELF file.

    A stream without cheap random access (a pipe, a compressed member) is spooled first.
    Raises `UnreadableError` when the object contradicts itself or is cut and `LimitError` when
    it passes a limit, both naming *source*.
    """
    try:
        magic = stream.read(len(_MAGIC))
        if magic != _MAGIC:
            return None
        if _seeks_cheaply(stream):
            return _Reader(stream, source).read()
        with tempfile.SpooledTemporaryFile(max_size=64 << 20) as spool:
            spool.write(magic)
            _copy(stream, spool, source)
            return _Reader(spool, source).read()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}", where=source) from error


def _seeks_cheaply(stream: IO[bytes]) -> bool:
    """A compressed member can seek too, by inflating from its start each time: not cheap."""
    cheap = (io.BytesIO, io.FileIO, io.BufferedReader, io.BufferedRandom)
    return isinstance(stream, cheap) and stream.seekable()


def _copy(stream: IO[bytes], spool: IO[bytes], source: str) -> None:
    size = 0
    while chunk := stream.read(1 << 20):
        size += len(chunk)
        if size > _MAX_OBJECT:
            raise LimitError("object is too large", where=source, expected=f"{_MAX_OBJECT} bytes")
        spool.write(chunk)


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    length: int


class _Reader:
    """Reads one object; every offset and count in it is taken for a claim."""

    def __init__(self, stream: IO[bytes], source: str) -> None:
        self._stream = stream
        self._source = source
        self._order = "<"
        self._wide = True
        self._segments: list[_Segment] = []
        self._dynamic: dict[int, list[int]] = {}
        self._strings: dict[int, str] = {}
        self._versions = 0
        self._text = 0

    def read(self) -> Elf:
        machine = self._read_header()
        self._read_dynamic()
        return Elf(
            machine=machine,
            bits=64 if self._wide else 32,
            interpreter=self._interpreter(),
            soname=next(iter(self._names(_SONAME)), None),
            needed=self._names(_NEEDED),
            rpath=_folders(self._names(_RPATH)),
            runpath=_folders(self._names(_RUNPATH)),
            requires=self._requires(),
            provides=self._provides(),
        )

    def _read_header(self) -> str:
        """Byte order, width, machine and program headers."""
        ident = self._bytes(0, 16)
        orders, widths = {1: "<", 2: ">"}, {1: False, 2: True}
        if ident[4] not in widths or ident[5] not in orders or ident[6] != 1:
            raise self._broken("unknown class, byte order or version")
        self._wide, self._order = widths[ident[4]], orders[ident[5]]
        _, number = self._unpack("HH", 16)
        table, _, _, _, size, count = self._unpack(
            "QQIHHH" if self._wide else "IIIHHH", 32 if self._wide else 28
        )
        if count > _MAX_SEGMENTS:
            raise self._too_many("program headers", count, _MAX_SEGMENTS)
        layout = "IIQQQQQQ" if self._wide else "IIIIIIII"
        if count and size != self._size(layout):
            raise self._broken(f"program headers of {size} bytes")
        for index in range(count):
            fields = self._unpack(layout, table + index * size)
            if self._wide:
                kind, _, offset, address, _, length, _, _ = fields
            else:
                kind, offset, address, _, length, _, _, _ = fields
            self._segments.append(_Segment(kind, offset, address, length))
        return _MACHINES.get((number, self._order), f"machine {number}")

    def _interpreter(self) -> str | None:
        for segment in self._segments:
            if segment.kind == _INTERP:
                return self._string(segment.offset)
        return None

    def _read_dynamic(self) -> None:
        """The dynamic segment's entries by tag, up to ``DT_NULL``; an executable may have none."""
        layout = "qQ" if self._wide else "iI"
        for segment in self._segments:
            if segment.kind != _DYNAMIC:
                continue
            if segment.length > _MAX_DYNAMIC:
                raise self._too_many("bytes in the dynamic segment", segment.length, _MAX_DYNAMIC)
            size = self._size(layout)
            data = self._bytes(segment.offset, segment.length - segment.length % size)
            for tag, value in struct.iter_unpack(self._order + layout, data):
                if tag == _NULL:
                    return
                self._dynamic.setdefault(tag, []).append(value)

    def _names(self, tag: int) -> tuple[str, ...]:
        return tuple(self._dynamic_string(offset) for offset in self._dynamic.get(tag, ()))

    def _requires(self) -> dict[str, tuple[str, ...]]:
        """``Elfxx_Verneed``: for each library a list of ``Elfxx_Vernaux``."""
        requires: dict[str, list[str]] = {}
        for start, (_, count, file, auxiliary, _) in self._chain(_VERNEED, _VERNEED_COUNT, "HHIII"):
            versions = requires.setdefault(self._dynamic_string(file), [])
            for _, (_, flags, _, name, _) in self._linked(start + auxiliary, count, "IHHII"):
                if not flags & _WEAK_VERSION:
                    versions.append(self._dynamic_string(name))
        return {library: tuple(sorted(set(names))) for library, names in requires.items()}

    def _provides(self) -> tuple[str, ...]:
        """``Elfxx_Verdef``: the first ``Elfxx_Verdaux`` of each names the version."""
        return tuple(
            self._dynamic_string(self._unpack("I", start + auxiliary)[0])
            for start, (_, flags, _, _, _, auxiliary, _) in self._chain(
                _VERDEF, _VERDEF_COUNT, "HHHHIII"
            )
            if not flags & _BASE_VERSION
        )

    def _chain(self, table: int, count: int, layout: str) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The records of the table whose address and count are in the dynamic segment."""
        if table in self._dynamic:
            start = self._offset(self._dynamic[table][0])
            yield from self._linked(start, self._dynamic.get(count, [0])[0], layout)

    def _linked(self, start: int, count: int, layout: str) -> Iterator[tuple[int, tuple[int, ...]]]:
        """*count* records, each of which ends in the distance to the next."""
        for _ in range(count):
            self._versions += 1
            if self._versions > _MAX_VERSIONS:
                raise self._too_many("symbol versions", self._versions, _MAX_VERSIONS)
            record = self._unpack(layout, start)
            yield start, record
            if not record[-1]:
                return
            start += record[-1]

    def _dynamic_string(self, offset: int) -> str:
        if offset not in self._strings:
            if _STRTAB not in self._dynamic:
                raise self._broken("names without a string table")
            table = self._dynamic[_STRTAB][0]
            self._strings[offset] = self._string(self._offset(table + offset))
        return self._strings[offset]

    def _offset(self, address: int) -> int:
        """Where in the file the loader would map *address* from."""
        for segment in self._segments:
            distance = address - segment.address
            if segment.kind == _LOAD and 0 <= distance < segment.length:
                return segment.offset + distance
        raise self._broken(f"address {address:#x} is in no segment")

    def _string(self, offset: int) -> str:
        self._stream.seek(min(offset, _MAX_OBJECT))
        data, end, _ = self._stream.read(_MAX_STRING).partition(b"\0")
        if not end:
            raise self._broken(f"a name at {offset:#x} does not end")
        self._text += len(data)
        if self._text > _MAX_TEXT:
            raise self._too_many("bytes of names", self._text, _MAX_TEXT)
        return data.decode("utf-8", "backslashreplace")

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        return struct.unpack(self._order + layout, self._bytes(offset, self._size(layout)))

    def _size(self, layout: str) -> int:
        return struct.calcsize(self._order + layout)

    def _bytes(self, offset: int, size: int) -> bytes:
        self._stream.seek(min(offset, _MAX_OBJECT))
        data = self._stream.read(size)
        if len(data) < size:
            raise self._broken(f"{size} bytes at {offset:#x} are not there")
        return data

    def _broken(self, problem: str) -> UnreadableError:
        return UnreadableError(
            f"is no sound ELF object: {problem}",
            where=self._source,
            hint="the file is damaged: fetch or build its package again",
        )

    def _too_many(self, what: str, found: int, limit: int) -> LimitError:
        return LimitError(
            f"has too many {what}",
            where=self._source,
            expected=f"at most {limit}",
            found=f"{found}",
        )


def _folders(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(folder for path in paths for folder in path.split(":") if folder)
