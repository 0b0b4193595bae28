"""Tar headers as bytes: one way to write each name, so that equal trees are equal archives.

Everything that differs between machines is left out: owners are 0/0 without names, times are
constant, modes are 0644 or 0755. The format is ustar; a pax record stands before a header only
for what ustar cannot say: a name longer than its fields, a name or link that is not ASCII, and
a file of 8 GiB or more.

Source: POSIX.1-2017 "pax", sections "ustar Interchange Format" and "pax Extended Header".
"""

BLOCK = 512
MODIFIED = 315_532_800
"""1980-01-01 00:00:00 UTC, the oldest time that a zip file can state."""
END = bytes(2 * BLOCK)
"""What ends an archive: two blocks of zeros."""

_LARGEST_OCTAL_SIZE = 8**11 - 1


def file_header(path: str, size: int, *, executable: bool = False) -> bytes:
    """The header of a regular file of *size* bytes; the bytes and `padding` follow it."""
    return _entry(path, b"0", 0o755 if executable else 0o644, size=size)


def folder_header(path: str, mode: int = 0o755) -> bytes:
    """The header of a folder; *path* is without a trailing ``/``."""
    return _entry(path + "/", b"5", mode)


def link_header(path: str, target: str) -> bytes:
    """The header of a symbolic link with the text *target*."""
    return _entry(path, b"2", 0o777, target=target)


def padding(size: int) -> bytes:
    """The zeros that fill the last block after *size* bytes."""
    return bytes(-size % BLOCK)


def _entry(path: str, kind: bytes, mode: int, *, size: int = 0, target: str = "") -> bytes:
    name, prefix = _split(path.encode())
    link = target.encode()
    records: list[tuple[str, bytes]] = []
    if len(name) > 100 or not path.isascii():
        records.append(("path", path.encode()))
        name, prefix = path.encode()[:100], b""
    if len(link) > 100 or not target.isascii():
        records.append(("linkpath", link))
    if size > _LARGEST_OCTAL_SIZE:
        records.append(("size", b"%d" % size))
    header = _ustar(
        name, kind, mode, size=min(size, _LARGEST_OCTAL_SIZE), link=link[:100], prefix=prefix
    )
    return _extended(records) + header if records else header


def _split(name: bytes) -> tuple[bytes, bytes]:
    """*name* as ustar's name and prefix; too long to split, it comes back whole."""
    if len(name) <= 100:
        return name, b""
    # The name field must not be empty, so a folder's trailing slash is not a place to split.
    cut = name.rfind(b"/", 0, min(156, len(name) - 1))
    if cut > 0 and len(name) - cut - 1 <= 100:
        return name[cut + 1 :], name[:cut]
    return name, b""


def _extended(records: list[tuple[str, bytes]]) -> bytes:
    body = b"".join(_record(keyword, value) for keyword, value in records)
    return _ustar(b"././@PaxHeader", b"x", 0o644, size=len(body)) + body + padding(len(body))


def _record(keyword: str, value: bytes) -> bytes:
    """``length SP keyword = value LF``, where the length counts its own digits."""
    rest = b" %s=%s\n" % (keyword.encode(), value)
    length = len(rest)
    while len(text := b"%d%s" % (length, rest)) != length:
        length = len(text)
    return text


def _ustar(
    name: bytes, kind: bytes, mode: int, *, size: int, link: bytes = b"", prefix: bytes = b""
) -> bytes:
    before = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"%07o\0" % 0,
            b"%07o\0" % 0,
            b"%011o\0" % size,
            b"%011o\0" % MODIFIED,
        )
    )
    after = b"".join(
        (
            kind,
            link.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(32),
            bytes(32),
            b"%07o\0" % 0,
            b"%07o\0" % 0,
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    # The checksum counts its own field as eight spaces.
    checksum = sum(before) + 8 * 0x20 + sum(after)
    return before + b"%06o\0 " % checksum + after
