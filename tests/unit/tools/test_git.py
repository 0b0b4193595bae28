"""The state of a real repository, and what a trapped one must not get to run."""

import os
import subprocess
from pathlib import Path

import pytest

from envguard.tools import git

NOBODY = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example", "GIT_CONFIG_GLOBAL": "/dev/null",
}  # fmt: skip


def run(folder: Path, *arguments: str) -> None:
    command = ["git", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **NOBODY})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    run(folder, "init", "-q", "-b", "main")
    (folder / "model.pkl").write_bytes(b"one")
    run(folder, "add", ".")
    run(folder, "commit", "-q", "-m", "first")
    return folder


def test_commit_branch_and_cleanness(repository: Path) -> None:
    state = git.state(repository)
    assert state is not None
    assert (len(state.commit), state.branch, state.dirty, state.remote) == (40, "main", False, None)
    (repository / "model.pkl").write_bytes(b"two")
    changed = git.state(repository)
    assert changed is not None
    assert changed.dirty is True


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    run(repository, "checkout", "-q", "--detach")
    state = git.state(repository)
    assert state is not None
    assert state.branch is None


def test_no_work_tree_and_no_commit_are_no_state(tmp_path: Path) -> None:
    assert git.state(tmp_path) is None
    run(tmp_path, "init", "-q")
    assert git.state(tmp_path) is None


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://user:secret@git.example/x.git?token=1", "https://git.example/x.git"),
        ("git@git.example:team/x.git", "git.example:team/x.git"),
        ("ssh://git@git.example:2222/x.git", "ssh://git.example:2222/x.git"),
        ("/srv/git/x.git", "/srv/git/x.git"),
        ("https://h:notaport/x", "https://h:notaport/x"),
        ("https://u:p@[::1/x", "https://[::1/x"),
    ],
)
def test_the_remote_carries_no_credentials(repository: Path, url: str, kept: str) -> None:
    run(repository, "remote", "add", "origin", url)
    state = git.state(repository)
    assert state is not None
    assert state.remote == kept


def test_a_trapped_repository_runs_nothing(repository: Path) -> None:
    canary = repository.parent / "canary"
    trap = f"touch {canary}; cat"
    (repository / ".gitattributes").write_text("*.pkl filter=trap diff=trap\n")
    for name, value in {
        "core.fsmonitor": trap,
        "filter.trap.clean": trap,
        "filter.trap.process": trap,
        "diff.trap.textconv": trap,
        "diff.external": trap,
        "core.sshCommand": trap,
        "credential.helper": f"!{trap}",
        "core.pager": trap,
    }.items():
        run(repository, "config", name, value)
    hook = repository / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{trap}\n")
    hook.chmod(0o755)
    (repository / "model.pkl").write_bytes(b"two")
    state = git.state(repository)
    assert not canary.exists()
    assert state is not None
    assert state.dirty is None  # looking would have run the filter


def test_a_trapped_submodule_runs_nothing(repository: Path) -> None:
    canary = repository.parent / "canary"
    inner = repository.parent / "inner"
    inner.mkdir()
    run(inner, "init", "-q", "-b", "main")
    (inner / ".gitattributes").write_text("* filter=trap\n")
    (inner / "data").write_text("one")
    run(inner, "add", ".")
    run(inner, "commit", "-q", "-m", "first")
    run(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    run(repository, "commit", "-q", "-m", "submodule")
    run(repository / "sub", "config", "filter.trap.clean", f"touch {canary}; cat")
    (repository / "sub" / "data").write_text("two")
    os.utime(repository / "sub" / "data", (4e9, 4e9))
    assert git.state(repository) is not None
    assert not canary.exists()
