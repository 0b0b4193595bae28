"""Full disks, failing disks, interrupts and kills at the worst moment: old or new, never torn."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

FINGERPRINT = "lockfiles/churn.fingerprint.json"
COMMANDS = {
    "lock": (("lock", "requirements.in"), "lockfiles/pylock.churn.toml"),
    "fingerprint": (("fingerprint", "churn.pkl"), FINGERPRINT),
    "build": (("build", FINGERPRINT, "--output", "image"), "image/index.json"),
}
FAULTS = {
    "full disk": "fsync:error=ENOSPC",
    "failing disk": "rename,renameat,renameat2:error=EIO",
    "interrupt": "fsync:signal=SIGINT",
    "termination": "fsync:signal=SIGTERM",
    "kill": "fsync:signal=SIGKILL",
}
CODES = {
    "full disk": {0, 3},
    "failing disk": {0, 3},
    "interrupt": {130},
    "termination": {143},
    "kill": {-signal.SIGKILL, 128 + signal.SIGKILL},
}


def traced(project, fault: str, when: int, cache: str, *arguments: str):
    command = [
        "strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fsync,rename,renameat,renameat2",
        "-e", f"inject={FAULTS[fault]}:when={when}",
        sys.executable, "-m", "envguard", *arguments,
    ]  # fmt: skip
    variables = {**project.variables, "ENVGUARD_CACHE_DIR": cache}
    return subprocess.run(
        command, cwd=project.folder, env=variables, capture_output=True, text=True, timeout=120
    )


@pytest.mark.strace
@pytest.mark.parametrize("when", [1, 2, 4])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", COMMANDS)
def test_old_or_new_never_torn(fingerprinted, tmp_path, name, fault, when) -> None:
    project, cache = fingerprinted, str(tmp_path / "cache")
    arguments, product = COMMANDS[name]
    target = project.folder / product
    if name != "build":
        target.unlink()
    done = traced(project, fault, when, cache, *arguments)
    finished = target.exists()
    if done.returncode == 0:
        assert finished
    else:
        assert done.returncode in CODES[fault], done.stderr
    assert "Traceback" not in done.stderr
    if fault != "kill":
        assert not list(project.folder.rglob("*.tmp")), "a temporary file was left behind"
    again = project.run(*arguments, ENVGUARD_CACHE_DIR=cache)
    assert again.code == 0, again
    assert target.exists()
    assert (
        project.run(
            "diff", "training", "image" if name == "build" else "lockfiles/pylock.churn.toml"
        ).code
        == 0
    )


@pytest.mark.strace
def test_a_full_disk_is_told_in_words(fingerprinted, tmp_path, snapshot) -> None:
    (fingerprinted.folder / FINGERPRINT).unlink()
    arguments = ("fingerprint", "churn.pkl", "-o", "out.json")
    assert fingerprinted.run(*arguments).code == 0
    (fingerprinted.folder / "out.json").unlink()
    done = traced(
        fingerprinted, "full disk", 1, str(fingerprinted.home / ".cache/envguard"), *arguments
    )
    assert (done.returncode, done.stderr.replace(str(fingerprinted.folder), "")) == snapshot


def test_a_disk_that_is_really_full(fingerprinted, tmp_path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk])
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        told = fingerprinted.run("build", FINGERPRINT, "--archive", str(disk / "image.tar"))
        assert told.code == 3
        assert "No space left" in told.stderr
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
        shutil.rmtree(disk)
