"""A strict reader of tar streams: one pass, bounded memory, nothing is extracted.

Readers of tar disagree about what is unusual, so what two of them could see differently is
refused: links with contents, sparse files, global records that rename, bytes after the end.

Source: POSIX.1-2017 "pax"; GNU tar manual, "Basic Tar Format" (long names, binary numbers).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from envguard.model.errors import LimitError, UnreadableError

ENTRIES_LIMIT = 1_000_000
_BLOCK = 512
_PIECE = 1 << 20
_NAME_LIMIT = 64 << 10
_RECORDS_LIMIT = 1 << 20
_ZEROS = bytes(_BLOCK)
_OCTAL = b"01234567"


class TarKind(StrEnum):
    """What an entry of a tar is; ``OTHER`` is a device or a pipe."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    HARD_LINK = "hard link"
    OTHER = "other"


@dataclass(slots=True)
class TarEntry:
    """One entry. *name* and *target* are as written, undecodable bytes as surrogates.

    *offset* is where the contents begin in the stream.
    """

    name: str
    kind: TarKind
    size: int
    mode: int
    target: str
    offset: int


_KINDS = {
    b"0": TarKind.FILE,
    b"\0": TarKind.FILE,
    b"7": TarKind.FILE,
    b"1": TarKind.HARD_LINK,
    b"2": TarKind.LINK,
    b"3": TarKind.OTHER,
    b"4": TarKind.OTHER,
    b"5": TarKind.FOLDER,
    b"6": TarKind.OTHER,
}


