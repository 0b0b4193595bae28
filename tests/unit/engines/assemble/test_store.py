"""Layers by what they were made from."""

import os
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from envguard.engines.assemble.store import LayerStore
from envguard.images.layer import LayerFile, LayerRecord, write_layer
from envguard.model.digest import Digest

KEY = Digest.of(b"inputs")


class Maker:
    """Writes a layer, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, sink: BinaryIO) -> LayerRecord:
        self.calls += 1
        return write_layer([LayerFile(path="a", source=b"content")], sink)


def test_a_layer_is_made_once(tmp_path: Path) -> None:
    store, maker = LayerStore(tmp_path), Maker()
    first, second = store.make(KEY, maker), store.make(KEY, maker)
    assert first == second
    assert maker.calls == 1
    with store.open(first.digest) as stream:
        assert Digest.of(stream.read()) == first.digest


@pytest.mark.parametrize("broken", ["cut", "edited", "gone", "record"])
def test_a_broken_layer_is_made_again(tmp_path: Path, broken: str) -> None:
    store, maker = LayerStore(tmp_path), Maker()
    record = store.make(KEY, maker)
    blob = store.blob(record.digest)
    data = blob.read_bytes()
    blob.chmod(0o644)
    match broken:
        case "cut":
            blob.write_bytes(data[:-1])
        case "edited":
            blob.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        case "gone":
            blob.unlink()
        case "record":
            (tmp_path / "keys" / KEY.hex).write_text("{")
    assert store.make(KEY, maker) == record
    assert maker.calls == 2
    assert blob.read_bytes() == data


def test_an_edited_record_is_made_again(tmp_path: Path) -> None:
    """Whoever edits a record by hand does not know of its checksum."""
    store, maker = LayerStore(tmp_path), Maker()
    record = store.make(KEY, maker)
    path = tmp_path / "keys" / KEY.hex
    other = Digest.of(b"other tar").hex
    path.write_bytes(path.read_bytes().replace(record.diff_id.hex.encode(), other.encode()))
    assert other.encode() in path.read_bytes()
    assert store.make(KEY, maker) == record
    assert maker.calls == 2


def test_the_record_of_another_key_is_not_believed(tmp_path: Path) -> None:
    store, maker = LayerStore(tmp_path), Maker()
    store.make(KEY, maker)
    other = Digest.of(b"other inputs")
    (tmp_path / "keys" / other.hex).write_bytes((tmp_path / "keys" / KEY.hex).read_bytes())
    store.make(other, maker)
    assert maker.calls == 2


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "blobs" / "sha256"
    folder.mkdir(parents=True)
    abandoned, in_use = folder / ".aa.tmp", folder / ".bb.tmp"
    for path in (abandoned, in_use):
        path.write_bytes(b"half")
    yesterday = time.time() - 25 * 3600
    os.utime(abandoned, (yesterday, yesterday))
    record = LayerStore(tmp_path).make(KEY, Maker())
    assert sorted(path.name for path in folder.iterdir()) == [".bb.tmp", record.digest.hex]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(sink: BinaryIO) -> LayerRecord:
        sink.write(b"half")
        raise OSError("disk")

    store = LayerStore(tmp_path)
    with pytest.raises(OSError, match="disk"):
        store.make(KEY, fail)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
