"""The vault: whole files under their digests, whoever else writes and dies."""

import os
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import pytest

from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError
from envguard.wheels.vault import Vault

DATA = b"the bytes of a file" * 1000
DIGEST = Digest.of(DATA)


def left(vault: Vault) -> list[str]:
    return sorted(str(p.relative_to(vault.folder)) for p in vault.folder.rglob("*") if p.is_file())


def test_add_keeps_the_bytes_read_only(tmp_path: Path):
    vault = Vault(tmp_path / "vault")
    assert not vault.has(DIGEST)
    path = vault.add(BytesIO(DATA), DIGEST)
    assert path == vault.path(DIGEST) == vault.get(DIGEST)
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444
    (tmp_path / "source").write_bytes(DATA)
    assert vault.add(tmp_path / "source", DIGEST) == path
    vault.verify(DIGEST)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_every_algorithm(algorithm: str, tmp_path: Path):
    import hashlib

    digest = Digest(algorithm, hashlib.new(algorithm, DATA).hexdigest())
    vault = Vault(tmp_path)
    vault.add(BytesIO(DATA), digest)
    assert list(vault.digests()) == [digest]


def test_wrong_bytes_are_named_and_not_kept(tmp_path: Path):
    vault = Vault(tmp_path / "vault")
    (tmp_path / "source").write_bytes(DATA + b"!")
    with pytest.raises(IntegrityError) as raised:
        vault.add(tmp_path / "source", DIGEST)
    assert raised.value.expected == str(DIGEST)
    assert raised.value.found == str(Digest.of(DATA + b"!"))
    assert str(tmp_path / "source") in str(raised.value)
    assert left(vault) == []


def test_what_fails_half_way_is_not_kept(tmp_path: Path):
    vault = Vault(tmp_path / "vault")
    with pytest.raises(RuntimeError), vault.receiving(DIGEST, "x") as incoming:
        incoming.write(DATA)
        raise RuntimeError
    assert left(vault) == []


def test_what_is_absent_is_said_so(tmp_path: Path):
    with pytest.raises(UnreadableError, match="does not hold sha256:"):
        Vault(tmp_path).get(DIGEST)
    with pytest.raises(UnreadableError, match="cannot be read"):
        Vault(tmp_path).add(tmp_path / "absent", DIGEST)


def test_verify_notices_changed_bytes(tmp_path: Path):
    vault = Vault(tmp_path)
    path = vault.add(BytesIO(DATA), DIGEST)
    path.chmod(0o644)
    path.write_bytes(DATA[:-1] + b"?")
    with pytest.raises(IntegrityError, match="not the bytes that were pinned"):
        vault.verify(DIGEST)


def test_discard_takes_the_notes_too(tmp_path: Path):
    vault = Vault(tmp_path)
    vault.add(BytesIO(DATA), DIGEST)
    note = vault.note(DIGEST, "content-1")
    note.parent.mkdir(parents=True)
    note.write_bytes(b"")
    vault.discard(DIGEST)
    vault.discard(DIGEST)
    assert left(vault) == []


def test_old_temporary_files_are_swept_and_new_ones_are_not(tmp_path: Path):
    folder = tmp_path / "sha256"
    folder.mkdir()
    for name, age in (("old", 2 * 86400), ("new", 60)):
        path = folder / f".{name}.tmp"
        path.write_bytes(b"")
        os.utime(path, (time.time() - age,) * 2)
    vault = Vault(tmp_path)
    vault.add(BytesIO(DATA), DIGEST)
    assert left(vault) == ["sha256/.new.tmp", f"sha256/{DIGEST.hex}"]
    assert list(vault.digests()) == [DIGEST]


ADDER = """
import sys
from io import BytesIO
from pathlib import Path
from envguard.model.digest import Digest
from envguard.wheels.vault import Vault
while True:
    for number in range(20):
        data = bytes([number]) * 300_000
        Vault(Path(sys.argv[1])).add(BytesIO(data), Digest.of(data))
"""


def test_processes_that_are_killed_leave_no_torn_file(tmp_path: Path):
    adders = [subprocess.Popen([sys.executable, "-c", ADDER, str(tmp_path)]) for _ in range(8)]
    vault = Vault(tmp_path)
    deadline = time.monotonic() + 20
    try:
        while len(list(vault.digests())) < 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        for adder in adders:
            time.sleep(0.01)
            adder.kill()
            for digest in vault.digests():
                vault.verify(digest)
    finally:
        for adder in adders:
            adder.kill()
            adder.wait()
    assert len(list(vault.digests())) == 20
    for digest in vault.digests():
        vault.verify(digest)
