"""What is inside a wheel: a digest for every member, checked against the wheel's own RECORD.

Installers do not check RECORD, so a wheel can say one thing and install another; here that is an
`IntegrityError`. Unpacking and hashing is the dear part, and a wheel in the vault never changes:
`cached_content` keeps what was found beside the wheel.

Source: PyPA "Binary distribution format", "Recording installed projects" (PEP 427, 376).
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from envguard import storage
from envguard.formats.dist_info import Metadata, read_metadata, top_level_modules
from envguard.formats.record import (
    InstalledFile,
    RecordRow,
    content_digest,
    in_wheel,
    is_rewritten,
    read_record,
)
from envguard.model.codec import decode_hook, encode_hook
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError
from envguard.model.lock import wheel_build
from envguard.model.package import Package
from envguard.wheels.archive import Wheel
from envguard.wheels.vault import Vault
from envguard.wheels.zip import Member

_SCHEMA = 1
"""Names the cache's folder: raise it when `Content` or the meaning of anything in it changes."""
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_REPORTED_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A wheel's *package*, the *files* it installs, and the digest of every member by its path.

    *files* are by normalised path and without what installers write themselves (see
    `envguard.formats.record`); *members* is all of the archive but RECORD.
    """

    package: Package
    files: tuple[InstalledFile, ...]
    members: Mapping[str, Digest]


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    filename: str
    content: Content


def cached_content(vault: Vault, digest: Digest, filename: str) -> Content:
    """The content of the wheel that *vault* holds as *digest*; read once, then remembered.

    A remembered answer that is torn, of another schema or of another file name is read anew.
    Raises as `read_content` does, and `UnreadableError` when the vault does not hold the wheel.
    """
    place = vault.note(digest, f"content-{_SCHEMA}")
    stored = _load(place)
    if stored is not None and stored.filename == filename:
        return stored.content
    with Wheel.open(vault.get(digest), filename=filename) as wheel:
        content = read_content(wheel)
    with suppress(OSError):  # a vault that cannot be written to is still good to read
        _save(place, _Stored(filename=filename, content=content))
    return content


def read_content(wheel: Wheel) -> Content:
    """Unpack and hash every member once.

    Raises `IntegrityError` naming every member that is not what RECORD states, that RECORD does
    not list, or that RECORD lists and the wheel does not have; `UnreadableError` when a member,
    RECORD or METADATA cannot be read, or METADATA is of another distribution.
    """
    record = _record(wheel)
    members: dict[str, Digest] = {}
    files: list[InstalledFile] = []
    problems = [f"{path} is not there" for path in sorted(record.keys() - wheel.by_path.keys())]
    for member in wheel.members:
        if member.path == _record_path(wheel):
            continue
        row = record.get(member.path)
        digests, head = _hashed(wheel, member, row)
        members[member.path] = digests["sha256"]
        problems.extend(_problems(wheel, member, row, digests))
        path = in_wheel(member.path, wheel.data_folder)
        if path is not None and not is_rewritten(path, head):
            files.append(InstalledFile(path=path, digest=digests["sha256"], size=member.size))
    if problems:
        raise _not_as_recorded(wheel, problems)
    return Content(
        package=_package(wheel, tuple(sorted(files))), files=tuple(sorted(files)), members=members
    )


def _record_path(wheel: Wheel) -> str:
    return f"{wheel.dist_info}/RECORD"


def _record(wheel: Wheel) -> dict[str, RecordRow]:
    """The rows of RECORD by path, without its own; two rows for one path are refused."""
    source = f"{wheel.filename}!{_record_path(wheel)}"
    rows: dict[str, RecordRow] = {}
    for row in read_record(wheel.read(wheel.by_path[_record_path(wheel)]), source):
        if rows.setdefault(row.path, row) != row:
            raise UnreadableError(f"states {row.path} twice, differently", where=source)
    rows.pop(_record_path(wheel), None)
    return rows


def _hashed(wheel: Wheel, member: Member, row: RecordRow | None) -> tuple[dict[str, Digest], bytes]:
    """The sha256 of a member, the digest in the algorithm of its *row*, and its first bytes."""
    algorithms = {"sha256"} | ({row.digest.algorithm} if row and row.digest else set())
    hashers = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
    head = b""
    for data in wheel.chunks(member):
        head = head if len(head) >= 2 else (head + data)[:2]
        for hasher in hashers.values():
            hasher.update(data)
    return {name: Digest(name, hasher.hexdigest()) for name, hasher in hashers.items()}, head


def _problems(
    wheel: Wheel, member: Member, row: RecordRow | None, digests: Mapping[str, Digest]
) -> Iterator[str]:
    """Where one member is not what RECORD states of it."""
    if member.path in [f"{wheel.dist_info}/{name}" for name in _SIGNATURES]:
        return
    if row is None:
        yield f"{member.path} is not listed"
    elif row.digest is None:
        yield f"{member.path} is listed without a digest"
    elif row.digest != digests[row.digest.algorithm]:
        yield f"{member.path} has {digests[row.digest.algorithm]}, RECORD states {row.digest}"
    elif row.size is not None and row.size != member.size:
        yield f"{member.path} has {member.size} bytes, RECORD states {row.size}"


def _not_as_recorded(wheel: Wheel, problems: list[str]) -> IntegrityError:
    more = len(problems) - _REPORTED_PROBLEMS
    tail = [f"and {more} more"] if more > 0 else []
    return IntegrityError(
        "; ".join(problems[:_REPORTED_PROBLEMS] + tail),
        where=wheel.filename,
        expected="every member as the wheel's RECORD states it",
        hint="do not install this file; ask who built it",
    )


def _package(wheel: Wheel, files: tuple[InstalledFile, ...]) -> Package:
    return Package(
        name=wheel.name,
        version=wheel.version,
        build=wheel_build(wheel.filename),
        content=content_digest(files),
        requires=_metadata(wheel).requires,
        modules=top_level_modules(file.path for file in files),
    )


def _metadata(wheel: Wheel) -> Metadata:
    """METADATA, which must be of the distribution that the file name states."""
    from packaging.version import InvalidVersion, Version

    path = f"{wheel.dist_info}/METADATA"
    source = f"{wheel.filename}!{path}"
    metadata = read_metadata(wheel.read(wheel.by_path[path]), source)
    try:
        same = metadata.name == wheel.name and Version(metadata.version) == Version(wheel.version)
    except InvalidVersion:
        same = False
    if not same:
        raise UnreadableError(
            "is of another distribution than the file name says",
            where=source,
            expected=f"{wheel.name} {wheel.version}",
            found=f"{metadata.name} {metadata.version}",
        )
    return metadata


def _load(place: Path) -> _Stored | None:
    """What was remembered, or ``None`` when it is absent or not exactly what was written."""
    try:
        checksum, _, data = place.read_bytes().partition(b"\n")
        if checksum != hashlib.sha256(data).hexdigest().encode():
            return None
        return msgspec.json.decode(data, type=_Stored, dec_hook=decode_hook)
    except (OSError, msgspec.ValidationError, msgspec.DecodeError):
        return None


def _save(place: Path, stored: _Stored) -> None:
    data = msgspec.json.encode(stored, enc_hook=encode_hook)
    storage.write(place, hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
