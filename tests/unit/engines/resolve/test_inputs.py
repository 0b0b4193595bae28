from pathlib import Path

import pytest

from envguard.engines.resolve.inputs import lock_name, read_inputs
from envguard.engines.resolve.platforms import LockPlatform
from envguard.model.digest import Digest
from envguard.model.environment import Libc
from envguard.model.errors import UnreadableError, UsageError

PROJECT = """
[project]
name = "Churn.Model"
version = "1"
requires-python = ">=3.11,<4"
dependencies = ["numpy"]
[project.optional-dependencies]
gpu = ["torch"]
[dependency-groups]
base = ["pytest"]
dev = [{ include-group = "base" }, "ruff"]
[tool.ruff]
line-length = 80
"""


def digest(*paths: Path, options: dict | None = None, **more) -> Digest:
    return read_inputs(paths, **more).digest(options or {})


def test_comments_and_layout_do_not_count(tmp_path: Path):
    path = tmp_path / "requirements.in"
    path.write_text("numpy>=1 # why\n\n-r more.in")
    (tmp_path / "more.in").write_text("scipy")
    first = digest(path)
    path.write_text("# head\nnumpy>=1\n-r   more.in\n")
    assert digest(path) == first
    (tmp_path / "more.in").write_text("scipy<2")
    assert digest(path) != first


def test_what_counts(tmp_path: Path):
    path, constraint = tmp_path / "a.in", tmp_path / "c.txt"
    path.write_text("numpy")
    constraint.write_text("numpy<2")
    digests = {
        digest(path),
        digest(path, options={"python": "3.12"}),
        digest(path, constraints=[constraint]),
        digest(path, constraint),
        digest(path, path),
    }
    assert len(digests) == 5


def test_the_digest_does_not_depend_on_the_folder(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.in").write_text("numpy\n-r b.in")
        (tmp_path / name / "b.in").write_text("scipy")
    assert digest(tmp_path / "one" / "a.in") == digest(tmp_path / "two" / "a.in")


def test_only_what_decides_counts_in_a_project(tmp_path: Path):
    path = tmp_path / "pyproject.toml"
    path.write_text(PROJECT)
    plain, extra = digest(path), digest(path, extras=["gpu"])
    dev = digest(path, groups=["dev"])
    assert len({plain, extra, dev}) == 3
    path.write_text(
        PROJECT.replace("line-length = 80", "line-length = 99").replace('ruff"]', 'mypy"]')
    )
    assert digest(path) == plain
    assert digest(path, groups=["dev"]) != dev
    path.write_text(PROJECT.replace('"numpy"', '"numpy<2"'))
    assert digest(path) != plain


def test_a_local_project_counts_with_its_dependencies(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "proj").mkdir()
    (tmp_path / "proj" / "pyproject.toml").write_text(PROJECT)
    Path("a.in").write_text("-e ./proj")
    first = digest(Path("a.in"))
    (tmp_path / "proj" / "pyproject.toml").write_text(PROJECT.replace('"numpy"', '"scipy"'))
    assert digest(Path("a.in")) != first


def test_a_credential_does_not_count(tmp_path: Path):
    path = tmp_path / "a.in"
    path.write_text("a @ https://u:one@index.example/a.zip")
    first = digest(path)
    path.write_text("a @ https://u:two@index.example/a.zip")
    assert digest(path) == first


def test_the_oldest_python_is_the_projects(tmp_path: Path):
    path = tmp_path / "pyproject.toml"
    for specifier, oldest in [(">=3.11,<4", "3.11"), ("~=3.12.1", "3.12.1"), ("==3.13.*", "3.13"),
                              ("<4", None), ("", None)]:  # fmt: skip
        path.write_text(f'[project]\nname = "a"\nrequires-python = "{specifier}"')
        assert read_inputs([path]).python == oldest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[project]\nname="a"\ndynamic=["dependencies"]', "dynamic"),
        ("project = 7", "no table"),
        ('[project]\nrequires-python = "nope"', "requires-python"),
        ("[project]\nrequires-python = 3", "requires-python"),
    ],
)
def test_projects_that_cannot_be_locked(tmp_path: Path, text: str, message: str):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises((UsageError, UnreadableError), match=message):
        read_inputs([tmp_path / "pyproject.toml"])


def test_unknown_extras_groups_and_files(tmp_path: Path):
    path = tmp_path / "pyproject.toml"
    path.write_text(PROJECT)
    with pytest.raises(UsageError, match="no extra nope") as caught:
        read_inputs([path], extras=["nope"])
    assert caught.value.expected == "gpu"
    with pytest.raises(UsageError, match="nope"):
        read_inputs([path], groups=["nope"])
    (tmp_path / "a.in").write_text("a")
    with pytest.raises(UsageError, match="extras and groups"):
        read_inputs([tmp_path / "a.in"], groups=["dev"])
    with pytest.raises(UsageError, match="no such file"):
        read_inputs([tmp_path / "gone.in"])
    (tmp_path / "setup.py").write_text("raise SystemExit")
    with pytest.raises(UsageError, match="no input"):
        read_inputs([tmp_path / "setup.py"])


def test_includes_from_a_network_are_refused(tmp_path: Path):
    (tmp_path / "a.in").write_text("-r https://u:s3cret@index.example/base.txt")
    with pytest.raises(UnreadableError, match="not on this machine") as caught:
        read_inputs([tmp_path / "a.in"])
    assert "s3cret" not in str(caught.value)


def test_names(tmp_path: Path):
    folder = tmp_path / "My Folder.1"
    folder.mkdir()
    for name in ("requirements.in", "training.in", "train.gpu.txt"):
        (folder / name).write_text("")
    assert lock_name(folder / "requirements.in") == "My-Folder-1"
    assert lock_name(folder / "training.in") == "training"
    assert lock_name(folder / "train.gpu.txt") == "train-gpu"
    (folder / "pyproject.toml").write_text(PROJECT)
    assert lock_name(folder / "requirements.in") == "Churn-Model"
    assert lock_name(folder / "pyproject.toml") == "Churn-Model"


@pytest.mark.parametrize(
    ("name", "machine", "libc"),
    [
        ("linux", "x86_64", Libc(family="glibc", version="2.28")),
        ("aarch64-unknown-linux-musl", "aarch64", Libc(family="musl", version="1.2")),
        ("x86_64-manylinux_2_36", "x86_64", Libc(family="glibc", version="2.36")),
        ("x86_64-manylinux2014", "x86_64", Libc(family="glibc", version="2.17")),
    ],
)
def test_platforms(name: str, machine: str, libc: Libc):
    parsed = LockPlatform.parse(name)
    assert (parsed.platform.machine, parsed.platform.libc) == (machine, libc)
    assert parsed.marker == f"sys_platform == 'linux' and platform_machine == '{machine}'"
    assert parsed.target("3.11").interpreter.version == "3.11"


@pytest.mark.parametrize("name", ["", "macos", "windows", "--python=x", "x86_64-manylinux_2_28 "])
def test_unknown_platforms(name: str):
    with pytest.raises(UsageError):
        LockPlatform.parse(name)
