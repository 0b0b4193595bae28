"""Layers by what they were made from."""

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


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(sink: BinaryIO) -> LayerRecord:
        sink.write(b"half")
        raise OSError("disk")

    store = LayerStore(tmp_path)
    with pytest.raises(OSError, match="disk"):
        store.make(KEY, fail)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
