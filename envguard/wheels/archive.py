"""One wheel as a file: who it says it is, which members it has, and their bytes.

Source: PyPA "Binary distribution format" (PEP 427), "Compatibility tags" (PEP 425).
"""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from envguard.model.errors import LimitError, UnreadableError
from envguard.wheels.file import File
from envguard.wheels.zip import Member, read_members

if TYPE_CHECKING:
    from packaging.tags import Tag

_RATIO_LIMIT = 50
_RATIO_FREE = 64 << 20
"""Bytes that may unpack from however few; above, the ratio counts."""
_READ_SIZE, _CHUNK_SIZE = 256 << 10, 1 << 20
_WHEEL_VERSION = re.compile(rb"^wheel-version[ \t]*:[ \t]*([^\r\n]*)", re.I | re.M)


class Wheel:
    """An open wheel, strictly read: `path`, `filename`, `dist_info`, `data_folder`, `members`.

    *name* is normalised (PEP 503), *version* as PEP 440 normalises it. Several threads may read
    members at once.
    """

    def __init__(self, path: Path, *, filename: str | None = None) -> None:
        """Open the wheel in *path*; *filename* carries its identity where *path* is a digest.

        Raises `UnreadableError` naming all that two readers could see differently or that is no
        wheel, `LimitError` for an archive that unpacks to far more than it holds.
        """
        self.path = path
        self.filename = filename or path.name
        self._file = File(path, self.filename)
        try:
            self.name, self.version, self.tags = _identity(self.filename)
            self.members, folders = read_members(self._file)
            self.dist_info = _dist_info(self, folders)
            self.data_folder = self.dist_info.removesuffix(".dist-info") + ".data"
            _check_ratio(self, self._file.size)
            _check_layout(self, folders)
        except BaseException:
            self.close()
            raise

    name: str
    version: str
    tags: "frozenset[Tag]"
    members: tuple[Member, ...]
    dist_info: str
    """``{distribution}-{version}.dist-info`` as the archive spells it."""
    data_folder: str
    """``{distribution}-{version}.data``, whether or not there is one."""

    @classmethod
    def open(cls, path: Path, *, filename: str | None = None) -> Self:
        """The wheel in *path*, for a ``with`` block; see the class for its errors."""
        return cls(path, filename=filename)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @cached_property
    def by_path(self) -> dict[str, Member]:
        """The members by their paths."""
        return {member.path: member for member in self.members}

    def read(self, member: Member, limit: int = 64 << 20) -> bytes:
        """All bytes of *member*, checked; `LimitError` when they are more than *limit*."""
        if member.size > limit:
            raise LimitError(
                f"{member.path} is too large",
                where=self.filename,
                expected=f"at most {limit} bytes",
                found=f"{member.size} bytes",
            )
        return b"".join(self.chunks(member))

    def head(self, member: Member, size: int) -> bytes:
        """The first *size* bytes of *member*, or all of it; not checked against anything."""
        data = b""
        for part in self.chunks(member):
            data += part
            if len(data) >= size:
                break
        return data[:size]

    def chunks(self, member: Member) -> Iterator[bytes]:
        """The bytes of *member*, unpacked, at most 1 MiB at a time.

        Never yields more than the declared size. Size and CRC-32 are known to be right only when
        the iterator has ended; `UnreadableError` otherwise.
        """
        from isal import isal_zlib  # its CRC-32 is many times faster than zlib's

        parts = self._raw(member) if member.method == "stored" else self._inflated(member)
        size = checksum = 0
        for data in parts:
            size += len(data)
            if size > member.size:
                break
            checksum = isal_zlib.crc32(data, checksum)
            yield data
        if size != member.size or checksum != member.crc32:
            wrong = "checksum" if size == member.size else "size"
            raise self._damaged(member, f"does not unpack to the {wrong} that its header states")

    def _raw(self, member: Member) -> Iterator[bytes]:
        for start in range(0, member.compressed_size, _READ_SIZE):
            size = min(_READ_SIZE, member.compressed_size - start)
            yield self._file.at(member.offset + start, size)

    def _inflated(self, member: Member) -> Iterator[bytes]:
        """The deflate stream (RFC 1951), which must end exactly where the member ends."""
        from isal import isal_zlib

        stream = isal_zlib.decompressobj(-15)
        try:
            for raw in self._raw(member):
                if stream.eof:
                    raise self._damaged(member, "goes on behind its compressed data")
                data = stream.decompress(raw, _CHUNK_SIZE)
                while data:
                    yield data
                    full = len(data) == _CHUNK_SIZE or stream.unconsumed_tail
                    data = stream.decompress(stream.unconsumed_tail, _CHUNK_SIZE) if full else b""
        except isal_zlib.error as error:  # type: ignore[misc]  # the stub calls it an instance
            raise self._damaged(member, f"cannot be unpacked ({error})") from error
        if stream.unused_data:
            raise self._damaged(member, "goes on behind its compressed data")
        if not stream.eof:
            raise self._damaged(member, "ends within its compressed data")

    def _damaged(self, member: Member, problem: str) -> UnreadableError:
        return UnreadableError(
            f"{member.path!r} (data at {member.offset}) {problem}", where=self.filename
        )


