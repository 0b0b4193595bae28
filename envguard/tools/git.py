"""The git revision that a folder is at, by the ``git`` command, hardened.

The folder may belong to somebody else: no hooks, no file-system monitor, no external diff or
credential helper, no prompt, and no configuration outside the repository is used.
"""

import subprocess
from pathlib import Path
from shutil import which

from envguard.model.fingerprint import GitState

_HARDENED = (
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.untrackedCache=false",
    "-c", "protocol.ext.allow=never",
    "-c", "submodule.recurse=false",
    "--no-optional-locks",
    "--literal-pathspecs",
)  # fmt: skip
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "LC_ALL": "C.UTF-8",
}
_SECONDS = 30


def state(folder: Path) -> GitState | None:
    """The commit, branch, dirtiness and remote of the work tree around *folder*.

    ``None`` when there is no git, no work tree, or no commit yet.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD^{commit}")
    if commit is None:
        return None
    branch = _git(folder, "symbolic-ref", "--short", "HEAD")
    remote = _git(folder, "config", "--get", "remote.origin.url")
    return GitState(
        commit=commit,
        branch=branch,
        dirty=_is_dirty(folder),
        remote=without_credentials(remote or ""),
    )


def _is_dirty(folder: Path) -> bool | None:
    """Whether tracked files differ from the commit.

    ``git status`` runs the clean filters that a repository's own configuration names, so where
    there are any, it is not asked.
    """
    if _git(folder, "config", "--get-regexp", r"^(filter|diff|include|includeif)\."):
        return None
    # A submodule has a configuration of its own, with filters of its own.
    ignored = ("--untracked-files=no", "--ignore-submodules=all")
    status = _git(folder, "status", "--porcelain=v2", *ignored)
    return None if status is None else bool(status)


def without_credentials(url: str) -> str | None:
    """*url* without user name, password and query; ``None`` when empty."""
    scheme, separator, rest = url.partition("://")
    if not separator:  # a path, or ``user@host:path``
        return url.rpartition("@")[2] if ":" in url else url or None
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def _git(folder: Path, *arguments: str) -> str | None:
    """What ``git`` prints, or ``None`` when it is not there or refuses."""
    git = which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(
            [git, *_HARDENED, "-C", str(folder), *arguments],
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
