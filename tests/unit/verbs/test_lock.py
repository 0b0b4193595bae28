"""The story of `envguard lock`, with the real uv and an index on loopback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from envguard.engines.resolve.uv import uv_program
from envguard.formats.pylock import read
from envguard.model.errors import MismatchError, ToolError, UnreadableError, UsageError
from envguard.verbs.lock import LockOptions, PackageChange, lock
from envguard.verbs.lock_file import LockFormat
from tests.support.index import LoopbackIndex, serving
from tests.support.wheels import make_wheel

OPTIONS = LockOptions(inputs=(Path("requirements.in"),), name="demo", python_version="3.11")
PYLOCK, TEXT = Path("lockfiles/pylock.demo.toml"), Path("lockfiles/demo.txt")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackIndex]:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, name="alpha", version="1.0", metadata="Requires-Dist: beta>=1")
    make_wheel(wheels, name="beta", version="1.0")
    make_wheel(wheels, name="gamma", version="1.0", tag="cp311-cp311-manylinux_2_34_x86_64")
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    Path("requirements.in").write_text("alpha  # a model needs it\n")
    with serving(wheels) as served:
        monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
        yield served


@pytest.fixture(params=[LockFormat.PYLOCK, LockFormat.REQUIREMENTS])
def options(request: pytest.FixtureRequest) -> LockOptions:
    return replace(OPTIONS, format=request.param)


def test_a_lock_is_made_and_then_holds(index: LoopbackIndex, options: LockOptions):
    steps: list[tuple[str, int, int | None]] = []
    made = lock(options, lambda *step: steps.append(step))
    assert made.path == (PYLOCK if options.format is LockFormat.PYLOCK else TEXT)
    assert made.changed
    assert made.stale == "there is none yet"
    assert made.changes == (
        PackageChange(name="alpha", before=None, after="1.0"),
        PackageChange(name="beta", before=None, after="1.0"),
    )
    assert steps == [("resolving with uv", 0, None), ("resolving with uv", 1, 1)]
    data, asked = made.path.read_bytes(), len(index.requests)

    held = lock(options, lambda *step: pytest.fail("nothing is resolved"))
    assert (held.changed, held.stale, held.changes) == (False, None, ())
    assert held.lock == made.lock
    assert made.path.read_bytes() == data
    assert len(index.requests) == asked
    assert lock(replace(options, check=True)).lock == made.lock


def test_the_same_inputs_give_the_same_bytes(index: LoopbackIndex, options: LockOptions):
    first = lock(options)
    data = first.path.read_bytes()
    first.path.unlink()
    assert lock(options).path.read_bytes() == data


def test_changed_inputs_keep_what_still_fits(index: LoopbackIndex, options: LockOptions):
    lock(options)
    make_wheel(index.folder, name="alpha", version="2.0")
    make_wheel(index.folder, name="delta", version="1.0")
    Path("requirements.in").write_text("alpha\ndelta\n")
    outcome = lock(options)
    assert outcome.stale == "its inputs or options changed"
    assert outcome.changes == (PackageChange(name="delta", before=None, after="1.0"),)
    upgraded = lock(replace(options, upgrade_packages=("alpha",)))
    assert upgraded.changes == (
        PackageChange(name="alpha", before="1.0", after="2.0"),
        PackageChange(name="beta", before="1.0", after=None),
    )


def test_upgrade_resolves_although_nothing_changed(index: LoopbackIndex, options: LockOptions):
    lock(options)
    make_wheel(index.folder, name="beta", version="3.0")
    outcome = lock(replace(options, upgrade=True))
    assert outcome.stale is None
    assert outcome.changes == (PackageChange(name="beta", before="1.0", after="3.0"),)
    again = lock(replace(options, upgrade=True))
    assert not again.changed


def stale(options: LockOptions) -> str:
    path = PYLOCK if options.format is LockFormat.PYLOCK else TEXT
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(MismatchError) as caught:
        lock(replace(options, check=True))
    assert (path.read_bytes() if path.exists() else None) == before
    assert caught.value.where == str(path)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("run: envguard lock requirements.in")
    return caught.value.message


def test_check_says_why_and_writes_nothing(index: LoopbackIndex, options: LockOptions):
    assert stale(options).endswith("there is none yet")
    path = lock(options).path
    asked = len(index.requests)
    Path("requirements.in").write_text("beta")
    assert stale(options).endswith("its inputs or options changed")
    Path("requirements.in").write_text("# only a comment\nalpha")
    lock(replace(options, check=True))
    assert stale(replace(options, exclude_newer="2026-01-01")).endswith("options changed")
    text = path.read_text()
    at = text.index("sha256", text.index("alpha")) + 12
    path.write_text(text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :])
    assert stale(options).endswith("it was edited after it was made")
    assert len(index.requests) == asked


def test_an_included_file_counts(index: LoopbackIndex, options: LockOptions):
    Path("base.in").write_text("beta")
    Path("requirements.in").write_text("-r base.in\nalpha")
    lock(options)
    Path("base.in").write_text("beta<9")
    assert stale(options).endswith("inputs or options changed")


def test_a_lock_that_another_tool_made_is_made_again_with_its_versions(index: LoopbackIndex):
    make_wheel(index.folder, name="beta", version="2.0")
    PYLOCK.parent.mkdir()
    compile_ = [uv_program(), "pip", "compile", "-q", "--universal", "--python-version=3.11"]
    subprocess.run([*compile_, "-o", PYLOCK, "requirements.in"], check=True, capture_output=True)
    PYLOCK.write_text(PYLOCK.read_text().replace("beta-2.0", "beta-1.0").replace('"2.0"', '"1.0"'))
    assert stale(OPTIONS).endswith("it was not made by envguard lock")
    outcome = lock(OPTIONS)
    versions = {entry.package.name: entry.package.version for entry in outcome.lock.entries}
    assert versions == {"alpha": "1.0", "beta": "1.0"}


def test_a_broken_lock_is_not_overwritten(index: LoopbackIndex, options: LockOptions):
    path = lock(options).path
    path.write_text("packages = [" if options.format is LockFormat.PYLOCK else "=1")
    with pytest.raises(UnreadableError):
        lock(options)
    assert path.read_text() in ("packages = [", "=1")


def test_no_answer_changes_nothing(index: LoopbackIndex, options: LockOptions):
    path = lock(options).path
    data = path.read_bytes()
    Path("requirements.in").write_text("alpha==9")
    with pytest.raises(ToolError, match="alpha==9"):
        lock(options)
    assert path.read_bytes() == data
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_targets_are_proved(index: LoopbackIndex):
    Path("requirements.in").write_text("gamma")
    with pytest.raises(MismatchError, match="no lock for x86_64-manylinux_2_28: no wheel of gamma"):
        lock(replace(OPTIONS, targets=("x86_64-manylinux_2_34", "x86_64-manylinux_2_28")))
    assert not PYLOCK.exists()
    made = lock(replace(OPTIONS, targets=("x86_64-manylinux_2_34",)))
    (environment,) = made.lock.environments
    assert 'python_version == "3.11"' in environment


def test_the_python_is_remembered(index: LoopbackIndex, options: LockOptions):
    unsaid = replace(options, python_version=None)
    lock(replace(options, python_version="3.12"))
    assert not lock(unsaid).changed
    Path("pyproject.toml").write_text(
        '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.13"'
    )
    project = replace(unsaid, inputs=(Path("pyproject.toml"),), name=None)
    assert 'python = "3.13"' in lock(replace(project, format=LockFormat.PYLOCK)).path.read_text()


def test_local_files_are_paths_relative_to_the_lock(index: LoopbackIndex):
    Path("wheels").mkdir()
    make_wheel(Path("wheels"), name="local", version="1.0")
    Path("requirements.in").write_text("./wheels/local-1.0-py3-none-any.whl")
    (entry,) = lock(OPTIONS).lock.entries
    assert entry.package.archives[0].path == "../wheels/local-1.0-py3-none-any.whl"
    assert str(Path.cwd()) not in PYLOCK.read_text()


def test_no_secret_is_written_or_shown(
    index: LoopbackIndex, options: LockOptions, monkeypatch: pytest.MonkeyPatch
):
    with serving(index.folder, credentials=("me", "s3cret")) as private:
        monkeypatch.setenv("UV_DEFAULT_INDEX", private.secret_url)
        url = f"http://me:s3cret@{private.authority}/files/alpha-1.0-py3-none-any.whl"
        Path("requirements.in").write_text(f"alpha @ {url}?token=s3cret\n")
        made = lock(options)
        assert "s3cret" not in made.path.read_text() + repr(made)
        assert not lock(options).changed
        Path("requirements.in").write_text(f"alpha @ {url}\nbeta==9")
        with pytest.raises(ToolError) as caught:
            lock(options)
    assert "s3cret" not in f"{caught.value} {caught.value.hint} {caught.value.where}"


def test_requirements_name_their_command_and_no_index(index: LoopbackIndex):
    text = lock(replace(OPTIONS, format=LockFormat.REQUIREMENTS)).path.read_text()
    head = text.splitlines()[0]
    assert head == (
        "# Made by: envguard lock requirements.in"
        " --python-version 3.11 --format requirements --name demo"
    )
    assert "127.0.0.1" not in text
    assert "--index" not in text


def test_uv_and_pip_take_the_locks(index: LoopbackIndex, tmp_path: Path):
    pylock = lock(OPTIONS).path
    text = lock(replace(OPTIONS, format=LockFormat.REQUIREMENTS)).path
    here = [uv_program(), "pip", "install", "--quiet", "--python", sys.executable]
    for path, more in ((pylock, []), (text, ["--require-hashes"])):
        target = tmp_path / path.stem
        subprocess.run([*here, "--target", target, *more, "-r", path], check=True)
        assert {item.name for item in target.glob("*.dist-info")} == {
            "alpha-1.0.dist-info",
            "beta-1.0.dist-info",
        }
    pip = [sys.executable, "-m", "pip", "--isolated", "install", "-q", "--target", tmp_path / "pip"]
    options = ["--index-url", index.url, "--require-hashes", "-r", text]
    subprocess.run([*map(str, [*pip, *options])], check=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": ()}, "nothing to lock"),
        ({"resolver": "nope"}, "no resolver"),
        ({"check": True, "upgrade": True}, "cannot upgrade"),
        ({"name": "a.b"}, "no name of a lock"),
        ({"name": "../x"}, "no name of a lock"),
        ({"output": Path("x.toml")}, "no file name of a lock"),
        ({"output": Path("pylock.a.b.toml")}, "no file name of a lock"),
        ({"python_version": "3.11; x"}, "no version of Python"),
        ({"targets": ("beos",)}, "no platform"),
        ({"extras": ("x",)}, "extras and groups"),
        (
            {"output": Path("requirements.in"), "format": LockFormat.REQUIREMENTS},
            "input and the lock",
        ),
    ],
)
def test_requests_that_make_no_sense(index: LoopbackIndex, change, message: str):
    with pytest.raises(UsageError, match=message):
        lock(replace(OPTIONS, **change))
    assert not Path("lockfiles").exists()


def test_with_pip_tools(
    index: LoopbackIndex, options: LockOptions, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    made = lock(replace(options, resolver="pip-tools", python_version=None))
    assert [entry.package.name for entry in made.lock.entries] == ["alpha", "beta"]
    assert not lock(replace(options, resolver="pip-tools", python_version=None)).changed
    if options.format is LockFormat.PYLOCK:
        assert read(made.path.read_bytes(), "x").environments
