"""ELF objects of wheels, remembered beside them."""

import sys
from pathlib import Path

import pytest

from envguard.engines.assemble import objects as objects_module
from envguard.engines.assemble.objects import package_objects
from envguard.engines.assemble.plan import PinnedWheel
from envguard.model.digest import Digest
from envguard.model.package import Package
from envguard.wheels.vault import Vault
from tests.support.wheels import make_wheel

PROGRAM = next(
    (path for path in ("/bin/true", "/usr/bin/true", sys.executable) if Path(path).is_file()), ""
)


@pytest.fixture
def pinned(tmp_path: Path) -> tuple[PinnedWheel, Vault]:
    path = make_wheel(tmp_path, {"demo/program": Path(PROGRAM).read_bytes(), "demo/a.py": b""})
    digest = Digest.of(path.read_bytes())
    vault = Vault(tmp_path / "vault")
    wheel = PinnedWheel(
        package=Package(name="demo", version="1.0"),
        path=vault.add(path, digest),
        filename=path.name,
        digest=digest,
        size=path.stat().st_size,
    )
    return wheel, vault


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("was read again")

    monkeypatch.setattr(objects_module, "_read", refuse)


def test_objects_are_read_once(
    pinned: tuple[PinnedWheel, Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, vault = pinned
    found = package_objects([wheel], vault)
    assert [(item.package, item.path) for item in found] == [("demo", "demo/program")]
    forbid_reading(monkeypatch)
    assert package_objects([wheel], vault) == found


@pytest.mark.parametrize("damage", ["edited", "cut", "of another wheel"])
def test_a_note_that_is_not_what_was_written_is_made_again(
    pinned: tuple[PinnedWheel, Vault], damage: str
) -> None:
    wheel, vault = pinned
    found = package_objects([wheel], vault)
    note = next(path for path in (vault.folder / "notes").rglob("*") if path.is_file())
    data = note.read_bytes()
    match damage:
        case "edited":
            note.write_bytes(data.replace(b"demo/program", b"demo/another"))
        case "cut":
            note.write_bytes(data[:-1])
        case "of another wheel":
            body = data.partition(b"\n")[2].replace(wheel.digest.hex.encode(), b"0" * 64)
            note.write_bytes(Digest.of(body).hex.encode() + b"\n" + body)
    assert note.read_bytes() != data
    assert package_objects([wheel], vault) == found
    assert note.read_bytes() == data
