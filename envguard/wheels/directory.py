"""The central directory of a zip archive: the list of its members, and the records that end it.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.12 to 4.3.16 and 4.5 (named beside the code below).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from envguard.model.errors import LimitError
from envguard.wheels.file import File

_END = struct.Struct("<4s4H2LH")  # 4.3.16
_LOCATOR64 = struct.Struct("<4sLQL")  # 4.3.15
_END64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_CENTRAL = struct.Struct("<4s6H3L5H2L")  # 4.3.12

ALL16, ALL32 = 0xFFFF, 0xFFFFFFFF
"""The values that stand for "see the zip64 record"."""
UTF8 = 0x0800
"""Flag bit 11: the name is UTF-8."""
ZIP64_EXTRA, UNICODE_PATH_EXTRA = 0x0001, 0x7075

_NEWEST = 63
"""The version of the specification (6.3) above which readers give up (4.4.3)."""
_MEMBER_LIMIT = 1_000_000
_DIRECTORY_LIMIT = 256 << 20


class Broken(ValueError):
    """What is wrong with one record; whoever reads the archive says which archive."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies and how many members it lists."""

    offset: int
    size: int
    count: int


@dataclass(slots=True)
class Entry:
    """One header of the central directory with its zip64 values resolved.

    *header* is the offset of the local header; *data* that of the raw data, known once the local
    header has been read.
    """

    name: bytes
    path: str
    flags: int
    method: int
    crc32: int
    compressed_size: int
    size: int
    mode: int
    header: int
    data: int = 0

    @property
    def is_folder(self) -> bool:
        """Whether the name says that it is a folder; readers go by nothing else."""
        return self.name.endswith(b"/")

    def __str__(self) -> str:
        return f"{self.path!r} (at {self.header})"


