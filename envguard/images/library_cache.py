"""``ld.so.cache``: where glibc's dynamic loader finds libraries by name.

Only the little-endian format of glibc 2.2 and later is known; the older one that may stand before
it is skipped, and so is the section that describes processor-specific folders.

Source: glibc ``sysdeps/generic/dl-cache.h``.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from envguard.model.errors import UnreadableError

_OLD_MAGIC, _MAGIC = b"ld.so-1.7.0", b"glibc-ld.so.cache1.1"
_OLD_HEADER, _OLD_ENTRY = struct.Struct("<11sxI"), struct.Struct("<iII")
_HEADER, _ENTRY = struct.Struct("<20sIIB3xI12x"), struct.Struct("<iIIIQ")
_LITTLE, _BIG = 2, 3
"""The cache's byte order as it states it; glibc before 2.33 states 0."""
_MAX_LIBRARIES, _MAX_TEXT = 20_000, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedLibrary:
    """One line of the cache: a library's name, its absolute path, and the kind it is of."""

    name: str
    path: str
    flags: int
    capabilities: int = 0


def read_cache(data: bytes, source: str) -> tuple[CachedLibrary, ...]:
    """The libraries of an ``ld.so.cache``, in its order. Raises `UnreadableError`."""
    try:
        start = _new_cache(data)
        magic, count, _, order, _ = _HEADER.unpack_from(data, start)
        if magic != _MAGIC or order & 3 == _BIG:
            raise ValueError("no known version of it")
        if count > _MAX_LIBRARIES:
            raise ValueError(f"more than {_MAX_LIBRARIES} libraries")
        table = memoryview(data)[start + _HEADER.size :][: count * _ENTRY.size]
        if len(table) < count * _ENTRY.size:
            raise ValueError(f"its {count} entries are not there")
        return tuple(
            CachedLibrary(
                name=_text(data, start + name),
                path=_text(data, start + path),
                flags=flags,
                capabilities=capabilities,
            )
            for flags, name, path, _, capabilities in _ENTRY.iter_unpack(table)
        )
    except (ValueError, struct.error) as error:
        raise UnreadableError(
            f"is no library cache: {error}", where=source, hint="write it again with ldconfig"
        ) from error


def _new_cache(data: bytes) -> int:
    """Where the cache of today's format begins: glibc before 2.32 puts an older one before it."""
    if not data.startswith(_OLD_MAGIC):
        return 0
    count: int = _OLD_HEADER.unpack_from(data)[1]
    end = _OLD_HEADER.size + count * _OLD_ENTRY.size
    return end + -end % 8


def _text(data: bytes, start: int) -> str:
    end = data.find(b"\0", start, start + _MAX_TEXT)
    if end < 0:
        raise ValueError(f"the text at {start:#x} does not end")
    return data[start:end].decode()


def write_cache(libraries: Iterable[CachedLibrary]) -> bytes:
    """An ``ld.so.cache`` of *libraries*, which must be in the order that `read_cache` gave."""
    libraries = tuple(libraries)
    texts = bytearray()
    entries = bytearray()
    start = _HEADER.size + len(libraries) * _ENTRY.size
    for library in libraries:
        name = start + len(texts)
        texts += library.name.encode() + b"\0"
        path = start + len(texts)
        texts += library.path.encode() + b"\0"
        entries += _ENTRY.pack(library.flags, name, path, 0, library.capabilities)
    return _HEADER.pack(_MAGIC, len(libraries), len(texts), _LITTLE, 0) + entries + texts
