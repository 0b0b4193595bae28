"""The ELF objects in wheels: what they need decides which libraries a base must have."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile

import msgspec

from envguard import storage
from envguard.engines.assemble.plan import PinnedWheel
from envguard.images.elf import Elf, PackageObject, read_elf
from envguard.model.digest import Digest
from envguard.wheels.archive import Wheel
from envguard.wheels.vault import Vault
from envguard.wheels.zip import Member

_KIND = "elf-2"
_IN_MEMORY = 8 << 20


def package_objects(wheels: Sequence[PinnedWheel], vault: Vault) -> list[PackageObject]:
    """Every ELF object of *wheels*; read once for each wheel, then remembered in *vault*.

    Raises `UnreadableError` for an object that contradicts itself.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = pool.map(lambda wheel: _objects(wheel, vault), wheels)
        return [
            PackageObject(package=wheel.package.name, path=path, elf=elf)
            for wheel, objects in zip(wheels, found, strict=True)
            for path, elf in objects.items()
        ]


def _objects(pinned: PinnedWheel, vault: Vault) -> Mapping[str, Elf]:
    note = vault.note(pinned.digest, _KIND)
    if (remembered := _load(note, pinned.digest)) is not None:
        return remembered
    with Wheel.open(pinned.path, filename=pinned.filename) as wheel:
        objects = {
            member.path: elf
            for member in wheel.members
            if (elf := _read(wheel, member, pinned.path)) is not None
        }
    with suppress(OSError):  # a vault that cannot be written to is still good to read
        _save(note, pinned.digest, objects)
    return objects


def _read(wheel: Wheel, member: Member, path: Path) -> Elf | None:
    chunks = wheel.chunks(member)
    head = next(chunks, b"")
    if head[:4] != b"\x7fELF":
        return None
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        spool.write(head)
        for chunk in chunks:
            spool.write(chunk)
        spool.seek(0)
        return read_elf(spool, f"{path.name}!{member.path}")


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    wheel: str
    objects: dict[str, Elf]


def _load(place: Path, wheel: Digest) -> Mapping[str, Elf] | None:
    """What was remembered of *wheel*, or ``None`` when it is not exactly what was written."""
    try:
        checksum, _, data = place.read_bytes().partition(b"\n")
        if checksum != hashlib.sha256(data).hexdigest().encode():
            return None
        stored = msgspec.json.decode(data, type=_Stored)
    except (OSError, msgspec.ValidationError, msgspec.DecodeError):
        return None
    return stored.objects if stored.wheel == str(wheel) else None


def _save(place: Path, wheel: Digest, objects: Mapping[str, Elf]) -> None:
    data = msgspec.json.encode(_Stored(wheel=str(wheel), objects=dict(objects)))
    storage.write(place, hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
