import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from envguard import storage

HOLD = """
import sys, time
from pathlib import Path
from envguard.storage import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_file_is_written_whole(tmp_path: Path):
    path = tmp_path / "new" / "folder" / "file"
    storage.write(path, b"one")
    storage.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["file"]


def test_nothing_remains_of_a_write_that_fails(tmp_path: Path):
    path = tmp_path / "file"
    storage.write(path, b"old")
    with pytest.raises(KeyboardInterrupt), storage.replacing(path) as stream:
        stream.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_the_mode_is_that_asked_for(tmp_path: Path):
    path = tmp_path / "file"
    with storage.replacing(path, mode=0o600) as stream:
        stream.write(b"")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        storage.write(pipe, b"new")
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_folder_is_an_error_that_names_it(tmp_path: Path):
    with pytest.raises(IsADirectoryError) as raised:
        storage.write(tmp_path, b"new")
    assert raised.value.filename == str(tmp_path)


def test_a_link_is_replaced_and_not_followed(tmp_path: Path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"kept")
    link.symlink_to(target)
    storage.write(link, b"new")
    assert target.read_bytes() == b"kept"
    assert not link.is_symlink()


def test_long_names(tmp_path: Path):
    storage.write(tmp_path / ("n" * 255), b"x")


def test_readers_see_the_old_file_or_the_new_one(tmp_path: Path):
    path = tmp_path / "file"
    storage.write(path, b"a" * 100_000)
    writer = multiprocessing.get_context("spawn").Process(target=write_many, args=(path,))
    writer.start()
    try:
        while writer.is_alive():
            data = path.read_bytes()
            assert len(data) == 100_000
            assert len(set(data)) == 1
    finally:
        writer.join()
    assert writer.exitcode == 0


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def write_many(path: Path) -> None:
    for number in range(50):
        storage.write(path, b"%c" % (97 + number % 26) * 100_000)


def test_a_lock_is_held_by_one_and_dropped_by_the_dead(tmp_path: Path):
    path = tmp_path / "folder" / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder.stdout as stdout:
        assert stdout.readline() == "held\n"
        waiter = multiprocessing.get_context("spawn").Process(target=take, args=(path,))
        waiter.start()
        waiter.join(1.0)
        assert waiter.is_alive()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    waiter.join(20)
    assert waiter.exitcode == 0


def take(path: Path) -> None:
    with storage.locked(path):
        time.sleep(0)


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ENVGUARD_CACHE_DIR", str(tmp_path / "own"))
    assert storage.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("ENVGUARD_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert storage.cache_folder() == tmp_path / "envguard"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert storage.cache_folder() == tmp_path / "home" / ".cache" / "envguard"
