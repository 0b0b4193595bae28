"""Makers of wheels: good ones as builders write them, and hostile ones byte by byte."""

import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

from envguard.formats.record import record_hash
from envguard.model.digest import Digest

METHODS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}


def wheel_files(
    files: Mapping[str, bytes] | None = None,
    *,
    name: str = "demo",
    version: str = "1.0",
    metadata: str = "",
    wheel_version: str = "1.0",
    tag: str = "py3-none-any",
) -> dict[str, bytes]:
    """The members of a wheel with a right RECORD; *metadata* are more lines of METADATA."""
    info = f"{name}-{version}.dist-info"
    members = dict(files if files is not None else {f"{name}/__init__.py": b"answer = 42\n"})
    members.setdefault(
        f"{info}/METADATA",
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}\n".encode(),
    )
    members.setdefault(
        f"{info}/WHEEL",
        f"Wheel-Version: {wheel_version}\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    )
    members.setdefault(f"{info}/RECORD", record_of(members, info))
    return members


def record_of(members: Mapping[str, bytes], info: str) -> bytes:
    """The RECORD of *members*."""
    rows = [
        f"{_quoted(path)},{record_hash(Digest.of(data))},{len(data)}"
        for path, data in members.items()
    ]
    return ("\n".join([*rows, f"{info}/RECORD,,"]) + "\n").encode()


def _quoted(path: str) -> str:
    return f'"{path}"' if "," in path else path


def make_wheel(
    folder: Path,
    files: Mapping[str, bytes] | None = None,
    *,
    name: str = "demo",
    version: str = "1.0",
    tag: str = "py3-none-any",
    metadata: str = "",
    modes: Mapping[str, int] | None = None,
    method: str = "deflated",
) -> Path:
    """A wheel in *folder* as a builder writes it, with `zipfile`."""
    path = folder / f"{name}-{version}-{tag}.whl"
    members = wheel_files(files, name=name, version=version, metadata=metadata, tag=tag)
    with zipfile.ZipFile(path, "w", METHODS[method]) as archive:
        for member, data in members.items():
            info = zipfile.ZipInfo(member)
            info.external_attr = (modes or {}).get(member, 0o100644) << 16
            info.compress_type = METHODS[method]
            archive.writestr(info, data)
    return path


@dataclass(frozen=True, kw_only=True)
class Part:
    """One member of a raw zip; *local* and *central* override single fields of the headers."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    raw: bytes | None = None
    local: Mapping[str, object] = field(default_factory=dict)
    central: Mapping[str, object] = field(default_factory=dict)
    before: bytes = b""
    descriptor: bytes = b""
    is_listed: bool = True

    @property
    def compressed(self) -> bytes:
        """The raw data."""
        if self.raw is not None:
            return self.raw
        return deflate(self.data) if self.method == 8 else self.data


def deflate(data: bytes) -> bytes:
    """A raw deflate stream."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def raw_zip(
    parts: Sequence[Part], *, behind: bytes = b"", comment: bytes = b"", **end: int
) -> bytes:
    """A zip archive of *parts*, whatever it says; *end* overrides fields of the end record."""
    stream, directory, count = BytesIO(), BytesIO(), 0
    for part in parts:
        stream.write(part.before)
        offset = stream.tell()
        stream.write(_local_header(part) + part.compressed + part.descriptor)
        if part.is_listed:
            directory.write(_central_header(part, offset))
            count += 1
    offset, size = stream.tell(), directory.tell()
    stream.write(directory.getvalue())
    values = {"disk": 0, "first": 0, "here": count, "count": count, "size": size, "offset": offset}
    fields = [*(values | end).values(), len(comment)]
    stream.write(struct.pack("<4s4H2LH", b"PK\5\6", *fields) + comment + behind)
    return stream.getvalue()


def _local_header(part: Part) -> bytes:
    values = _values(part) | {"extra": b""} | dict(part.local)
    name, extra = values["name"], values["extra"]
    assert isinstance(name, bytes) and isinstance(extra, bytes)
    fields = [values[k] for k in ("flags", "method", "time", "date", "crc", "compressed", "size")]
    return struct.pack("<4s5H3L2H", b"PK\3\4", 20, *fields, len(name), len(extra)) + name + extra


def _central_header(part: Part, offset: int) -> bytes:
    values = _values(part) | {"extra": b"", "offset": offset, "disk": 0, "needed": 20}
    values |= part.central
    name, extra = values["name"], values["extra"]
    assert isinstance(name, bytes) and isinstance(extra, bytes)
    names = ("needed", "flags", "method", "time", "date", "crc", "compressed", "size")
    fields = [values[field] for field in names]
    sizes = (len(name), len(extra), 0, values["disk"], 0)
    tail = (part.mode << 16, values["offset"])
    return struct.pack("<4s6H3L5H2L", b"PK\1\2", 0x0314, *fields, *sizes, *tail) + name + extra


