"""The connection to the local Docker engine, with typed errors."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from envguard.model.errors import ToolError

if TYPE_CHECKING:
    from docker import DockerClient

_SOCKET = "unix:///var/run/docker.sock"


@contextmanager
def engine() -> "Iterator[DockerClient]":
    """A client of the engine; everything that goes wrong with it becomes a `ToolError`."""
    try:
        import docker
        import requests
    except ImportError as error:
        raise ToolError(
            "the Docker engine needs the docker package",
            hint="pip install docker",
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
