"""The local Docker engine: images are loaded into it, and read out of it without running any."""

import io
import os
import re
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from envguard import storage
from envguard.images import sealed
from envguard.images.archive import image_in, write_archive
from envguard.images.archive_files import ArchiveFiles
from envguard.images.blobs import StoredImage, image_of, read_blob
from envguard.images.config import CONFIG_LIMIT
from envguard.images.daemon_client import engine
from envguard.images.descriptor import Descriptor
from envguard.images.image import MANIFEST_LIMIT, Image, Manifest
from envguard.model.digest import Digest
from envguard.model.errors import ToolError, UnreadableError

if TYPE_CHECKING:
    from docker import DockerClient

_PIECE = 1 << 20
_MOST_IMAGES = 100
_VERSION = "1"
"""Raise it when the documents that are kept of an image mean something else."""
_COMPLAINTS = ("error", "message")


def available() -> str | None:
    """The version of the engine that answers, or ``None``."""
    try:
        with engine() as client:
            return str(client.version()["Version"])
    except ToolError:
        return None


def has_image(name: str) -> bool:
    """Whether the engine has the image *name* (tag, image ID). Raises `ToolError`."""
    with engine() as client:
        from docker.errors import ImageNotFound

        try:
            client.images.get(name)
        except ImageNotFound:
            return False
        return True


def load(archive: BinaryIO) -> Digest:
    """Load the one image of *archive* into the engine; gives its image ID. Raises `ToolError`."""
    with engine() as client:
        # An iterator makes the client stream; a file it would try to measure. The answer is read
        # to its end whatever it says, since the SDK closes no connection that it left half read.
        pieces = iter(lambda: archive.read(_PIECE), b"")
        answers = list(client.api.load_image(pieces))  # type: ignore[no-untyped-call]
        told = "".join(str(answer.get("stream", "")) for answer in answers)
        loaded = re.findall(r"^Loaded image(?: ID)?: (\S+)$", told, re.MULTILINE)
        errors = [str(answer[key]) for answer in answers for key in answer if key in _COMPLAINTS]
        if errors or len(loaded) != 1:
            raise ToolError(
                f"the Docker engine failed: {'; '.join(errors) or 'it did not load one image'}",
                expected="one image",
                found=", ".join(loaded) or "none",
            )
        return Digest.parse(str(client.images.get(loaded[0]).id))


def load_image(image: Image, *, reference: str | None = None) -> Digest:
    """Load *image* into the engine as *reference*, streamed; gives its image ID.

    An image that the engine has is named only, and layers that it has are not sent again.
    Raises `ToolError`, and whatever `write_archive` raises for an image that is not whole.
    """
    with engine() as client:
        if _name_known(client, image.manifest.config.digest, reference):
            return image.manifest.config.digest
        held = _held_layers(client, image)
    try:
        return _stream(image, reference, held)
    except ToolError:
        if not held:
            raise
        # Another process may have removed what was there a moment ago.
        return _stream(image, reference, frozenset())


def open_daemon_image(name: str) -> StoredImage:
    """The image *name* (tag, image ID) of the engine; its layers are saved when one is opened.

    They go to a file that vanishes by itself. Nothing is run. Raises `UnreadableError` when the
    engine has no such image, `ToolError` when no engine answers.
    """
    with engine() as client:
        image_id = _image_id(client, name)
    saved = _Saved(image_id, name)
    path = storage.cache_folder() / "engine" / f"v{_VERSION}" / image_id.rpartition(":")[2]
    documents = sealed.load(path, _Documents)
    if documents is None:
        image = saved.image
        named, config = image.descriptor, image.manifest.config
        documents = _Documents(
            descriptor=named,
            manifest=read_blob(image.blobs, named, limit=MANIFEST_LIMIT, where=name),
            config=read_blob(image.blobs, config, limit=CONFIG_LIMIT, where=name),
        )
        sealed.keep(path, documents)
    descriptor = documents.descriptor
    known = {Digest.of(data): data for data in (documents.manifest, documents.config)}
    manifest = Manifest.parse(documents.manifest, source=name, media_type=descriptor.media_type)
    return image_of(_Blobs(known, saved), descriptor, manifest, source=name)


