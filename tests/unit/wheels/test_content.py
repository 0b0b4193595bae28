"""What is inside a wheel: checked against RECORD, equal to installed trees, remembered safely."""

import hashlib
import posixpath
import subprocess
import sys
from pathlib import Path

import pytest

from envguard.formats.record import (
    InstalledFile,
    content_digest,
    in_prefix,
    is_rewritten,
    read_record,
)
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError
from envguard.wheels import content as content_module
from envguard.wheels.archive import Wheel
from envguard.wheels.content import Content, cached_content, read_content
from envguard.wheels.vault import Vault
from tests.support.wheels import make_wheel, record_of, wheel_files

INFO = "demo-1.0.dist-info"
FILES = {
    "demo/__init__.py": b"answer = 42\n",
    "demo/__pycache__/__init__.cpython-311.pyc": b"bytecode",
    "demo_single.py": b"",
    "space/inner/module.py": b"",
    "_fast.cpython-311-x86_64-linux-gnu.so": b"\x7fELF",
    "demo.libs/libx.so.1": b"\x7fELF",
    "demo-1.0.data/purelib/pure.py": b"",
    "demo-1.0.data/scripts/generated": b"#!python\nprint()\n",
    "demo-1.0.data/scripts/shell": b"#!/bin/sh\n",
    "demo-1.0.data/scripts/binary": b"\x7fELF",
    "demo-1.0.data/data/share/demo/a,b.txt": b"text",
    "demo-1.0.data/headers/demo.h": b"int x;",
    f"{INFO}/entry_points.txt": b"[console_scripts]\ndemo = demo:main\n",
}


def read(path: Path) -> Content:
    with Wheel.open(path) as wheel:
        return read_content(wheel)


def test_content_of_a_wheel(tmp_path: Path):
    path = make_wheel(tmp_path, FILES, metadata="Requires-Dist: numpy>=1.2; extra == 'x'\n")
    content = read(path)
    package = content.package
    assert (package.name, package.version, package.build) == ("demo", "1.0", "py3-none-any")
    assert package.requires == ("numpy>=1.2; extra == 'x'",)
    assert package.modules == ("_fast", "demo", "demo_single", "pure", "space")
    assert package.content == content_digest(content.files)
    assert [file.path for file in content.files] == sorted(
        [
            "data/share/demo/a,b.txt",
            "headers/demo.h",
            "lib/_fast.cpython-311-x86_64-linux-gnu.so",
            "lib/demo.libs/libx.so.1",
            "lib/demo/__init__.py",
            "lib/demo_single.py",
            "lib/pure.py",
            "lib/space/inner/module.py",
            "scripts/binary",
            f"lib/{INFO}/METADATA",
            f"lib/{INFO}/WHEEL",
            f"lib/{INFO}/entry_points.txt",
        ]
    )
    members = wheel_files(FILES, metadata="Requires-Dist: numpy>=1.2; extra == 'x'\n")
    del members[f"{INFO}/RECORD"]
    assert content.members == {path: Digest.of(data) for path, data in members.items()}


def recorded(folder: Path, record: bytes, **more: bytes) -> Path:
    return make_wheel(folder, {"demo.py": b"x = 1\n", f"{INFO}/RECORD": record, **more})


def rows(**changes: bytes | None) -> bytes:
    members = wheel_files({"demo.py": b"x = 1\n"})
    del members[f"{INFO}/RECORD"]
    members |= {path: data for path, data in changes.items() if data is not None}
    for path in [path for path, data in changes.items() if data is None]:
        del members[path]
    return record_of(members, INFO)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (rows(**{"demo.py": b"x = 2\n"}), "demo.py has sha256:"),
        (rows(**{"demo.py": None}), "demo.py is not listed"),
        (rows(**{"gone.py": b""}), "gone.py is not there"),
        (rows().replace(b",6\n", b",7\n"), "demo.py has 6 bytes, RECORD states 7"),
        (rows(**{"demo.py": None}) + b"demo.py,,\n", "demo.py is listed without a digest"),
        (rows(**{"demo.py": None}) + b"demo.py,md5=abc,6\n", "listed without a digest"),
    ],
)
def test_members_must_be_what_record_states(record: bytes, says: str, tmp_path: Path):
    with pytest.raises(IntegrityError) as raised:
        read(recorded(tmp_path, record))
    assert says in raised.value.message


def test_all_wrong_members_are_named(tmp_path: Path):
    record = rows(**{"demo.py": b"", f"{INFO}/WHEEL": None, "gone.py": b""})
    with pytest.raises(IntegrityError) as raised:
        read(recorded(tmp_path, record))
    for name in ("demo.py has", "WHEEL is not listed", "gone.py is not there"):
        assert name in raised.value.message


