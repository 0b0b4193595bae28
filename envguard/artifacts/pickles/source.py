"""The bytes of one stream, given out as the loader takes them, with the frames of protocol 4."""

import os
from collections.abc import Iterator
from typing import BinaryIO

from envguard.model.errors import LimitError, UnreadableError

CHUNK = 1 << 18
"""Bytes that are read at once."""

LINE = 4096
"""The longest line that is kept, in bytes: names and numbers of protocol 0."""


class Source:
    """A buffered stream that knows its offset and the end of the current frame.

    PEP 3154: no opcode or argument crosses the end of a frame, and no frame begins inside another.
    The loader written in C enforced neither until 3.13.15 and 3.14.7 and read on in its own way
    (python/cpython#154848), so such pickles mean different things to different loaders and are
    refused.
    """

    __slots__ = ("_base", "_buffer", "_frame_end", "_position", "_stop", "_stream", "path")

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self.path = path
        self._stream = stream
        self._base = 0  # the offset of the buffer's first byte in the stream
        self._buffer = b""
        self._position = 0  # the next byte in the buffer
        self._stop = 0  # bytes before it can be given out without a second look
        self._frame_end: int | None = None

    @property
    def offset(self) -> int:
        """Bytes given out so far."""
        return self._base + self._position

    def byte(self) -> int:
        """The next byte."""
        position = self._position
        if position >= self._stop:
            self._prepare(1)
            position = self._position
        self._position = position + 1
        return self._buffer[position]

    def each_byte(self) -> Iterator[int]:
        """The next byte, whatever else was taken in between: `byte` without the cost of a call."""
        while True:
            position = self._position
            if position >= self._stop:
                self._prepare(1)
                position = self._position
            self._position = position + 1
            yield self._buffer[position]

    def take(self, size: int) -> bytes:
        """The next *size* bytes, whole: for small sizes."""
        end = self._position + size
        if end > self._stop:
            self._prepare(size)
            end = self._position + size
        data = self._buffer[self._position : end]
        self._position = end
        return data

    def number(self, size: int) -> int:
        """The next *size* bytes as an unsigned little-endian number."""
        return int.from_bytes(self.take(size), "little")

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next *size* bytes in pieces: for large sizes."""
        if size:
            self._prepare(1)
            self._check_frame(size)
        while size:
            self._prepare(1)
            piece = self.take(min(size, self._stop - self._position))
            size -= len(piece)
            yield piece

    def line(self) -> bytes:
        """The bytes before the next line feed. Raises `LimitError` above `LINE` bytes."""
        line = self.long_line(LINE)
        if len(line) > LINE:
            raise LimitError(
                "the pickle has an overlong name or number",
                where=f"{self.path}@{self.offset}",
                expected=f"at most {LINE} bytes",
            )
        return line

    def long_line(self, keep: int) -> bytes:
        """The bytes before the next line feed; only the first *keep* + 1 of a longer line."""
        self._prepare(1)
        kept = b""
        while True:
            end = self._buffer.find(b"\n", self._position, self._stop)
            piece_end = self._stop if end < 0 else end
            kept += self._buffer[self._position : min(piece_end, self._position + keep + 1)]
            kept = kept[: keep + 1]
            self._position = piece_end
            if end >= 0:
                self._position += 1
                return kept
            self._check_frame(1)
            self._prepare(1)

    def begin_frame(self, size: int) -> None:
        """Let a frame of *size* bytes begin here."""
        if self._frame_end is not None and self._frame_end != self.offset:
            raise self.damaged("a frame begins inside another")
        self._frame_end = self.offset + size
        self._set_stop()

    def end_frame(self) -> None:
        """Check that the current frame, if any, ends here."""
        if self._frame_end is not None and self._frame_end != self.offset:
            raise self.damaged(
                "the pickle leaves its last frame unread",
                expected=f"the frame's end at {self._frame_end}",
            )
        self._frame_end = None
        self._set_stop()

    def skip(self, size: int) -> None:
        """Pass over *size* bytes outside any frame, without reading them where that is possible."""
        self.end_frame()
        buffered = min(size, len(self._buffer) - self._position)
        self._position += buffered
        size -= buffered
        if size > CHUNK and self._stream.seekable():
            self._seek(size)
            return
        for _ in self.pieces(size):
            pass

    def at_end(self) -> bool:
        """Whether the stream has no further byte."""
        self._fill(1)
        return self._position == len(self._buffer)

    def damaged(
        self, message: str, *, expected: str | None = None, found: str | None = None
    ) -> UnreadableError:
        """The error that says where reading stopped, and why."""
        return UnreadableError(
            f"the pickle is damaged: {message}",
            where=f"{self.path}@{self.offset}",
            expected=expected,
            found=found,
        )

    def _prepare(self, size: int) -> None:
        """Make *size* bytes ready to be given out; leave a frame that is used up."""
        if self._frame_end == self.offset:
            self._frame_end = None
        self._check_frame(size)
        self._fill(size)
        ready = len(self._buffer) - self._position
        if ready < size:
            raise self.damaged(
                "it ends too early", expected=f"{size} more bytes", found=f"{ready} bytes"
            )
        self._set_stop()

    def _check_frame(self, size: int) -> None:
        if self._frame_end is not None and self.offset + size > self._frame_end:
            raise self.damaged(
                "an opcode crosses the end of its frame",
                expected=f"at most {self._frame_end - self.offset} bytes",
                found=f"{size} bytes",
            )

    def _fill(self, size: int) -> None:
        """Read until *size* bytes are in the buffer or the stream ends."""
        while len(self._buffer) - self._position < size:
            piece = self._stream.read(CHUNK)
            if not piece:
                return
            self._base += self._position
            self._buffer = self._buffer[self._position :] + piece
            self._position = 0

    def _set_stop(self) -> None:
        self._stop = len(self._buffer)
        if self._frame_end is not None:
            self._stop = min(self._stop, self._frame_end - self._base)

    def _seek(self, size: int) -> None:
        """Pass over *size* bytes after the buffer, all of which has been given out."""
        here = self._stream.tell()
        left = self._stream.seek(0, os.SEEK_END) - here
        if left < size:
            raise self.damaged(
                "it ends inside an array", expected=f"{size} bytes", found=f"{left} bytes"
            )
        self._stream.seek(here + size)
        self._base += len(self._buffer) + size
        self._buffer, self._position, self._stop = b"", 0, 0
