"""Both resolvers against a real index on loopback, with the real programs."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envguard.engines.resolve import RESOLVERS, uv
from envguard.engines.resolve.platforms import LockPlatform
from envguard.engines.resolve.request import Request, Resolution
from envguard.formats.pylock import read
from envguard.model.errors import ToolError, UsageError
from envguard.model.lock import Lock
from tests.support.index import LoopbackIndex, serving
from tests.support.wheels import make_wheel

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
LINUX = LockPlatform.parse("x86_64-manylinux_2_28")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackIndex]:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, name="alpha", version="1.0", metadata="Requires-Dist: beta>=1")
    make_wheel(wheels, name="alpha", version="2.0", metadata="Requires-Dist: beta>=1")
    make_wheel(wheels, name="beta", version="1.0")
    make_wheel(
        wheels, name="beta", version="1.5", metadata="Requires-Dist: gamma; python_version < '3.12'"
    )
    make_wheel(wheels, name="gamma", version="1.0")
    make_wheel(wheels, name="native", version="1.0", tag="cp311-cp311-manylinux_2_28_x86_64")
    make_wheel(wheels, name="native", version="2.0", tag="cp311-cp311-manylinux_2_34_x86_64")
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_", "PYTHONPATH"))]:
        monkeypatch.delenv(name)
    uploaded = {"alpha-2.0-py3-none-any.whl": "2026-01-01T00:00:00Z"}
    with serving(wheels, uploaded=uploaded) as served:
        use(served.url, tmp_path, monkeypatch)
        yield served


def use(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure uv and pip as a user does, in a home of their own."""
    for variable in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
        monkeypatch.setenv(variable, url)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv-cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(folder)


def resolve(text: str, *, resolver: str = "uv", **more) -> tuple[Lock, Resolution]:
    Path("requirements.in").write_text(text)
    request = Request(inputs=(Path("requirements.in"),), **{"python": HERE, **more})
    resolution = RESOLVERS[resolver].resolve(request)
    return read(resolution.document, "resolved"), resolution


def versions(lock: Lock) -> dict[str, str | None]:
    return {entry.package.name: entry.package.version for entry in lock.entries}


def test_uv_resolves_for_everywhere(index: LoopbackIndex):
    lock, resolution = resolve("alpha", python="3.11")
    assert versions(lock) == {"alpha": "2.0", "beta": "1.5", "gamma": "1.0"}
    assert lock.requires_python == ">=3.11"
    assert lock.entries[2].marker == 'python_full_version < "3.12"'
    assert all(entry.package.archives[0].digests for entry in lock.entries)
    assert resolution.environments == ()
    assert not any(
        path.startswith("/files/") and path.endswith(".tar.gz") for path in index.requests
    )


def test_uv_resolves_for_one_platform(index: LoopbackIndex):
    lock, resolution = resolve("native", python="3.11", platforms=(LINUX,))
    assert versions(lock) == {"native": "1.0"}
    assert resolution.environments == (f"python_version == '3.11' and {LINUX.marker}",)


def test_uv_limits_a_universal_lock_to_several_platforms(index: LoopbackIndex):
    other = LockPlatform.parse("aarch64-unknown-linux-gnu")
    _, resolution = resolve("alpha", platforms=(LINUX, other))
    assert resolution.environments == (LINUX.marker, other.marker)


def test_uv_keeps_versions_and_upgrades_on_demand(index: LoopbackIndex):
    old, _ = resolve("alpha==1.0\nbeta==1.0")
    kept, _ = resolve("alpha", existing=old)
    assert (versions(kept)["alpha"], versions(kept)["beta"]) == ("1.0", "1.0")
    one, _ = resolve("alpha", existing=old, upgrade_packages=("beta",))
    assert (versions(one)["alpha"], versions(one)["beta"]) == ("1.0", "1.5")
    every, _ = resolve("alpha", upgrade=True)
    assert versions(every)["alpha"] == "2.0"


def test_uv_leaves_out_what_is_newer(index: LoopbackIndex):
    lock, _ = resolve("alpha", exclude_newer="2025-01-01")
    assert versions(lock)["alpha"] == "1.0"


