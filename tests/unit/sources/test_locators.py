"""What a locator names."""

import tarfile
from pathlib import Path

import pytest

from envguard.model.errors import UsageError
from envguard.sources.locators import (
    FingerprintFile,
    ImageRef,
    LockFile,
    Model,
    Prefix,
    Process,
    locate,
)


def test_paths_are_recognised_by_content(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (tmp_path / "python" / "lib" / "python3.11").mkdir(parents=True)
    (tmp_path / "python" / "lib" / "python3.11" / "os.py").touch()
    (tmp_path / "layout").mkdir()
    (tmp_path / "layout" / "oci-layout").write_text("{}")
    (tmp_path / "model").mkdir()
    (tmp_path / "pylock.toml").write_text('lock-version = "1.0"\n')
    (tmp_path / "named-otherwise.toml").write_text('lock-version = "1.0"\n')
    (tmp_path / "requirements.txt").write_text("numpy==1.0\n")
    (tmp_path / "weights.txt").write_bytes(b"\0\1")
    (tmp_path / "m.fingerprint.json").write_text("{}")
    (tmp_path / "m.pkl").write_bytes(b"\x80\x04N.")
    expected = {
        "venv": Prefix(path=tmp_path / "venv"),
        "python": Prefix(path=tmp_path / "python"),
        "layout": ImageRef(kind="layout", name=str(tmp_path / "layout")),
        "model": Model(path=tmp_path / "model"),
        "pylock.toml": LockFile(path=tmp_path / "pylock.toml", format="pylock"),
        "named-otherwise.toml": LockFile(path=tmp_path / "named-otherwise.toml", format="pylock"),
        "requirements.txt": LockFile(path=tmp_path / "requirements.txt", format="requirements"),
        "weights.txt": Model(path=tmp_path / "weights.txt"),
        "m.fingerprint.json": FingerprintFile(path=tmp_path / "m.fingerprint.json"),
        "m.pkl": Model(path=tmp_path / "m.pkl"),
    }
    assert {name: locate(str(tmp_path / name)) for name in expected} == expected


@pytest.mark.parametrize(
    ("member", "kind"), [("oci-layout", ImageRef), ("manifest.json", ImageRef), ("a.npy", Model)]
)
def test_a_tar_is_an_image_when_its_members_are_those_of_one(
    tmp_path: Path, member: str, kind: type
) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo(member))
    assert isinstance(locate(str(path)), kind)


def test_what_fits_two_kinds_is_never_guessed(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").touch()
    (tmp_path / "oci-layout").touch()
    with pytest.raises(UsageError) as raised:
        locate(str(tmp_path))
    assert raised.value.found == "a Python environment and an image"


def test_schemes() -> None:
    assert isinstance(locate("env:"), Process)
    assert locate("docker:churn:1") == ImageRef(kind="docker", name="churn:1")
    assert isinstance(locate("python:python3"), Process)


def test_a_prefix_in_an_image_is_named_behind_a_hash_sign() -> None:
    named = ImageRef(kind="docker", name="churn:1", prefix="opt/venv")
    assert locate("docker:churn:1#/opt/venv") == named


def test_a_path_that_looks_like_a_scheme_is_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docker:x").write_bytes(b"\x80\x04N.")
    assert locate("docker:x") == Model(path=Path("docker:x"))


@pytest.mark.parametrize("text", ["nowhere", "ftp:host", "python:no-such-program", "nowhere#a"])
def test_nothing_there_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        locate(text)
