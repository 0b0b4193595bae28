"""A strict reader of a zip archive's members: one meaning or none.

Every byte of the file must be accounted for, in this order: local header and data of each member,
central directory, end records. What two common readers see differently is refused: a member
twice, a local header that contradicts the central directory, gaps, overlaps, data before or
behind the archive, names that depend on a code page.

Source: PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5 (named beside the code below).
"""

import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from envguard.model.errors import UnreadableError
from envguard.wheels.directory import (
    ALL32,
    UTF8,
    ZIP64_EXTRA,
    Broken,
    Directory,
    Entry,
    check_unicode_path,
    extra_fields,
    find_directory,
    read_directory,
)
from envguard.wheels.file import File

_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7
_UNREADABLE = 0x0001 | 0x0020 | 0x0040 | 0x2000  # 4.4.4: encrypted (bits 0, 6, 13) or a patch
_DESCRIPTOR = 0x0008
_COMPARED_FLAGS = _UNREADABLE | _DESCRIPTOR | UTF8
_METHODS: dict[int, Literal["stored", "deflated"]] = {0: "stored", 8: "deflated"}
_REPORTED_PROBLEMS = 20

_UNSAFE_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")
_UNSAFE_COMPONENT = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")
_LONG_COMPONENT = re.compile(r"[^/]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file in the archive. Sizes in bytes; *offset* is where its raw data begins in the file."""

    path: str
    size: int
    compressed_size: int
    crc32: int
    method: Literal["stored", "deflated"]
    offset: int
    executable: bool


def read_members(file: File) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """The files of the archive in the order of its central directory, and the folders it lists.

    Raises `UnreadableError` naming every member (with its offset) that readers could see
    differently, and `LimitError` above a million members.
    """
    try:
        directory = find_directory(file)
        entries = list(read_directory(file, directory))
    except Broken as error:
        raise UnreadableError(str(error), where=file.source) from error
    problems = [
        *_layout_problems(file, entries, directory),
        *(f"{entry} {problem}" for entry in entries for problem in _entry_problems(entry)),
        *_tree_problems(entries),
    ]
    if problems:
        more = len(problems) - _REPORTED_PROBLEMS
        tail = [f"and {more} more"] if more > 0 else []
        raise UnreadableError(
            "; ".join(problems[:_REPORTED_PROBLEMS] + tail),
            where=file.source,
            expected="a zip archive that every reader sees alike",
        )
    return (
        tuple(_member(entry) for entry in entries if not entry.is_folder),
        tuple(entry.path.removesuffix("/") for entry in entries if entry.is_folder),
    )


def _layout_problems(file: File, entries: list[Entry], directory: Directory) -> Iterator[str]:
    """Members must follow each other from the first byte to the central directory.

    Sets `Entry.data` on the way.
    """
    expected = 0
    in_file = sorted(entries, key=lambda entry: entry.header)
    ends = [entry.header for entry in in_file[1:]] + [directory.offset]
    for entry, end in zip(in_file, ends, strict=True):
        if entry.header != expected:
            relation = "overlaps what precedes it" if entry.header < expected else "follows a gap"
            yield f"{entry} {relation}: {expected} is where the last member ends"
        try:
            expected = _check_local(file, entry, end, directory.offset)
        except Broken as error:
            yield f"{entry} {error}"
            expected = end
    if expected != directory.offset:
        yield f"data between {expected} and {directory.offset} belongs to no member"


def _check_local(file: File, entry: Entry, end: int, limit: int) -> int:
    """Compare the local header (4.3.7) with the central one; returns where the member ends."""
    name_at = entry.header + _LOCAL.size
    if name_at + len(entry.name) > limit:
        raise Broken("has no room for a local header")
    head = file.at(entry.header, _LOCAL.size + len(entry.name))
    signature, _, flags, method, _, _, crc, compressed, size, name_size, extra_size = _LOCAL.unpack(
        head[: _LOCAL.size]
    )
    if signature != b"PK\3\4":
        raise Broken("has no local header")
    if name_size != len(entry.name) or head[_LOCAL.size :] != entry.name:
        raise Broken("has another name in its local header")
    if method != entry.method or (flags ^ entry.flags) & _COMPARED_FLAGS:
        raise Broken("has another method or other flags in its local header")
    entry.data = name_at + name_size + extra_size
    if entry.data + entry.compressed_size > limit:
        raise Broken("reaches into the central directory")
    if extra_size:
        extra = extra_fields(file.at(name_at + name_size, extra_size))
        check_unicode_path(extra, entry.name)
        size, compressed = _local_sizes(extra, size, compressed)
    stated, known = (crc, compressed, size), (entry.crc32, entry.compressed_size, entry.size)
    if not flags & _DESCRIPTOR:
        if stated != known:
            raise Broken(f"has other sizes or another checksum in its local header: {stated}")
        return entry.data + entry.compressed_size
    # 4.4.4, bit 3: the fields are zero here and follow the data; some writers know them already.
    if any(local not in (0, central) for local, central in zip(stated, known, strict=True)):
        raise Broken(f"has other sizes or another checksum in its local header: {stated}")
    return _behind_descriptor(file, entry, end)


def _local_sizes(extra: dict[int, bytes], size: int, compressed: int) -> list[int]:
    """Sizes of a local header; its zip64 field holds both whenever it is there (4.5.3)."""
    data = extra.get(ZIP64_EXTRA)
    if data is None:
        return [size, compressed]
    if len(data) != 16:
        raise Broken("has a damaged zip64 extra field in its local header")
    large = struct.unpack("<2Q", data)
    if any(old not in (new, ALL32) for old, new in zip((size, compressed), large, strict=True)):
        raise Broken("has two different sizes in its local header")
    return list(large)


def _behind_descriptor(file: File, entry: Entry, end: int) -> int:
    """Where the data descriptor (4.3.9) ends that must fill the room up to *end*."""
    at = entry.data + entry.compressed_size
    room = end - at
    found = file.at(at, room) if room in (12, 16, 20, 24) else b""
    sizes = (entry.compressed_size, entry.size)
    forms = ["<L2Q"] + (["<3L"] if max(sizes) <= ALL32 else [])
    known = [struct.pack(form, entry.crc32, *sizes) for form in forms]
    if found not in known + [b"PK\7\x08" + form for form in known]:
        raise Broken("has no data descriptor that agrees with the central directory")
    return end


def _entry_problems(entry: Entry) -> Iterator[str]:
    """What is wrong with one member by itself."""
    path = entry.path.removesuffix("/") if entry.is_folder else entry.path
    if _UNSAFE_CHARACTER.search(path):
        yield "has a control character or a backslash in its name"
    if _UNSAFE_COMPONENT.search(path):
        yield "is absolute or not a plain relative path"
    if _LONG_COMPONENT.search(path) and any(len(p.encode()) > 255 for p in path.split("/")):
        yield "has a name that no file system holds"
    if entry.flags & _UNREADABLE:
        yield "is encrypted or a patch"
    if entry.method not in _METHODS:
        yield f"is compressed by method {entry.method}, not stored or deflated"
    if entry.method == 0 and entry.size != entry.compressed_size:
        yield "is stored with two different sizes"
    if entry.is_folder and entry.size:
        yield "is a folder with data"
    kind = stat.S_IFMT(entry.mode)
    if not entry.is_folder and kind not in (0, stat.S_IFREG):
        yield "is a link, folder or device by its mode"


def _tree_problems(entries: list[Entry]) -> Iterator[str]:
    """Members that stand twice, or that are a file and a folder at once."""
    files = {entry.path for entry in entries if not entry.is_folder}
    seen: set[str] = set()
    parents: set[str] = set()
    for entry in entries:
        if entry.path in seen:
            yield f"{entry} is there more than once"
        seen.add(entry.path)
        parent = entry.path.rpartition("/")[0]
        while parent and parent not in parents:
            parents.add(parent)
            parent = parent.rpartition("/")[0]
    for path in sorted(files & parents):
        yield f"{path!r} is a file and a folder"


def _member(entry: Entry) -> Member:
    return Member(
        path=entry.path,
        size=entry.size,
        compressed_size=entry.compressed_size,
        crc32=entry.crc32,
        method=_METHODS[entry.method],
        offset=entry.data,
        executable=bool(entry.mode & 0o111),
    )