def _values(part: Part) -> dict[str, object]:
    return {
        "name": part.name,
        "flags": part.flags,
        "method": part.method,
        "time": 0,
        "date": 33,
        "crc": zlib.crc32(part.data),
        "compressed": len(part.compressed),
        "size": len(part.data),
    }


def parts_of(files: Mapping[str, bytes] | None = None) -> list[Part]:
    """The parts of a good wheel ``demo-1.0-py3-none-any.whl``; the first is its module."""
    return [Part(name=path.encode(), data=data) for path, data in wheel_files(files).items()]


def _first(**changes: object) -> bytes:
    first, *rest = parts_of()
    return raw_zip([replace(first, **changes), *rest])  # type: ignore[arg-type]


def _more(*more: Part) -> bytes:
    return raw_zip([*parts_of(), *more])


def _named(name: bytes, **changes: object) -> bytes:
    return _more(Part(name=name, data=b"x = 1\n", **changes))  # type: ignore[arg-type]


def _descriptor(part: Part, *, signature: bytes = b"PK\7\x08", form: str = "<3L") -> Part:
    values = (zlib.crc32(part.data), len(part.compressed), len(part.data))
    return replace(
        part,
        flags=part.flags | 8,
        local={"crc": 0, "compressed": 0, "size": 0},
        descriptor=signature + struct.pack(form.replace("3L", "L2L"), *values),
    )


def _overlapping() -> bytes:
    """Two names for one local header: the second is not in the file at all."""
    first, *rest = parts_of()
    twin = replace(first, central={"offset": 0}, is_listed=True)
    return raw_zip([first, twin, *rest])


def _in_comment() -> bytes:
    """A whole other archive as the comment of this one."""
    return raw_zip(parts_of(), comment=raw_zip(parts_of()))


GOOD: Mapping[str, Callable[[], bytes]] = {
    "plain": lambda: raw_zip(parts_of()),
    "stored": lambda: raw_zip([replace(p, method=0) for p in parts_of()]),
    "unsorted": lambda: raw_zip(parts_of()[::-1]),
    "no modes": lambda: raw_zip([replace(p, mode=0) for p in parts_of()]),
    "modes without a type": lambda: raw_zip([replace(p, mode=0o600) for p in parts_of()]),
    "folder entries": lambda: raw_zip([Part(name=b"demo/", method=0, mode=0o40755), *parts_of()]),
    "descriptor": lambda: raw_zip([_descriptor(p) for p in parts_of()]),
    "descriptor without signature": lambda: raw_zip(
        [_descriptor(p, signature=b"") for p in parts_of()]
    ),
    "zip64 descriptor": lambda: raw_zip([_descriptor(p, form="<L2Q") for p in parts_of()]),
    "zip64 local header": lambda: raw_zip([_zip64_local(p) for p in parts_of()]),
    "zip64 central header": lambda: raw_zip([_zip64_central(p) for p in parts_of()]),
    "zip64 end": lambda: zip64_end(raw_zip(parts_of())),
    "UTF-8 name": lambda: raw_zip(
        [replace(p, flags=0x800) for p in parts_of({"demo/ünï.py": b"", "demo/__init__.py": b""})]
    ),
    "same Unicode path": lambda: _first(central={"extra": _unicode_path(b"demo/__init__.py")}),
    "names that differ in case": lambda: raw_zip(
        parts_of({"demo/a.py": b"1", "demo/A.py": b"2", "Demo/a.py": b"3"})
    ),
    "dots in names": lambda: raw_zip(parts_of({"demo/..a.py": b"", "demo/b...py": b""})),
}
"""Archives that a wheel may be, each odd in one way."""


