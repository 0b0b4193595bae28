"""Makes sure that whatever is written into a file from now on changes its ctime.

A store through a shared mapping of a file (``mmap``) changes its times only where the page was
clean: further stores into a page that is dirty already go unnoticed until the kernel has written
it back. So dirty pages are written back before a file is hashed whose digest is to be remembered.

That helps only where the file system keeps the times of mapped files at all: disk file systems do,
tmpfs and many network and FUSE file systems do not. So the good ones are named here, and files
elsewhere are hashed every time. (An overlay whose upper folder lies on another kind of file system
than these cannot be told from within.)

Source: ``mmap(2)``, ``sync_file_range(2)``, ``proc_pid_mountinfo(5)``; ``filemap_page_mkwrite`` in
the kernel.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

_FILE_SYSTEMS = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "bcachefs", "f2fs", "overlay")
)
_WRITE_AND_WAIT = 0b111
"""SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE and _WAIT_AFTER."""


class Writeback:
    """Writes files back; knows for each device whether that is of any use."""

    def __init__(self) -> None:
        self._ways: dict[int, Callable[[int], bool] | None] = {}

    def clean(self, descriptor: int, device: int) -> bool:
        """Write back the open file on *device*; whether every later write will change its ctime."""
        if device not in self._ways:
            self._ways[device] = _way(descriptor)
        way = self._ways[device]
        return way is not None and way(descriptor)


def _way(descriptor: int) -> Callable[[int], bool] | None:
    """How to write back files on the file system of *descriptor*; ``None`` when it is no use."""
    kind, options = _mount(descriptor)
    if kind not in _FILE_SYSTEMS or "volatile" in options:  # an overlay that ignores fsync
        return None
    # An overlay's pages belong to the file below it, which only fsync reaches.
    return _synchronise if kind == "overlay" else _write_back


def _mount(descriptor: int) -> tuple[str, list[str]]:
    """Type and options of the file system; empty where /proc does not say."""
    try:
        facts = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
        mounts = Path("/proc/self/mountinfo").read_bytes().decode("ascii", "replace")
    except OSError:
        return "", []
    number = next((line.split()[1] for line in facts.splitlines() if line[:7] == "mnt_id:"), "")
    for line in mounts.splitlines():
        if line.split(" ", 1)[0] == number:
            kind, _, options = line.partition(" - ")[2].split(" ")
            return kind, options.split(",")
    return "", []


def _synchronise(descriptor: int) -> bool:
    try:
        os.fsync(descriptor)
    except OSError:
        return False
    return True


def _write_back(descriptor: int) -> bool:
    """Like fsync without a flush of the disk: for clean files a microsecond, not a millisecond."""
    sync_file_range = _sync_file_range()
    if sync_file_range is None:
        return _synchronise(descriptor)
    return sync_file_range(descriptor, 0, 0, _WRITE_AND_WAIT) == 0


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    import ctypes

    try:
        function = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    function.restype = ctypes.c_int

    def call(descriptor: int, offset: int, size: int, flags: int) -> int:
        return int(function(descriptor, offset, size, flags))

    return call