class _Documents(Struct, frozen=True):
    """What an image ID names, but for the layers."""

    descriptor: Descriptor
    manifest: bytes
    config: bytes


class _Saved:
    """The image as the engine saves it, on first use."""

    def __init__(self, image_id: str, name: str) -> None:
        self._image_id = image_id
        self._name = name
        self._saving = Lock()
        self._image: StoredImage | None = None

    @property
    def image(self) -> StoredImage:
        with self._saving:
            if self._image is None:
                self._image = _save(self._image_id, self._name)
            return self._image


class _Blobs:
    """Documents from memory, layers from where they are *saved*."""

    def __init__(self, documents: Mapping[Digest, bytes], saved: _Saved) -> None:
        self._documents = documents
        self._saved = saved

    def open(self, digest: Digest) -> BinaryIO:
        if digest in self._documents:
            return io.BytesIO(self._documents[digest])
        image = self._saved.image
        if all(layer.digest != digest for layer in image.manifest.layers):
            raise UnreadableError(
                "the engine saves other layers than before",
                where=image.source,
                expected=str(digest),
                found=", ".join(str(layer.digest) for layer in image.manifest.layers),
            )
        return image.blobs.open(digest)


def _image_id(client: "DockerClient", name: str) -> str:
    from docker.errors import ImageNotFound

    try:
        return str(client.images.get(name).id)
    except ImageNotFound as error:
        raise UnreadableError(
            "the Docker engine has no such image",
            where=name,
            hint=f"docker pull {name}, or name the image as `docker image ls` shows it",
        ) from error


def _save(image_id: str, name: str) -> StoredImage:
    with engine() as client, tempfile.TemporaryFile(prefix="envguard-image-") as saved:
        for data in client.api.get_image(image_id):
            saved.write(data)
        saved.flush()
        return image_in(ArchiveFiles(os.dup(saved.fileno()), name))


def _name_known(client: "DockerClient", image_id: Digest, reference: str | None) -> bool:
    """Whether the engine has the image; then it is named *reference* there."""
    from docker.errors import ImageNotFound
    from docker.utils import parse_repository_tag

    try:
        if client.images.get(str(image_id)).id != str(image_id):
            return False
        if reference:
            repository, tag = parse_repository_tag(reference)
            client.api.tag(str(image_id), repository, tag)
    except ImageNotFound:
        return False
    return True


def _held_layers(client: "DockerClient", image: Image) -> frozenset[Digest]:
    """Layers that the engine has in the same place above the same others, so it skips them.

    Only the classic store for overlay2 is known to do so.
    """
    if client.info().get("Driver") != "overlay2":
        return frozenset()
    diff_ids = [str(diff_id) for diff_id in image.config.diff_ids]
    count = 0
    for summary in client.api.images()[:_MOST_IMAGES]:
        known = client.api.inspect_image(summary["Id"])  # type: ignore[no-untyped-call]
        found = known["RootFS"].get("Layers") or []
        same = takewhile(lambda pair: pair[0] == pair[1], zip(diff_ids, found, strict=False))
        count = max(count, sum(1 for _ in same))
    layers = [layer.digest for layer in image.manifest.layers]
    return frozenset(layers[:count]) - frozenset(layers[count:])


def _stream(image: Image, reference: str | None, held: frozenset[Digest]) -> Digest:
    read_end, write_end = os.pipe()

    def write() -> None:
        with os.fdopen(write_end, "wb", buffering=_PIECE) as sink:
            write_archive(image, sink, reference=reference, without=held)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            with os.fdopen(read_end, "rb", buffering=0) as stream:
                loaded = load(stream)
        except ToolError as error:
            # The engine complains about a cut archive; why it was cut is the better answer.
            cause = writing.exception()
            if cause and not isinstance(cause, BrokenPipeError):
                raise cause from error
            raise
        writing.result()
    return loaded
