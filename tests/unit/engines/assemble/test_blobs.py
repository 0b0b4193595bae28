"""Only files with exactly the bytes of a digest are linked into a layout."""

from pathlib import Path

import pytest

from envguard.engines.assemble.blobs import BlobFiles, layout_of
from envguard.engines.assemble.store import LayerStore
from envguard.images.layer import LayerFile
from envguard.images.layout import open_layout, write_layout
from envguard.model.digest import Digest
from tests.support.images import image_of_layers

_IMAGE = image_of_layers([LayerFile(path="a", source=b"1")], [LayerFile(path="b", source=b"2")])
_FIRST, _SECOND = (layer.digest for layer in _IMAGE.manifest.layers)


def test_layouts_nearby_have_blobs(tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    write_layout(folder, _IMAGE)
    assert layout_of(open_layout(folder)) == [folder]
    assert layout_of(_IMAGE) == layout_of(None) == []
    blobs = BlobFiles(LayerStore(tmp_path / "store"), [tmp_path / "none", folder], None)
    found = blobs.find(_FIRST)
    assert found == folder / "blobs" / "sha256" / _FIRST.hex
    assert blobs.find(Digest.of(b"other")) is None
    write_layout(tmp_path / "again", _IMAGE, stored=blobs.find)
    assert (tmp_path / "again" / "blobs" / "sha256" / _FIRST.hex).samefile(found)


def test_damaged_and_foreign_files_are_no_blobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "layout"
    write_layout(folder, _IMAGE)
    path = folder / "blobs" / "sha256" / _FIRST.hex
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    blobs = BlobFiles(LayerStore(tmp_path / "store"), [folder], None)
    assert blobs.find(_FIRST) is None
    assert blobs.find(_SECOND)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert blobs.find(_SECOND) is None