def find_directory(file: File) -> Directory:
    """Read the end records (4.3.14 to 4.3.16), which must be the last bytes of the file."""
    at = file.size - _END.size
    tail = file.at(at, _END.size) if at >= 0 else b""
    if tail[:4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        start = max(0, at - ALL16)
        if b"PK\5\6" in file.at(start, file.size - start):
            raise Broken("has a comment or other data behind its end record")
        raise Broken("is no zip archive: it has no end record")
    stated: tuple[int, ...] = _END.unpack(tail)[1:7]
    if locator := _zip64_locator(file, at):
        at, stated = _zip64_end(file, locator, at - _LOCATOR64.size, stated)
    elif ALL16 in stated[:4] or ALL32 in stated[4:]:
        raise Broken("says that it has a zip64 end record and has none")
    disk, first_disk, here, count, size, offset = stated
    if disk or first_disk or here != count:
        raise Broken("is one part of a split archive")
    if offset + size != at:
        raise Broken(
            f"has a central directory of {size} bytes at {offset} that does not end at {at}, "
            "where the end record begins"
        )
    return Directory(offset, size, count)


def _zip64_locator(file: File, end: int) -> bytes | None:
    at = end - _LOCATOR64.size
    data = file.at(at, _LOCATOR64.size) if at >= 0 else b""
    return data if data[:4] == b"PK\6\7" else None


def _zip64_end(
    file: File, locator: bytes, locator_at: int, stated: tuple[int, ...]
) -> tuple[int, tuple[int, ...]]:
    """The offset of the zip64 end record, and its values, which must not contradict *stated*."""
    _, disk, at, disks = _LOCATOR64.unpack(locator)
    if disk or disks > 1 or at < 0 or at != locator_at - _END64.size:
        raise Broken("has a zip64 locator that does not point at the record before it")
    record = file.at(at, _END64.size)
    signature, size, _, _, *values = _END64.unpack(record)
    if signature != b"PK\6\6" or size != _END64.size - 12:
        raise Broken(f"has a damaged zip64 end record at {at}")
    sentinels = (ALL16, ALL16, ALL16, ALL16, ALL32, ALL32)
    for old, new, sentinel in zip(stated, values, sentinels, strict=True):
        if old not in (new, sentinel):
            raise Broken(f"has end records that disagree: {old} and, in zip64, {new}")
    return at, tuple(values)


def read_directory(file: File, directory: Directory) -> Iterator[Entry]:
    """Every header of the central directory, which must fill it exactly."""
    if directory.count > _MEMBER_LIMIT or directory.size > _DIRECTORY_LIMIT:
        raise LimitError(
            "has too many members",
            where=file.source,
            expected=f"at most {_MEMBER_LIMIT} members in {_DIRECTORY_LIMIT} bytes",
            found=f"{directory.count} members in {directory.size} bytes",
        )
    data = file.at(directory.offset, directory.size)
    position = 0
    for _ in range(directory.count):
        entry, position = _read_entry(data, position, directory.offset)
        yield entry
    if position != len(data):
        raise Broken(f"has {len(data) - position} unused bytes in its central directory")


def _read_entry(data: bytes, at: int, base: int) -> tuple[Entry, int]:
    """The central header at *at* in *data* and the position behind it (4.3.12)."""
    if len(data) - at < _CENTRAL.size or data[at : at + 4] != b"PK\1\2":
        raise Broken(f"has no central header at {base + at}")
    (_, _, needed, flags, method, _, _, crc, compressed, size, name_size, extra_size, comment_size,
     disk, _, external, header) = _CENTRAL.unpack_from(data, at)  # fmt: skip
    name_at = at + _CENTRAL.size
    extra_at = name_at + name_size
    end = extra_at + extra_size + comment_size
    if end > len(data):
        raise Broken(f"has a torn central header at {base + at}")
    name = data[name_at:extra_at]
    path = _path(name, flags, base + at)
    try:
        extra = extra_fields(data[extra_at : extra_at + extra_size])
        size, compressed, header = _resolved(extra, size, compressed, header)
        check_unicode_path(extra, name)
        if disk:
            raise Broken("lies in another part")
        if needed & 0xFF > _NEWEST:
            raise Broken("needs a reader newer than any")
    except Broken as error:
        raise Broken(f"{path!r} (central header at {base + at}) {error}") from error
    mode = external >> 16
    return Entry(name, path, flags, method, crc, compressed, size, mode, header), end


def _path(name: bytes, flags: int, at: int) -> str:
    """The name as text; refuses what readers decode by different code pages (appendix D)."""
    try:
        path = name.decode()
    except UnicodeDecodeError as error:
        raise Broken(f"has a name that is not UTF-8 in the central header at {at}") from error
    if not flags & UTF8 and not name.isascii():
        raise Broken(f"{path!r} (central header at {at}) is not marked as UTF-8")
    return path


def extra_fields(data: bytes) -> dict[int, bytes]:
    """The extra fields by header ID (4.5.1)."""
    fields: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        if len(data) - position < 4:
            raise Broken("has a torn extra field")
        kind, size = struct.unpack_from("<2H", data, position)
        position += 4 + size
        if position > len(data):
            raise Broken("has a torn extra field")
        if kind in fields and kind in (ZIP64_EXTRA, UNICODE_PATH_EXTRA):
            raise Broken(f"has the extra field {kind:#06x} twice")
        fields[kind] = data[position - size : position]
    return fields


def _resolved(extra: dict[int, bytes], *values: int) -> list[int]:
    """*values* with each sentinel replaced, in order, from the zip64 extra field (4.5.3)."""
    data = extra.get(ZIP64_EXTRA)
    wanted = values.count(ALL32)
    if data is None and not wanted:
        return list(values)
    if data is None or len(data) != 8 * wanted:
        raise Broken("has a zip64 extra field that does not hold the values it should")
    large = iter(struct.unpack(f"<{wanted}Q", data))
    return [next(large) if value == ALL32 else value for value in values]


def check_unicode_path(extra: dict[int, bytes], name: bytes) -> None:
    """Refuse an Info-ZIP Unicode path that renames the member for some readers (4.6.9)."""
    field = extra.get(UNICODE_PATH_EXTRA)
    if field is not None and field[5:] != name:
        raise Broken("has a second name in a Unicode path extra field")
