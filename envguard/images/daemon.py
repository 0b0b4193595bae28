"""The local Docker engine: images are loaded into it, and read out of it without running any."""

import os
import re
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from envguard.images.archive import image_in, write_archive
from envguard.images.archive_files import ArchiveFiles
from envguard.images.blobs import StoredImage
from envguard.images.image import Image
from envguard.model.digest import Digest
from envguard.model.errors import ToolError, UnreadableError

if TYPE_CHECKING:
    from docker import DockerClient

_PIECE = 1 << 20
_COMPLAINTS = ("error", "message")
_SOCKET = "unix:///var/run/docker.sock"


def available() -> str | None:
    """The version of the engine that answers, or ``None``."""
    try:
        with _client() as client:
            return str(client.version()["Version"])
    except ToolError:
        return None


def has_image(name: str) -> bool:
    """Whether the engine has the image *name* (tag, image ID). Raises `ToolError`."""
    with _client() as client:
        from docker.errors import ImageNotFound

        try:
            client.images.get(name)
        except ImageNotFound:
            return False
        return True


def load(archive: BinaryIO) -> Digest:
    """Load the one image of *archive* into the engine; gives its image ID. Raises `ToolError`."""
    with _client() as client:
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

    Raises `ToolError`, and whatever `write_archive` raises for an image that is not whole.
    """
    read_end, write_end = os.pipe()

    def write() -> None:
        with os.fdopen(write_end, "wb", buffering=_PIECE) as sink:
            write_archive(image, sink, reference=reference)

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


def open_daemon_image(name: str) -> StoredImage:
    """The image *name* (tag, image ID) of the engine, saved to a file that vanishes by itself.

    Nothing is run. Raises `UnreadableError` when the engine has no such image, `ToolError` when
    no engine answers.
    """
    with _client() as client, tempfile.TemporaryFile(prefix="envguard-image-") as saved:
        from docker.errors import ImageNotFound

        try:
            image_id = str(client.images.get(name).id)
            for data in client.api.get_image(image_id):
                saved.write(data)
        except ImageNotFound as error:
            raise UnreadableError(
                "the Docker engine has no such image",
                where=name,
                hint=f"docker pull {name}, or name the image as `docker image ls` shows it",
            ) from error
        saved.flush()
        files = ArchiveFiles(os.dup(saved.fileno()), name)
    return image_in(files)


@contextmanager
def _client() -> "Iterator[DockerClient]":
    """A client of the engine; everything that goes wrong with it becomes a `ToolError`."""
    try:
        import docker
        import requests
    except ImportError as error:
        raise ToolError(
            "the Docker engine needs the docker package",
            hint="pip install 'envguard-ml[docker]'",
        ) from error
    _knock()
    try:
        client = docker.from_env(timeout=600)
    except docker.errors.DockerException as error:
        raise _unreachable(error) from error
    try:
        yield client
    except (docker.errors.DockerException, requests.RequestException) as error:
        if isinstance(error, requests.ConnectionError):
            raise _unreachable(error) from error
        raise ToolError(f"the Docker engine failed: {error}") from error
    finally:
        client.close()


def _knock() -> None:
    """Connect to the engine's socket once: the SDK leaves sockets open where nobody answers."""
    scheme, _, path = os.environ.get("DOCKER_HOST", _SOCKET).partition("://")
    if scheme != "unix":
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            raise _unreachable(error) from error


def _unreachable(error: Exception) -> ToolError:
    return ToolError(
        f"no Docker engine answers: {error}",
        where=os.environ.get("DOCKER_HOST", _SOCKET),
        hint="start Docker or set DOCKER_HOST; an image archive or layout needs no engine",
    )
