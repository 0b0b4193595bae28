import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from envguard.formats.lock_meaning import meaning
from envguard.formats.requirements import parse
from envguard.formats.requirements_lock import notes, to_lock, write
from envguard.model.digest import Digest
from envguard.model.errors import UsageError
from envguard.model.lock import Lock, LockEntry
from envguard.model.package import Archive, DirectUrl, Index, LocalFolder, Package, Vcs
from tests.support.wheels import make_wheel

A, B = Digest.of(b"a"), Digest.of(b"b")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def lock_of(text: str, **files: str) -> Lock:
    contents = {"requirements.txt": text, **files}
    return to_lock(parse("requirements.txt", lambda path: contents[path].encode()))


def lock_with(*entries: LockEntry, **more) -> Lock:
    return Lock(source="lock", digest=meaning(entries), entries=entries, **more)


def test_a_pin_with_hashes_has_one_archive_for_each():
    lock = lock_of(f"NumPy==1.26.4 ; python_version < '3.13' --hash={B} --hash={A}")
    (entry,) = lock.entries
    assert entry.marker == 'python_version < "3.13"'
    assert entry.package == Package(
        name="numpy",
        version="1.26.4",
        archives=tuple(Archive(digests=(digest,)) for digest in sorted((A, B))),
        origin=Index(),
    )
    assert not lock.gaps


def test_a_pin_without_hashes_is_known_by_version():
    (entry,) = lock_of("numpy == 1.26").entries
    assert entry.package.version == "1.26"
    assert entry.package.archives == ()


@pytest.mark.parametrize("text", ["numpy", "numpy>=1", "numpy==1.*", "numpy==1,!=1", "./proj", "."])
def test_what_pins_nothing_is_a_gap(text: str):
    lock = lock_of(f"a==1\n{text}")
    assert [entry.package.name for entry in lock.entries] == ["a"]
    (gap,) = lock.gaps
    assert gap.subject == text
    assert "requirements.txt:2" in gap.reason


def test_a_constraint_can_pin():
    lock = lock_of("-c c.txt\nnumpy>=1\nscipy<1", **{"c.txt": f"numpy==1.26 --hash={A}\nscipy==2"})
    (entry,) = lock.entries
    assert (entry.package.name, entry.package.version) == ("numpy", "1.26")
    assert entry.package.archives == (Archive(digests=(A,)),)
    assert [gap.subject for gap in lock.gaps] == ["scipy<1"]


def test_direct_references():
    lock = lock_of(
        f"https://u:p@index.example/a-1.0-py3-none-any.whl --hash={A}\n"
        f"b @ git+https://u:p@code.example/b.git@{COMMIT}#subdirectory=s\n"
        "c @ git+https://code.example/c.git@main\n"
        "-e ./proj#egg=d\n"
        "wheels/e-2.0-py3-none-any.whl\n"
    )
    packages = {entry.package.name: entry.package for entry in lock.entries}
    url = "https://index.example/a-1.0-py3-none-any.whl"
    assert packages["a"].origin == DirectUrl(url=url)
    assert packages["a"].archives[0].url == url
    assert packages["a"].archives[0].digests == (A,)
    origin = Vcs(system="git", url="https://code.example/b.git#subdirectory=s", commit=COMMIT)
    assert packages["b"].origin == origin
    assert packages["d"].origin == LocalFolder(url="./proj", editable=True)
    assert packages["e"].archives[0].path == "wheels/e-2.0-py3-none-any.whl"
    assert [gap.subject for gap in lock.gaps] == ["c @ git+https://code.example/c.git@main"]
    assert "u:p" not in repr(lock)


def test_the_digest_is_of_the_meaning():
    one = lock_of(f"a==1 --hash={A} --hash={B}\nb==2\n")
    other = lock_of(f"# head\nb == 2\nA==1 \\\n  --hash={B} --hash={A}\nb==2\n")
    assert one.digest == other.digest
    assert one.digest != lock_of(f"a==1 --hash={A}\nb==2").digest
    assert one.digest != lock_of(f"a==1 --hash={A} --hash={B}\nb==2\nc").digest


def test_written_text():
    lock = lock_of(f"b==2 --hash={A}\na==1 ; os_name=='posix' --hash={B}")
    text = write(lock, command="envguard lock\nrm -rf", notes={"inputs": str(A)}).decode()
    assert text == (
        "# Made by: envguard lock rm -rf\n"
        f"# envguard: inputs {A}\n"
        f'a==1 ; os_name == "posix" \\\n    --hash={B}\n'
        f"b==2 \\\n    --hash={A}\n"
    )
    assert notes(text.encode()) == {"inputs": str(A)}
    assert notes(b"a==1\n# envguard: inputs x\n") == {}


def test_what_pip_could_not_check_is_refused_by_name():
    lock = lock_of(
        f"a==1\nb==1 --hash={A}\nc\n-e ./d#egg=d\ne @ git+https://code.example/e@{COMMIT}"
    )
    with pytest.raises(UsageError) as caught:
        write(lock, command="envguard lock")
    for name in ("a 1", "  c ", "d has", "e has"):
        assert name in caught.value.message
    assert "b" not in caught.value.message.replace("cannot be", "").replace("be hashed", "")


def test_chosen_extras_cannot_be_written():
    package = Package(name="a", version="1", archives=(Archive(digests=(A,)),))
    lock = lock_with(LockEntry(package=package, marker='"x" in extras'), extras=("x",))
    with pytest.raises(UsageError, match="extras or groups"):
        write(lock, command="envguard lock")


ENTRIES = st.lists(
    st.builds(
        lambda name, version, marker, digests: LockEntry(
            package=Package(
                name=name,
                version=version,
                archives=tuple(Archive(digests=(digest,)) for digest in sorted(digests)),
                origin=Index(),
            ),
            marker=marker,
        ),
        st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,3})?", fullmatch=True),
        st.from_regex(r"[1-9](\.[0-9]{1,2}){0,2}(rc[1-9])?(\+cu126)?", fullmatch=True).map(
            lambda version: str(Version(version))
        ),
        st.sampled_from([None, 'sys_platform == "linux"', 'python_full_version < "3.12"']),
        st.sets(st.binary(max_size=2).map(Digest.of), min_size=1, max_size=3),
    ),
    max_size=6,
    unique_by=lambda entry: entry.package.name,
)


@given(ENTRIES)
def test_a_lock_survives_writing_and_reading(entries: list[LockEntry]):
    lock = lock_with(*sorted(entries, key=lambda entry: entry.package.name))
    again = to_lock(parse("lock", lambda _: write(lock, command="envguard lock")))
    assert again == lock
    assert write(again, command="envguard lock") == write(lock, command="envguard lock")


def test_pip_installs_it_with_hashes_required(tmp_path: Path):
    wheel = make_wheel(tmp_path, name="demo", version="1.0")
    lock = lock_of(f"demo==1.0 --hash={Digest.of(wheel.read_bytes())}")
    path = tmp_path / "lock.txt"
    path.write_bytes(write(lock, command="envguard lock"))
    assert pip_install(path, tmp_path).returncode == 0
    path.write_bytes(write(lock_of(f"demo==1.0 --hash={A}"), command="envguard lock"))
    assert pip_install(path, tmp_path).returncode != 0


def pip_install(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    options = ["--require-hashes", "--no-index", "--find-links", folder, "--target", folder / "t"]
    command = [sys.executable, "-m", "pip", "--isolated", "install", "--upgrade", *options, "-r"]
    return subprocess.run([*map(str, command), str(path)], capture_output=True, text=True)