class TarReader:
    """Iterates over the entries of *stream*; `contents` reads the current one.

    What is not read of an entry is passed over, by seeking where *seekable*. After the last
    entry the stream has been read to its end. Raises `UnreadableError` for what is no tar, is cut
    off, or is ambiguous, and `LimitError` for too many entries.
    """

    def __init__(self, stream: BinaryIO, *, where: str, seekable: bool = False) -> None:
        self._stream = stream
        self._where = where
        self._seekable = seekable
        self._position = 0
        self._left = 0
        self._count = 0

    def __iter__(self) -> Iterator[TarEntry]:
        while (entry := self._next()) is not None:
            self._left = entry.size if entry.kind is TarKind.FILE else 0
            padding = -self._left % _BLOCK
            yield entry
            self._skip(self._left)
            self._skip(padding)
        self._check_rest()

    def contents(self) -> Iterator[bytes]:
        """The bytes of the current entry, in pieces of at most 1 MiB."""
        while self._left:
            data = self._read(min(_PIECE, self._left))
            self._left -= len(data)
            yield data

    def _next(self) -> TarEntry | None:
        """The next entry with the long names and records before it; ``None`` at the end."""
        extended: dict[str, bytes] = {}
        while (header := self._header()) is not None:
            self._count += 1
            if self._count > ENTRIES_LIMIT:
                raise LimitError(
                    "has too many entries",
                    where=self._where,
                    expected=f"at most {ENTRIES_LIMIT}",
                )
            match header[156:157]:
                case b"x":
                    extended.update(self._records(self._extension(header, _RECORDS_LIMIT)))
                case b"g":
                    names = self._records(self._extension(header, _RECORDS_LIMIT)).keys()
                    if names & {"path", "linkpath", "size"}:
                        raise self._wrong("global records rename or resize every entry")
                case b"L":
                    name = self._extension(header, _NAME_LIMIT)
                    extended.setdefault("path", name.removesuffix(b"\0"))
                case b"K":
                    target = self._extension(header, _NAME_LIMIT)
                    extended.setdefault("linkpath", target.removesuffix(b"\0"))
                case kind:
                    return self._entry(header, kind, extended)
        if extended:
            raise self._wrong("ends between an extended header and its entry")
        return None

    def _entry(self, header: bytes, kind: bytes, extended: dict[str, bytes]) -> TarEntry:
        if kind not in _KINDS or any(key.startswith("GNU.sparse") for key in extended):
            raise self._wrong(f"entry of a kind that is not read: {kind!r} or sparse")
        name = extended.get("path") or _name(header)
        target = extended.get("linkpath") or _text(header[157:257])
        size = self._size(extended["size"]) if "size" in extended else self._number(header, 124, 12)
        chosen = _KINDS[kind]
        if name.endswith(b"/") and chosen is TarKind.FILE:
            if kind != b"\0" or size:
                raise self._wrong(f"{name!r} is a file by its kind and a folder by its name")
            chosen = TarKind.FOLDER
        if size and chosen is not TarKind.FILE:
            raise self._wrong(f"{name!r} is a {chosen} with {size} bytes of contents")
        if not name or b"\0" in name + target:
            raise self._wrong(f"entry with the name {name!r}, target {target!r}")
        return TarEntry(
            name=name.decode("utf-8", "surrogateescape"),
            kind=chosen,
            size=size,
            mode=self._number(header, 100, 8),
            target=target.decode("utf-8", "surrogateescape"),
            offset=self._position,
        )

    def _header(self) -> bytes | None:
        """The next header block; ``None`` at the end, marked by two blocks of zeros or not."""
        block = self._stream.read(_BLOCK)
        self._position += len(block)
        if not block:
            return None
        if block == _ZEROS:
            if self._stream.read(_BLOCK).strip(b"\0"):
                raise self._wrong("goes on after a block of zeros")
            return None
        if len(block) < _BLOCK:
            raise self._wrong("is cut off")
        stated = self._number(block, 148, 8)
        if stated != sum(block) - sum(block[148:156]) + 8 * 0x20:
            raise self._wrong("is no tar, or has a wrong checksum")
        return block

    def _extension(self, header: bytes, limit: int) -> bytes:
        """The contents of a header entry."""
        size = self._number(header, 124, 12)
        if size > limit:
            raise LimitError(
                "has a header entry that is too large",
                where=self._where,
                expected=f"at most {limit} bytes",
                found=f"{size} bytes",
            )
        data = self._read(size, exactly=True)
        self._skip(-size % _BLOCK)
        return data

    def _records(self, data: bytes) -> dict[str, bytes]:
        """``length SP keyword = value LF`` records."""
        records: dict[str, bytes] = {}
        while data:
            match = re.match(rb"([0-9]{1,9}) ([^=\0]+)=", data)
            length = int(match[1]) if match else 0
            if not match or length < match.end() + 1 or data[length - 1 : length] != b"\n":
                raise self._wrong("has a broken pax record")
            records[match[2].decode("utf-8", "replace")] = data[match.end() : length - 1]
            data = data[length:]
        return records

    def _size(self, text: bytes) -> int:
        if not re.fullmatch(rb"[0-9]{1,18}", text):
            raise self._wrong(f"has a pax record with the size {text[:20]!r}")
        return int(text)

    def _number(self, header: bytes, start: int, length: int) -> int:
        """An octal number, or a binary one where its first bit is set (GNU)."""
        field = header[start : start + length]
        if field[0] == 0x80:
            number = int.from_bytes(field[1:], "big")
            if number < 1 << 62:
                return number
        text = field.strip(b"\0 ")
        # `int` would take signs, blanks and underscores too.
        if text.strip(_OCTAL):
            raise self._wrong(f"has a header with the number {field!r}")
        return int(text or b"0", 8)

    def _read(self, count: int, *, exactly: bool = False) -> bytes:
        data = self._stream.read(count)
        self._position += len(data)
        if (count and not data) or (exactly and len(data) < count):
            raise self._wrong("is cut off")
        return data

    def _skip(self, count: int) -> None:
        if count and self._seekable:
            # The last byte is read, since seeking beyond the end of a file is no error.
            self._position = self._stream.seek(self._position + count - 1)
            count = 1
        while count:
            count -= len(self._read(min(count, _PIECE)))

    def _check_rest(self) -> None:
        while data := self._stream.read(_PIECE):
            if data.strip(b"\0"):
                raise self._wrong("goes on after its end")

    def _wrong(self, problem: str) -> UnreadableError:
        return UnreadableError(f"{problem}", where=self._where, expected="an unambiguous tar")


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _name(header: bytes) -> bytes:
    name = _text(header[:100])
    # Only ustar has a prefix; GNU keeps other things in its place.
    if header[257:263] == b"ustar\0":
        length = 131 if header[508:512] == b"tar\0" else 155  # star's variant is shorter
        if prefix := _text(header[345 : 345 + length]):
            return prefix + b"/" + name
    return name