def test_record_may_use_other_algorithms_and_leave_out_sizes(tmp_path: Path):
    import base64

    encoded = base64.urlsafe_b64encode(hashlib.sha512(b"x = 1\n").digest()).rstrip(b"=")
    record = rows(**{"demo.py": None}) + b"demo.py,sha512=" + encoded + b",\n"
    assert read(recorded(tmp_path, record)).members["demo.py"] == Digest.of(b"x = 1\n")


def test_signatures_need_no_row(tmp_path: Path):
    content = read(recorded(tmp_path, rows(), **{f"{INFO}/RECORD.jws": b"{}"}))
    assert f"lib/{INFO}/RECORD.jws" not in [file.path for file in content.files]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({f"{INFO}/RECORD": b"\xff"}, "is no RECORD"),
        ({f"{INFO}/RECORD": rows() + rows(**{"demo.py": b""})}, "twice, differently"),
        ({f"{INFO}/METADATA": b"Name: demo\nVersion: 2.0\n"}, "of another distribution"),
        ({f"{INFO}/METADATA": b"Name: other\nVersion: 1.0\n"}, "of another distribution"),
        ({f"{INFO}/METADATA": b"nothing"}, "name is stated nowhere"),
    ],
)
def test_unreadable_metadata(files: dict[str, bytes], says: str, tmp_path: Path):
    with pytest.raises(UnreadableError, match=says) as raised:
        read(make_wheel(tmp_path, {"demo.py": b"x = 1\n", **files}))
    assert "demo-1.0-py3-none-any.whl!" in str(raised.value.where)


@pytest.fixture
def vaulted(tmp_path: Path) -> tuple[Vault, Digest, str]:
    path = make_wheel(tmp_path, FILES)
    vault, digest = Vault(tmp_path / "vault"), Digest.of(path.read_bytes())
    vault.add(path, digest)
    return vault, digest, path.name


def test_content_is_remembered(vaulted: tuple[Vault, Digest, str], monkeypatch):
    first = cached_content(*vaulted)
    monkeypatch.setattr(content_module, "read_content", None)
    assert cached_content(*vaulted) == first


@pytest.mark.parametrize("damage", ["torn", "foreign", "empty", "checked nonsense", "folder"])
def test_a_damaged_memory_is_read_anew(damage: str, vaulted: tuple[Vault, Digest, str]):
    vault, digest, name = vaulted
    first = cached_content(vault, digest, name)
    [note] = (vault.folder / "notes").rglob("sha256-*")
    data = note.read_bytes()
    note.unlink()
    nonsense = b'{"filename": 1}'
    match damage:
        case "torn":
            note.write_bytes(data[:-100])
        case "foreign":
            note.write_bytes(data.replace(b"space", b"spade"))
        case "empty":
            note.write_bytes(b"")
        case "checked nonsense":
            note.write_bytes(hashlib.sha256(nonsense).hexdigest().encode() + b"\n" + nonsense)
        case "folder":
            note.mkdir()
    assert cached_content(vault, digest, name) == first
    if damage != "folder":
        assert note.read_bytes() == data


def test_memory_is_for_one_file_name(vaulted: tuple[Vault, Digest, str]):
    vault, digest, name = vaulted
    cached_content(vault, digest, name)
    other = cached_content(vault, digest, "demo-1.0-2-py3-none-any.whl")
    assert other.package.build == "2-py3-none-any"


def installed_content(prefix: Path, info: str) -> Digest:
    """The content digest of an installed distribution, out of its RECORD."""
    site = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    files = []
    for row in read_record((prefix / site / info / "RECORD").read_bytes(), info):
        path = posixpath.normpath(f"{site}/{row.path}")
        normalised = in_prefix(path, site)
        if normalised is None or row.digest is None:
            continue
        data = (prefix / path).read_bytes()
        assert row.digest == Digest.of(data)
        if not is_rewritten(normalised, data[:2]):
            files.append(InstalledFile(path=normalised, digest=row.digest, size=len(data)))
    return content_digest(files)


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_equal_to_what_installers_install(installer: str, tmp_path: Path):
    path = make_wheel(tmp_path, FILES)
    prefix = str(tmp_path / "venv")
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, prefix], check=True)
    if installer == "uv":
        command = [uv, "pip", "install", "-q", "--offline", "--no-deps", "-p", prefix]
    else:
        command = [sys.executable, "-m", "pip", "--python", prefix, "install", "-q", "--no-deps"]
        command += ["--no-index", "--disable-pip-version-check"]
    subprocess.run([*command, path], check=True)
    assert installed_content(Path(prefix), INFO) == read(path).package.content
