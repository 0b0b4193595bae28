"""One image layer out of files: the same entries give the same bytes, on any machine.

The tar is in `envguard.images.tar`'s one way of writing, sorted by the bytes of the paths, and
holds all parent folders, so that no engine makes them with the time of loading. A large member of
a wheel is not compressed again: its deflate stream is spliced into the layer as a gzip member of
its own, and inflated only to learn the layer's diff ID and to check the member.
"""

import hashlib
import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from envguard.images import tar
from envguard.images.gzip_members import SPLICE_FROM, Compression, LayerStream
from envguard.images.zip_members import ZipSource, inflate, pieces
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """The bytes of a regular file, streamed; *digest* where it is known what they must be."""

    path: Path
    size: int
    digest: Digest | None = None


Source = bytes | FileSource | ZipSource


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFile:
    """A regular file. Paths of all entries are relative to the image's root, with ``/``."""

    path: str
    source: Source
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerLink:
    """A symbolic link with the text *target*."""

    path: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFolder:
    """A folder, needed only where it is empty or *mode* is not 0755."""

    path: str
    mode: int = 0o755


LayerEntry = LayerFile | LayerLink | LayerFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """A written layer: *digest* and *size* of the blob, *diff_id* and *tar_size* of its tar.

    *files* counts the regular files.
    """

    diff_id: Digest
    digest: Digest
    size: int
    tar_size: int
    media_type: str
    files: int


def write_layer(
    entries: Iterable[LayerEntry],
    sink: BinaryIO,
    *,
    compression: Compression = Compression.HYBRID,
) -> LayerRecord:
    """Write *entries*, given in any order, to *sink*, and say what was written.

    Raises `UsageError` naming every path that cannot be in a layer, `UnreadableError` for a file
    that changed while it was read, and `IntegrityError` for bytes that are not the pinned ones.
    The sink then holds a part of a layer and must be thrown away.
    """
    ordered = _arranged(entries)
    stream = LayerStream(sink, compression)
    with pieces() as read:
        for entry in ordered:
            match entry:
                case LayerFolder(path=path, mode=mode):
                    stream.write(tar.folder_header(path, mode))
                case LayerLink(path=path, target=target):
                    stream.write(tar.link_header(path, target))
                case LayerFile():
                    _write_file(stream, entry, read)
    stream.write(tar.END)
    stream.close()
    return LayerRecord(
        diff_id=stream.diff_id,
        digest=stream.digest,
        size=stream.size,
        tar_size=stream.tar_size,
        media_type=compression.media_type,
        files=sum(isinstance(entry, LayerFile) for entry in ordered),
    )


def _arranged(entries: Iterable[LayerEntry]) -> list[LayerEntry]:
    """*entries* and all their parent folders, sorted by the bytes of their paths."""
    chosen: dict[str, LayerEntry] = {}
    problems: list[str] = []
    for entry in entries:
        if problem := _problem(entry):
            problems.append(problem)
        elif chosen.setdefault(entry.path, entry) != entry:
            problems.append(f"{entry.path!r} is there twice")
    for path in list(chosen):
        for parent in _parents(path):
            if not isinstance(chosen.setdefault(parent, LayerFolder(path=parent)), LayerFolder):
                problems.append(f"{parent!r} is no folder but holds {path!r}")
    if problems:
        raise UsageError("; ".join(sorted(problems)), expected="distinct paths inside the image")
    # Code points sort as their UTF-8 bytes do.
    return [chosen[path] for path in sorted(chosen)]


def _problem(entry: LayerEntry) -> str | None:
    """Why *entry* cannot be in a layer."""
    path = entry.path
    texts = (path, entry.target) if isinstance(entry, LayerLink) else (path,)
    if any("\0" in text or not text or not _is_utf8(text) for text in texts):
        return f"{path!r} is empty or cannot be written as UTF-8"
    parts = path.split("/")
    if posixpath.normpath(path) != path or parts[0] in ("", ".", ".."):
        return f"{path!r} is not a relative path inside the image"
    # OCI image specification, "Whiteouts": such a name would delete files of lower layers.
    if any(part.startswith(".wh.") for part in parts):
        return f"{path!r} would be read as a whiteout"
    if isinstance(entry, LayerFolder) and not 0 <= entry.mode <= 0o7777:
        return f"{path!r} has no valid mode: {entry.mode:#o}"
    return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def _write_file(
    stream: LayerStream, file: LayerFile, read: Callable[[Path, int, int], bytes]
) -> None:
    size = len(file.source) if isinstance(file.source, bytes) else file.source.size
    stream.write(tar.file_header(file.path, size, executable=file.executable))
    match file.source:
        case bytes() as data:
            stream.write(data)
        case FileSource() as source:
            _write_from_disk(stream, source)
        case ZipSource() as source:
            _write_from_zip(stream, source, read)
    stream.write(tar.padding(size))


def _write_from_zip(
    stream: LayerStream, source: ZipSource, read: Callable[[Path, int, int], bytes]
) -> None:
    if stream.splices and source.deflated and source.compressed_size >= SPLICE_FROM:
        stream.begin_member()
        for data in inflate(source, read, deflated=stream.splice):
            stream.inflated(data)
        stream.end_member(source.crc32, source.size)
    else:
        for data in inflate(source, read):
            stream.write(data)


def _write_from_disk(stream: LayerStream, source: FileSource) -> None:
    hasher = hashlib.new(source.digest.algorithm) if source.digest else None
    # Without O_NONBLOCK, opening a pipe would wait for its writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(source.path, flags)
        try:
            _copy(stream, descriptor, source, hasher.update if hasher else _nothing)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnreadableError(str(error.strerror or error), where=str(source.path)) from error
    if hasher and source.digest and hasher.hexdigest() != source.digest.hex:
        raise IntegrityError(
            "these are not the bytes that were pinned",
            where=str(source.path),
            expected=str(source.digest),
            found=f"{source.digest.algorithm}:{hasher.hexdigest()}",
        )


def _nothing(data: memoryview) -> None:
    """Takes bytes that need no hash."""


def _copy(
    stream: LayerStream, descriptor: int, source: FileSource, hashed: Callable[[memoryview], None]
) -> None:
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        raise UnreadableError("is no regular file", where=str(source.path))
    left = source.size
    while left:
        free = stream.free()[:left]
        count = os.readv(descriptor, [free])
        if not count:
            break
        hashed(free[:count])
        stream.filled(count)
        left -= count
    after = os.fstat(descriptor)
    if left or (before.st_size, before.st_mtime_ns) != (source.size, after.st_mtime_ns):
        raise UnreadableError(
            "changed while it was read",
            where=str(source.path),
            expected=f"{source.size} bytes",
            found=f"{after.st_size} bytes",
            hint="let nothing write to it, and run this again",
        )