def test_constraints_extras_and_groups(index: LoopbackIndex):
    Path("c.txt").write_text("alpha<2")
    Path("pyproject.toml").write_text(
        '[project]\nname = "p"\nversion = "1"\ndependencies = []\n'
        '[project.optional-dependencies]\nx = ["alpha"]\n[dependency-groups]\ndev = ["gamma"]\n'
    )
    request = Request(
        inputs=(Path("pyproject.toml"),),
        python=HERE,
        constraints=(Path("c.txt"),),
        extras=("x",),
        groups=("dev",),
    )
    for resolver in RESOLVERS.values():
        found = versions(read(resolver.resolve(request).document, "resolved"))
        assert found == {"alpha": "1.0", "beta": "1.5", "gamma": "1.0"}


@pytest.mark.parametrize("resolver", list(RESOLVERS))
def test_no_answer_is_explained_without_secrets(
    index: LoopbackIndex, resolver: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PIP_INDEX_URL", f"http://u:s3cret@{index.authority}/simple/")
    with pytest.raises(ToolError) as caught:
        resolve(
            f"alpha==9\nno-such @ http://u:s3cret@{index.authority}/files/no_such-1-py3-none-any.whl",
            resolver=resolver,
        )
    assert "s3cret" not in str(caught.value)
    assert "alpha" in caught.value.message or "no-such" in caught.value.message
    assert caught.value.where == "requirements.in"


@pytest.mark.parametrize("resolver", list(RESOLVERS))
def test_credentials_of_the_index_are_in_no_document(
    tmp_path: Path, index: LoopbackIndex, monkeypatch: pytest.MonkeyPatch, resolver: str
):
    with serving(index.folder, credentials=("me", "s3cret")) as private:
        use(private.secret_url, tmp_path, monkeypatch)
        lock, resolution = resolve("alpha", resolver=resolver)
    assert versions(lock)["alpha"] == "2.0"
    assert b"s3cret" not in resolution.document


@pytest.mark.parametrize("resolver", list(RESOLVERS))
def test_nothing_is_built_unless_told(index: LoopbackIndex, resolver: str):
    Path("proj").mkdir()
    mark = Path("built").absolute()
    Path("proj/setup.py").write_text(
        f"open({str(mark)!r}, 'w')\nfrom setuptools import setup\nsetup(name='proj', version='1')"
    )
    try:
        resolve("./proj", resolver=resolver)
    except (ToolError, UsageError) as error:
        assert "--allow-build" in (error.hint or "")
    else:
        pytest.fail("a folder without static metadata was locked")
    assert not mark.exists()


def test_pip_tools_locks_what_uv_locks_for_here(index: LoopbackIndex):
    theirs, resolution = resolve("alpha", resolver="pip-tools")
    ours, _ = resolve("alpha", python=HERE)
    ours_here = {name for name in versions(ours) if name != "gamma" or HERE == "3.11"}
    assert set(versions(theirs)) == ours_here
    assert versions(theirs)["alpha"] == "2.0"
    assert f"python_version == '{HERE}'" in resolution.environments[0]


def test_pip_tools_keeps_versions(index: LoopbackIndex):
    old, _ = resolve("alpha==1.0", resolver="pip-tools")
    kept, _ = resolve("alpha", resolver="pip-tools", existing=old)
    assert versions(kept)["alpha"] == "1.0"


def test_pip_tools_imports_nothing_from_the_working_directory(index: LoopbackIndex):
    Path("piptools.py").write_text("raise SystemExit('trapped')")
    Path("click.py").write_text("raise SystemExit('trapped')")
    lock, _ = resolve("alpha", resolver="pip-tools")
    assert lock.entries


@pytest.mark.parametrize("more", [{"platforms": (LINUX,)}, {"python": "3.99"}])
def test_pip_tools_says_what_it_cannot(index: LoopbackIndex, more):
    with pytest.raises(UsageError, match="pip-tools cannot"):
        resolve("alpha", resolver="pip-tools", **more)


def test_without_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        uv.uv_program()
    assert caught.value.hint == "pip install uv"
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert uv.uv_program() == str(program)
