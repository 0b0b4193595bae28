"""A web server on loopback that serves files, and fails in the ways that servers fail."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """*files* by path; *faults* by path answer instead of the file and may decline with False."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, Callable[["Handler"], bool]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    credentials: list[tuple[str, str | None]] = field(default_factory=list)
    port: int = 0

    def url(self, path: str) -> str:
        """The URL of *path*."""
        return f"http://127.0.0.1:{self.port}{path}"


class Handler(BaseHTTPRequestHandler):
    """Answers one request for its server's `FileServer`."""

    protocol_version = "HTTP/1.1"
    content: FileServer

    def do_GET(self) -> None:
        """Serve the file, or fail as asked."""
        self.content.requests[self.path] += 1
        self.content.credentials.append((self.path, self.headers.get("Authorization")))
        fault = self.content.faults.get(self.path)
        if fault and fault(self):
            return
        data = self.content.files.get(self.path)
        if data is None:
            self.answer(404, b"")
        else:
            self.answer(200, data)

    def answer(self, status: int, data: bytes, **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("length", str(len(data))))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(**files: bytes) -> Iterator[FileServer]:
    """A running server; more files and faults may be added while it runs."""
    content = FileServer(files=dict(files))
    handler = type("BoundHandler", (Handler,), {"content": content})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        content.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield content
        finally:
            server.shutdown()
            thread.join()


def status(code: int, *, times: int = 1_000_000) -> Callable[[Handler], bool]:
    """Answer *code* the first *times*."""

    def fault(handler: Handler) -> bool:
        if handler.content.requests[handler.path] > times:
            return False
        handler.answer(code, b"no")
        return True

    return fault


def short(*, times: int = 1_000_000) -> Callable[[Handler], bool]:
    """State the right length and close the connection in the middle."""

    def fault(handler: Handler) -> bool:
        if handler.content.requests[handler.path] > times:
            return False
        data = handler.content.files[handler.path]
        handler.answer(200, data[: len(data) // 2], length=str(len(data)))
        handler.close_connection = True
        return True

    return fault


def endless(handler: Handler) -> bool:
    """Send without a stated length and without an end."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(1 << 16))
    except OSError:
        handler.close_connection = True
    return True


def unframed(*, cut: int = 0, times: int = 1_000_000) -> Callable[[Handler], bool]:
    """Send without a stated length; the end of the connection is the end, *cut* bytes early."""

    def fault(handler: Handler) -> bool:
        data = handler.content.files[handler.path]
        lost = cut if handler.content.requests[handler.path] <= times else 0
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(data[: len(data) - lost])
        handler.close_connection = True
        return True

    return fault


def redirect(location: str) -> Callable[[Handler], bool]:
    """Answer with a redirect."""

    def fault(handler: Handler) -> bool:
        handler.answer(302, b"", Location=location)
        return True

    return fault
