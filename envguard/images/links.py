"""Where a path leads, link by link, in a tree of which only single links can be read."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass

from envguard.model.errors import UnreadableError
from envguard.model.files import Files, join

_MAX_LINKS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """*path* has no links in it; *links* are those on the way, each with its target as written.

    All paths are relative to the tree's root, which ``..`` does not leave.
    """

    path: str
    links: tuple[tuple[str, str], ...]


def follow(path: str, target_of: Callable[[str], str | None]) -> Followed:
    """Follow every link in *path*; *target_of* gives the target of a path that is a link.

    Raises `UnreadableError` when it takes more than 40 links. Source: path_resolution(7).
    """
    real, links = "", list[tuple[str, str]]()
    left = path.split("/")[::-1]
    while left:
        part = left.pop()
        here = posixpath.dirname(real) if part == ".." else join(real, part)
        target = None if part in ("", ".", "..") else target_of(here)
        if target is None:
            real = real if part in ("", ".") else here
            continue
        links.append((here, target))
        if len(links) > _MAX_LINKS:
            raise UnreadableError("leads through too many links", where=path)
        real = "" if target.startswith("/") else real
        left += target.split("/")[::-1]
    return Followed(path=real, links=tuple(links))


def target_in(files: Files) -> Callable[[str], str | None]:
    """`follow`'s *target_of* for a tree; each folder is read once."""
    folders: dict[str, dict[str, str | None]] = {}

    def target_of(path: str) -> str | None:
        folder, name = posixpath.split(path)
        if folder not in folders:
            folders[folder] = {entry.name: entry.target for entry in files.scan(folder)}
        return folders[folder].get(name)

    return target_of
