import json
import shutil
import subprocess
from pathlib import Path

import pytest

from envguard.images.image import OCI_INDEX, NewImage
from envguard.images.index import Index
from envguard.images.layer import LayerFile
from envguard.images.layout import is_written, open_layout, write_layout
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError, UsageError
from tests.support.images import image_of_layers

IMAGE = image_of_layers(
    [LayerFile(path="etc/os-release", source=b"ID=test")],
    [LayerFile(path="opt/data", source=bytes(range(256)) * 5000)],
)
OTHER = image_of_layers([LayerFile(path="other", source=b"other")])
LAYER = IMAGE.manifest.layers[1].digest


def blob(folder: Path, digest: Digest) -> Path:
    return folder / "blobs" / digest.algorithm / digest.hex


def test_a_layout_reads_back(tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", IMAGE, reference="1.0")
    for reference in ("1.0", str(IMAGE.descriptor.digest), None):
        image = open_layout(tmp_path / "layout", reference)
        assert (image.manifest, image.config) == (IMAGE.manifest, IMAGE.config)
        assert image.descriptor.digest == IMAGE.descriptor.digest
        for item in (image.descriptor, image.manifest.config, *image.manifest.layers):
            with image.open_blob(item.digest) as stream, IMAGE.open_blob(item.digest) as other:
                assert stream.read() == other.read()


def test_equal_images_are_equal_layouts(tmp_path: Path) -> None:
    trees = []
    for name in ("one", "two"):
        write_layout(tmp_path / name, IMAGE, reference="1.0")
        paths = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        trees.append([(path.relative_to(tmp_path / name), path.read_bytes()) for path in paths])
    assert trees[0] == trees[1]


def test_a_layout_is_replaced_and_nothing_is_left_over(tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", OTHER)
    write_layout(tmp_path / "layout", IMAGE)
    assert open_layout(tmp_path / "layout").manifest == IMAGE.manifest
    assert not blob(tmp_path / "layout", OTHER.descriptor.digest).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["layout"]


def test_a_failed_write_leaves_the_old_layout(tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", OTHER)
    write_layout(tmp_path / "source", IMAGE)
    damaged = blob(tmp_path / "source", LAYER)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError):
        write_layout(tmp_path / "layout", open_layout(tmp_path / "source"))
    assert open_layout(tmp_path / "layout").manifest == OTHER.manifest
    assert {path.name for path in tmp_path.iterdir()} == {"layout", "source"}


@pytest.mark.parametrize("kind", ["folder", "layout and more", "file", "link"])
def test_what_is_no_layout_is_not_overwritten(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    match kind:
        case "folder":
            target.mkdir()
            (target / "thesis.tex").touch()
        case "layout and more":
            write_layout(target, OTHER)
            (target / "thesis.tex").touch()
        case "file":
            target.touch()
        case "link":
            write_layout(tmp_path / "real", OTHER)
            target.symlink_to("real")
    with pytest.raises(UsageError, match="will not be overwritten"):
        write_layout(target, IMAGE)
    if kind in ("folder", "layout and more"):
        assert (target / "thesis.tex").exists()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write_layout(tmp_path / "deep", IMAGE)
    write_layout(tmp_path / "new" / "deeper", IMAGE)
    assert open_layout(tmp_path / "deep").manifest == IMAGE.manifest


def test_stored_blobs_are_hard_linked(tmp_path: Path) -> None:
    stored = tmp_path / "cache"
    with IMAGE.open_blob(LAYER) as stream:
        stored.write_bytes(stream.read())
    known = {LAYER: stored, IMAGE.manifest.layers[0].digest: tmp_path / "absent"}
    write_layout(tmp_path / "layout", IMAGE, stored=known.get)
    assert blob(tmp_path / "layout", LAYER).samefile(stored)
    assert open_layout(tmp_path / "layout").manifest == IMAGE.manifest


def test_several_images_need_a_choice(tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    write_layout(folder, IMAGE, reference="one")
    write_layout(tmp_path / "other", OTHER, reference="two")
    shutil.copytree(tmp_path / "other" / "blobs", folder / "blobs", dirs_exist_ok=True)
    documents = [
        json.loads((tmp_path / name / "index.json").read_bytes()) for name in ("other", "layout")
    ]
    documents[1]["manifests"] += documents[0]["manifests"]
    (folder / "index.json").write_text(json.dumps(documents[1]))
    with pytest.raises(UsageError, match="several images") as caught:
        open_layout(folder)
    assert "one = " in str(caught.value.found)
    assert "two = " in str(caught.value.found)
    assert open_layout(folder, "two").manifest == OTHER.manifest
    with pytest.raises(UsageError, match="no image three"):
        open_layout(folder, "three")


def test_damage_is_noticed(tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", IMAGE)
    for item, error in (
        (IMAGE.manifest.config, "config"),
        (IMAGE.descriptor, "manifest"),
    ):
        path = blob(tmp_path / "layout", item.digest)
        kept = path.read_bytes()
        for damaged in (kept + b" ", kept[:-1], kept.replace(b"sha256", b"sha255")):
            path.write_bytes(damaged)
            with pytest.raises(IntegrityError):
                open_layout(tmp_path / "layout")
        path.write_bytes(kept)
        assert error
    path = blob(tmp_path / "layout", LAYER)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(IntegrityError), open_layout(tmp_path / "layout").open_blob(LAYER) as stream:
        stream.read()


@pytest.mark.parametrize("name", ["index.json", "oci-layout", "blobs"])
def test_links_out_of_the_layout_are_not_followed(tmp_path: Path, name: str) -> None:
    write_layout(tmp_path / "layout", IMAGE)
    (tmp_path / "layout" / name).rename(tmp_path / "outside")
    (tmp_path / "layout" / name).symlink_to(tmp_path / "outside")
    with pytest.raises(UnreadableError, match="cannot be read"):
        open_layout(tmp_path / "layout")


@pytest.mark.parametrize("name", ["index.json", "oci-layout", "blobs"])
def test_what_is_no_layout_is_unreadable(tmp_path: Path, name: str) -> None:
    write_layout(tmp_path / "layout", IMAGE)
    (tmp_path / "layout" / name).rename(tmp_path / "outside")
    with pytest.raises(UnreadableError):
        open_layout(tmp_path / "layout")


def test_another_version_of_layouts_is_unreadable(tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", IMAGE)
    (tmp_path / "layout" / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')
    with pytest.raises(UnreadableError, match=r"must be 1\.0\.0"):
        open_layout(tmp_path / "layout")


def test_an_index_that_contains_itself_is_refused(tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", IMAGE)
    path = tmp_path / "layout" / "index.json"
    document = json.loads(path.read_bytes())
    document["manifests"][0]["mediaType"] = OCI_INDEX
    path.write_text(json.dumps(document))
    with pytest.raises(UnreadableError):
        open_layout(tmp_path / "layout")
    assert Index.parse(path.read_bytes(), source="t").manifests[0].media_type == OCI_INDEX


@pytest.mark.skopeo
def test_skopeo_and_umoci_accept_it(tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", IMAGE, reference="1.0")
    shown = subprocess.run(
        ["skopeo", "inspect", f"oci:{tmp_path}/layout:1.0"], capture_output=True, check=True
    )
    assert json.loads(shown.stdout)["Digest"] == str(IMAGE.descriptor.digest)
    copy = ["skopeo", "copy", "--insecure-policy", f"oci:{tmp_path}/layout:1.0"]
    subprocess.run([*copy, f"oci:{tmp_path}/copied:1.0"], capture_output=True, check=True)
    assert open_layout(tmp_path / "copied").manifest == IMAGE.manifest
    listed = subprocess.run(
        ["umoci", "stat", "--json", "--image", f"{tmp_path}/layout:1.0"],
        capture_output=True,
        check=True,
    )
    assert json.loads(listed.stdout)


def test_what_would_be_written_again_is_recognised(tmp_path: Path) -> None:
    folder = tmp_path / "layout"

    def digest_of(name: str) -> Digest:
        return Digest.of((folder / name).read_bytes())

    def there(image: NewImage = IMAGE, reference: str | None = "one") -> bool:
        return is_written(folder, image, reference, digest_of)

    assert not there()
    write_layout(folder, IMAGE, reference="one")
    assert there()
    assert not there(OTHER)
    assert not there(reference=None)
    blob = folder / "blobs" / "sha256" / IMAGE.manifest.layers[0].digest.hex
    data = blob.read_bytes()
    for damaged in (data[:-1], bytes([data[0] ^ 1]) + data[1:]):
        blob.write_bytes(damaged)
        assert not there()
    blob.rename(tmp_path / "aside")
    assert not there()
    blob.symlink_to(tmp_path / "aside")
    assert not there()
    blob.unlink()
    blob.write_bytes(data)
    assert there()
    for more in ("more", "blobs/sha256/more", "blobs/more"):
        (folder / more).write_bytes(b"")
        assert not there()
        (folder / more).unlink()
