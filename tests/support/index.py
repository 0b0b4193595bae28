"""A package index on loopback (PEP 503, PEP 691, PEP 700) over a folder of small wheels."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from packaging.utils import canonicalize_name

JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(kw_only=True)
class LoopbackIndex:
    """A running index; *requests* are the paths that were asked for, in order."""

    folder: Path
    url: str = ""
    requests: list[str] = field(default_factory=list)
    credentials: tuple[str, str] | None = None
    uploaded: Mapping[str, str] = field(default_factory=dict)
    """Upload times (RFC 3339) by file name; 2020 for the others."""

    @property
    def authority(self) -> str:
        """``127.0.0.1:port``."""
        return self.url.removeprefix("http://").removesuffix("/simple/")

    @property
    def secret_url(self) -> str:
        """The URL with the credentials in it."""
        user, password = self.credentials or ("", "")
        return f"http://{user}:{password}@{self.authority}/simple/"

    def files(self, project: str) -> list[Path]:
        """The wheels of *project* (normalised name)."""
        return [
            path
            for path in sorted(self.folder.glob("*.whl"))
            if canonicalize_name(path.name.partition("-")[0]) == project
        ]

    def page(self, project: str) -> dict[str, object]:
        """The PEP 691 page of *project*."""
        files = [
            {
                "filename": path.name,
                "url": f"/files/{path.name}",
                "hashes": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
                "size": path.stat().st_size,
                "upload-time": self.uploaded.get(path.name, "2020-01-01T00:00:00Z"),
            }
            for path in self.files(project)
        ]
        versions = sorted({path.name.split("-")[1] for path in self.files(project)})
        return {
            "meta": {"api-version": "1.1"},
            "name": project,
            "versions": versions,
            "files": files,
        }


@contextmanager
def serving(
    folder: Path,
    *,
    credentials: tuple[str, str] | None = None,
    uploaded: Mapping[str, str] | None = None,
) -> Iterator[LoopbackIndex]:
    """Serve the wheels in *folder*, to those with *credentials* only when there are some."""
    index = LoopbackIndex(folder=folder, credentials=credentials, uploaded=uploaded or {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(index))
    index.url = f"http://127.0.0.1:{server.server_port}/simple/"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _html(files: list[Path]) -> bytes:
    """The PEP 503 page that lists *files*."""
    links = "".join(
        f'<a href="/files/{path.name}#sha256='
        f'{hashlib.sha256(path.read_bytes()).hexdigest()}">{path.name}</a>\n'
        for path in files
    )
    return f"<!DOCTYPE html><html><body>{links}".encode()


def _span(asked: str, size: int) -> tuple[int, int]:
    """First and last byte of a range (RFC 9110, 14.1.2)."""
    first, _, last = asked.partition("-")
    start = int(first) if first else max(0, size - int(last))
    return start, min(int(last), size - 1) if first and last else size - 1


def _handler(index: LoopbackIndex) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - a whole class
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            index.requests.append(self.path)
            if not self._allowed():
                self._answer(401, b"", "text/plain", {"WWW-Authenticate": 'Basic realm="index"'})
                return
            match self.path.split("?")[0].strip("/").split("/"):
                case ["simple", project] if index.files(project):
                    self._page(project)
                case ["files", name] if (index.folder / name).is_file():
                    self._file((index.folder / name).read_bytes())
                case _:
                    self._answer(404, b"", "text/plain")

        def _allowed(self) -> bool:
            if index.credentials is None:
                return True
            expected = base64.b64encode(":".join(index.credentials).encode()).decode()
            return self.headers.get("Authorization") == f"Basic {expected}"

        def _page(self, project: str) -> None:
            if JSON in self.headers.get("Accept", ""):
                self._answer(200, json.dumps(index.page(project)).encode(), JSON)
                return
            self._answer(200, _html(index.files(project)), "text/html")

        def _file(self, data: bytes) -> None:
            """A file, or the part of it that a range asks for (uv reads metadata that way)."""
            asked = self.headers.get("Range", "")
            if not asked.startswith("bytes="):
                self._answer(200, data, "application/zip", {"Accept-Ranges": "bytes"})
                return
            start, end = _span(asked.removeprefix("bytes="), len(data))
            span = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
            self._answer(206, data[start : end + 1], "application/zip", span)

        do_HEAD = do_GET

        def _answer(
            self, status: int, body: bytes, kind: str, more: Mapping[str, str] | None = None
        ) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, **(more or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silent: tests read `LoopbackIndex.requests`."""

    return Handler