def _zip64_local(part: Part) -> Part:
    extra = struct.pack("<2H2Q", 1, 16, len(part.data), len(part.compressed))
    return replace(part, local={"compressed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "extra": extra})


def _zip64_central(part: Part) -> Part:
    extra = struct.pack("<2HQ", 1, 8, len(part.data))
    return replace(part, central={"size": 0xFFFFFFFF, "extra": extra})


def zip64_end(archive: bytes, *, contradicts: bool = False) -> bytes:
    """*archive* with a zip64 end record and locator."""
    *_, here, count, size, offset, _ = struct.unpack("<4s4H2LH", archive[-22:])
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, here, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(archive) - 22, 1)
    stated = count - 1 if contradicts else 0xFFFF
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, stated, stated, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return archive[:-22] + record + locator + end


def _unicode_path(name: bytes) -> bytes:
    return struct.pack("<2HBL", 0x7075, 5 + len(name), 1, 0) + name


def _bomb(name: bytes, size: int) -> Part:
    """A member that states *size*; a strict reader does not start to unpack it."""
    return Part(name=name, data=b"x", local={"size": size}, central={"size": size})


HOSTILE: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "a member twice": (lambda: _more(parts_of()[0]), "more than once"),
    "a member twice after normalisation": (
        lambda: _named(b"demo//__init__.py"),
        "not a plain relative path",
    ),
    "a member twice by ./": (lambda: _named(b"./demo/__init__.py"), "not a plain relative path"),
    "another name in the local header": (
        lambda: _first(local={"name": b"demo/__evil__.py"}),
        "another name",
    ),
    "a shorter name in the local header": (lambda: _first(local={"name": b"demo"}), "another name"),
    "another method in the local header": (lambda: _first(local={"method": 0}), "another method"),
    "another size in the local header": (lambda: _first(local={"size": 3}), "other sizes"),
    "another compressed size in the local header": (
        lambda: _first(local={"compressed": 3}),
        "other sizes",
    ),
    "another checksum in the local header": (lambda: _first(local={"crc": 3}), "other sizes"),
    "other flags in the local header": (lambda: _first(local={"flags": 0x800}), "other flags"),
    "two sizes in the local header": (
        lambda: _first(local={"extra": struct.pack("<2H2Q", 1, 16, 1, 1)}),
        "two different sizes",
    ),
    "data before the first member": (lambda: _first(before=b"#!/bin/sh\n"), "follows a gap"),
    "data between members": (
        lambda: raw_zip([parts_of()[0], *(replace(p, before=b"x") for p in parts_of()[1:])]),
        "follows a gap",
    ),
    "a member that is not listed": (
        lambda: _named(b"demo/hidden.py", is_listed=False),
        "belongs to no member",
    ),
    "data before the central directory": (
        lambda: raw_zip([*parts_of(), Part(name=b"", before=b"gap", is_listed=False)]),
        "belongs to no member",
    ),
    "trailing data": (lambda: raw_zip(parts_of(), behind=b"x"), "behind its end record"),
    "a comment": (lambda: raw_zip(parts_of(), comment=b"x"), "behind its end record"),
    "an archive in the comment": (_in_comment, "bytes at"),
    "overlapping members": (_overlapping, "overlaps"),
    "a size into the central directory": (
        lambda: _first(central={"compressed": 1 << 20}),
        "reaches into the central directory",
    ),
    "an offset outside": (lambda: _first(central={"offset": 1 << 30}), "no room"),
    "an offset to something else": (lambda: _first(central={"offset": 7}), "no local header"),
    "encrypted": (lambda: _first(flags=1), "is encrypted"),
    "strongly encrypted": (lambda: _first(flags=0x41), "is encrypted"),
    "a patch": (lambda: _first(flags=0x20), "a patch"),
    "a newer format": (lambda: _first(central={"needed": 64}), "newer than any"),
    "bzip2": (lambda: _first(method=12), "method 12"),
    "deflate64": (lambda: _first(method=9), "method 9"),
    "stored with two sizes": (
        lambda: _first(method=0, raw=b"longer than stated" * 3),
        "two different sizes",
    ),
    "an absolute name": (lambda: _named(b"/etc/passwd"), "is absolute"),
    "a parent folder": (lambda: _named(b"demo/../../x.py"), "not a plain relative path"),
    "a parent folder at the end": (lambda: _named(b"demo/.."), "not a plain relative path"),
    "a backslash": (lambda: _named(b"demo\\x.py"), "backslash"),
    "a NUL": (lambda: _named(b"demo/x.py\0.txt"), "control character"),
    "an escape sequence": (lambda: _named(b"demo/\x1b[2Jx.py"), "control character"),
    "an empty name": (lambda: _named(b""), "not a plain relative path"),
    "a name too long": (lambda: _named(b"demo/" + b"x" * 256), "no file system"),
    "a name that is not UTF-8": (lambda: _named(b"demo/\xff.py", flags=0x800), "not UTF-8"),
    "a name in a code page": (lambda: _named("demo/ü.py".encode()), "not marked as UTF-8"),
    "a second name": (
        lambda: _first(central={"extra": _unicode_path(b"demo/evil.py")}),
        "second name",
    ),
    "a symbolic link": (lambda: _named(b"demo/link", mode=0o120777), "is a link"),
    "a device": (lambda: _named(b"demo/device", mode=0o020666), "is a link"),
    "a folder by mode only": (lambda: _named(b"demo/folder", mode=0o040755), "is a link"),
    "a folder with data": (lambda: _named(b"demo/folder/"), "folder with data"),
    "a file that is a folder": (lambda: _named(b"demo"), "a file and a folder"),
    "a file that is a folder entry": (
        lambda: _more(Part(name=b"demo/__init__.py/", method=0)),
        "a file and a folder",
    ),
    "a descriptor that disagrees": (
        lambda: raw_zip(
            [replace(_descriptor(p), descriptor=b"PK\7\x08" + b"\1" * 12) for p in parts_of()]
        ),
        "no data descriptor",
    ),
    "a descriptor that is missing": (
        lambda: raw_zip([replace(_descriptor(p), descriptor=b"") for p in parts_of()]),
        "no data descriptor",
    ),
    "a torn extra field": (lambda: _first(central={"extra": b"\1\0\xff"}), "torn extra field"),
    "zip64 values that nobody asked for": (
        lambda: _first(central={"extra": struct.pack("<2HQ", 1, 8, 5)}),
        "zip64 extra field",
    ),
    "zip64 values twice": (
        lambda: _first(local={"extra": struct.pack("<2H2Q", 1, 16, 12, 14) * 2}),
        "twice",
    ),
    "a zip64 end that contradicts": (
        lambda: zip64_end(raw_zip(parts_of()), contradicts=True),
        "disagree",
    ),
    "fewer members stated": (lambda: raw_zip(parts_of(), here=3, count=3), "unused bytes"),
    "more members stated": (lambda: raw_zip(parts_of(), here=5, count=5), "no central header"),
    "a split archive": (lambda: raw_zip(parts_of(), disk=1), "split archive"),
    "a member in another part": (lambda: _first(central={"disk": 1}), "another part"),
    "a wrong directory offset": (lambda: raw_zip(parts_of(), offset=9), "does not end at"),
    "no zip at all": (lambda: b"not a zip archive at all, just text", "no end record"),
    "nothing": (lambda: b"", "no end record"),
    "two metadata folders": (
        lambda: _named(b"other-2.0.dist-info/METADATA"),
        "does not have the one .dist-info",
    ),
    "two metadata folders, one empty": (
        lambda: _more(Part(name=b"Demo-1.0.dist-info/", method=0)),
        "does not have the one .dist-info",
    ),
    "another distribution": (
        lambda: raw_zip(
            [Part(name=n.encode(), data=d) for n, d in wheel_files(name="other").items()]
        ),
        "does not have the one .dist-info",
    ),
    "another version": (
        lambda: raw_zip(
            [Part(name=n.encode(), data=d) for n, d in wheel_files(version="1.1").items()]
        ),
        "does not have the one .dist-info",
    ),
    "metadata in the data folder": (
        lambda: _named(b"demo-1.0.data/purelib/other-2.0.dist-info/METADATA"),
        "hides metadata",
    ),
    "a foreign data folder": (
        lambda: _named(b"other-2.0.data/scripts/x"),
        "data folder of another distribution",
    ),
    "no RECORD": (
        lambda: raw_zip([p for p in parts_of() if not p.name.endswith(b"RECORD")]),
        "has no demo-1.0.dist-info/RECORD",
    ),
    "no METADATA": (
        lambda: raw_zip([p for p in parts_of() if not p.name.endswith(b"METADATA")]),
        "has no demo-1.0.dist-info/METADATA",
    ),
    "no WHEEL": (
        lambda: raw_zip([p for p in parts_of() if not p.name.endswith(b"WHEEL")]),
        "has no demo-1.0.dist-info/WHEEL",
    ),
    "a later wheel format": (
        lambda: raw_zip(
            [Part(name=n.encode(), data=d) for n, d in wheel_files(wheel_version="2.0").items()]
        ),
        "Wheel-Version",
    ),
    "a bomb": (lambda: _more(_bomb(b"demo/bomb", 65 << 20)), "unpacks to far more"),
    "a bomb of many": (
        lambda: _more(*(_bomb(b"demo/%d" % number, 22 << 20) for number in range(3))),
        "the whole archive unpacks",
    ),
}
"""Archives that a wheel must not be: how each is made, and what the error says."""

DAMAGED: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "data behind the deflate stream": (
        lambda: _first(raw=deflate(b"answer = 42\n") + b"hidden"),
        "goes on behind",
    ),
    "a torn deflate stream": (lambda: _first(raw=deflate(b"answer = 42\n")[:-3]), "ends within"),
    "no deflate stream": (lambda: _first(raw=b"\xff" * 20), "cannot be unpacked"),
    "more than declared": (lambda: _first(raw=deflate(b"answer = 42\n" * 99)), "the size"),
    "less than declared": (lambda: _first(raw=deflate(b"answer")), "the size"),
    "other bytes": (lambda: _first(raw=deflate(b"answer = 43\n")), "the checksum"),
    "other bytes, stored": (lambda: _first(method=0, raw=b"answer = 43\n"), "the checksum"),
}
"""Archives whose first member is not what its headers say: seen only when it is read."""
