import io
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from envguard.images import daemon
from envguard.images.archive import write_archive
from envguard.images.blobs import StoredImage
from envguard.images.config import Runtime
from envguard.images.image import NewImage
from envguard.images.layer import LayerFile, LayerFolder, LayerLink
from envguard.images.tree import ImageFiles
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, ToolError, UnreadableError
from envguard.model.files import read, walk
from tests.support.images import buffered, image_of_layers

IMAGE = image_of_layers(
    [LayerFile(path="etc/os-release", source=b"ID=test"), LayerLink(path="link", target="etc")],
    [LayerFile(path="opt/data", source=bytes(range(256)) * 5000), LayerFolder(path="empty")],
    runtime=Runtime(env=("PATH=/bin",), labels={"test": "envguard"}, command=("x",)),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVGUARD_CACHE_DIR", str(tmp_path))


@pytest.fixture
def name() -> Iterator[str]:
    name = f"envguard-test:{uuid.uuid4().hex}"
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True)


@pytest.mark.docker
def test_an_image_survives_the_engine(name: str) -> None:
    assert daemon.available()
    assert not daemon.has_image(name)
    assert daemon.load_image(IMAGE, reference=name) == IMAGE.manifest.config.digest
    assert daemon.has_image(name)
    image = daemon.open_daemon_image(name)
    assert image.config == IMAGE.config
    files = ImageFiles(image, cached=False)
    expected = ImageFiles(IMAGE, cached=False)
    assert list(walk(files)) == list(walk(expected))
    assert read(files, "link/os-release") == b"ID=test"
    assert files.digest("opt/data") == expected.digest("opt/data")


@pytest.mark.docker
def test_an_archive_is_loaded_as_a_stream(name: str) -> None:
    sink = io.BytesIO()
    write_archive(IMAGE, sink, reference=name)
    sink.seek(0)
    assert daemon.load(sink) == IMAGE.manifest.config.digest
    assert daemon.has_image(name)


@pytest.mark.docker
def test_why_an_image_could_not_be_loaded_is_said(name: str) -> None:
    damaged = replace(IMAGE, open_layer=lambda digest: buffered(b"damaged"))
    with pytest.raises(IntegrityError):
        daemon.load_image(damaged, reference=name)
    with pytest.raises(ToolError, match="Docker engine"):
        daemon.load(io.BytesIO(b"no archive"))
    assert not daemon.has_image(name)


@pytest.mark.docker
def test_an_absent_image_is_named(name: str) -> None:
    with pytest.raises(UnreadableError, match="no such image") as caught:
        daemon.open_daemon_image(name)
    assert caught.value.where == name


def test_no_engine_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    assert daemon.available() is None
    for operation in (daemon.has_image, daemon.open_daemon_image):
        with pytest.raises(ToolError, match="no Docker engine answers") as caught:
            operation("any")
        assert caught.value.hint
    with pytest.raises(ToolError, match="no Docker engine answers"):
        daemon.load_image(IMAGE)


@pytest.mark.docker
def test_what_the_engine_has_is_not_sent_again(name: str) -> None:
    data = uuid.uuid4().bytes
    lower, upper = LayerFile(path="a", source=data), LayerFile(path="b", source=data)
    first = image_of_layers([lower])
    second = image_of_layers([lower], [upper], [lower])
    other = image_of_layers([upper], [lower])
    digests = [layer.digest for layer in second.manifest.layers]
    assert digests[0] == digests[2]
    opened: list[Digest] = []

    def watched(image: NewImage) -> NewImage:
        def open_layer(digest: Digest) -> BinaryIO:
            opened.append(digest)
            return image.open_layer(digest)

        return replace(image, open_layer=open_layer)

    names = [f"{name}-{number}" for number in range(4)]
    try:
        daemon.load_image(watched(first), reference=names[0])
        assert opened == digests[:1]
        # The same layer in another place is another one to the engine.
        daemon.load_image(watched(second), reference=names[1])
        assert sorted(opened) == sorted([*digests[:1], *digests[:2]])
        opened.clear()
        assert daemon.load_image(watched(second), reference=names[2]) == (
            second.manifest.config.digest
        )
        assert opened == []
        daemon.load_image(watched(other), reference=names[3])
        assert len(opened) == 2
        for reference, image in zip(names, (first, second, second, other), strict=True):
            loaded = daemon.open_daemon_image(reference)
            assert loaded.config == image.config
            expected = list(walk(ImageFiles(image, cached=False)))
            assert list(walk(ImageFiles(loaded, cached=False))) == expected
    finally:
        subprocess.run(["docker", "image", "rm", "--force", *names], capture_output=True)


@pytest.mark.docker
def test_an_image_that_was_read_before_is_not_saved_again(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.load_image(IMAGE, reference=name)
    first = daemon.open_daemon_image(name)
    assert read(ImageFiles(first), "etc/os-release") == b"ID=test"
    saved: list[str] = []
    save = daemon._save

    def watched(image_id: str, name: str) -> StoredImage:
        saved.append(image_id)
        return save(image_id, name)

    monkeypatch.setattr(daemon, "_save", watched)
    again = daemon.open_daemon_image(name)
    assert again.descriptor == first.descriptor
    assert list(walk(ImageFiles(again))) == list(walk(ImageFiles(first)))
    assert saved == []
    assert len(read(ImageFiles(again), "opt/data")) == 256 * 5000
    assert saved == [str(IMAGE.manifest.config.digest)]