def _identity(filename: str) -> "tuple[str, str, frozenset[Tag]]":
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        name, version, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        raise UnreadableError(
            "is not the name of a wheel", where=filename, expected="name-version-tags.whl"
        ) from error
    return name, str(version), tags


def _dist_info(wheel: Wheel, folders: tuple[str, ...]) -> str:
    """The one top-level ``.dist-info`` folder, which must carry the file name's identity."""
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    found = [top for top in _top_level(wheel, folders) if top.endswith(".dist-info")]
    expected = f"{wheel.name.replace('-', '_')}-{wheel.version}.dist-info"
    if len(found) == 1:
        name, _, version = found[0].removesuffix(".dist-info").rpartition("-")
        try:
            same = canonicalize_name(name) == wheel.name and Version(version) == Version(
                wheel.version
            )
        except InvalidVersion:
            same = False
        if same:
            return found[0]
    raise UnreadableError(
        "does not have the one .dist-info folder that its file name calls for",
        where=wheel.filename,
        expected=expected,
        found=", ".join(found) or "none",
    )


def _top_level(wheel: Wheel, folders: tuple[str, ...]) -> list[str]:
    """The names of the folders at the top of the archive, sorted."""
    holding = {member.path.partition("/")[0] for member in wheel.members if "/" in member.path}
    return sorted(holding | {folder.partition("/")[0] for folder in folders})


def _check_ratio(wheel: Wheel, archive_size: int) -> None:
    """Refuse archives that unpack to far more than they hold, one member or all together."""
    sizes = [(m.path, m.size, m.compressed_size) for m in wheel.members]
    sizes.append(("the whole archive", sum(m.size for m in wheel.members), archive_size))
    for what, size, compressed in sizes:
        if size > _RATIO_FREE and size > _RATIO_LIMIT * compressed:
            raise LimitError(
                f"{what} unpacks to far more than it holds",
                where=wheel.filename,
                expected=f"at most {_RATIO_FREE} bytes, or {_RATIO_LIMIT} times the packed size",
                found=f"{size} bytes out of {compressed}",
            )


def _check_layout(wheel: Wheel, folders: tuple[str, ...]) -> None:
    """What every wheel has, and what one installer sees as data and another as a package."""
    problems = [
        f"has no {wheel.dist_info}/{name}"
        for name in ("METADATA", "WHEEL", "RECORD")
        if f"{wheel.dist_info}/{name}" not in wheel.by_path
    ]
    for top in _top_level(wheel, folders):
        if top.endswith(".data") and top != wheel.data_folder:
            problems.append(f"has a data folder of another distribution: {top!r}")
    for path in (*wheel.by_path, *folders):
        if path.startswith(f"{wheel.data_folder}/") and ".dist-info/" in f"{path}/":
            problems.append(f"hides metadata in its data folder: {path!r}")
    if not problems:
        problems.extend(_version_problems(wheel))
    if problems:
        raise UnreadableError("; ".join(problems), where=wheel.filename, expected="a wheel")


def _version_problems(wheel: Wheel) -> Iterator[str]:
    """An installer must abort on a Wheel-Version whose major it does not know (PEP 427)."""
    data = wheel.read(wheel.by_path[f"{wheel.dist_info}/WHEEL"], limit=1 << 20)
    stated = _WHEEL_VERSION.findall(data)
    if len(stated) != 1 or not re.fullmatch(rb"1\.\d+", stated[0].strip()):
        shown = b" and ".join(stated).decode("utf-8", "replace") or "nothing"
        yield f"states {shown} as its Wheel-Version, not 1.x"
