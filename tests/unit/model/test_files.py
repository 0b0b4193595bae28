from io import BytesIO
from typing import BinaryIO

import pytest

from envguard.model.digest import Digest
from envguard.model.errors import LimitError
from envguard.model.files import Entry, Files, Kind, join, read, walk


class Tree:
    """A tree in memory: text is a file, a dict a folder, ``None`` a link."""

    def __init__(self, content: dict) -> None:
        self.content = content

    def _at(self, path: str) -> object:
        here: object = self.content
        for part in path.split("/") if path else ():
            here = here[part] if isinstance(here, dict) else None
        return here

    def scan(self, folder: str) -> list[Entry]:
        found = self._at(folder)
        kinds = {dict: Kind.FOLDER, str: Kind.FILE, type(None): Kind.LINK}
        names = sorted(found) if isinstance(found, dict) else []
        return [Entry(name=name, kind=kinds[type(found[name])]) for name in names]  # type: ignore[index]

    def stat(self, path: str) -> Entry | None:
        raise NotImplementedError

    def open(self, path: str) -> BinaryIO:
        return BytesIO(str(self._at(path)).encode())

    def digest(self, path: str) -> Digest:
        return Digest.of(self.open(path).read())


TREE: Files = Tree({"b": {"c": "text", "d": {"e": "x"}}, "a": "1", "l": None})


def test_walk_lists_everything_sorted_and_follows_no_link():
    assert [(path, entry.kind.value) for path, entry in walk(TREE)] == [
        ("a", "file"),
        ("b", "folder"),
        ("b/c", "file"),
        ("b/d", "folder"),
        ("b/d/e", "file"),
        ("l", "link"),
    ]


def test_walk_stays_out_of_folders_that_are_not_entered():
    assert [path for path, _ in walk(TREE, "b", enter=lambda path: False)] == ["b/c", "b/d"]


def test_join():
    assert join("", "a") == "a"
    assert join("a/b", "c") == "a/b/c"


def test_read_stops_at_its_limit():
    assert read(TREE, "b/c", limit=4) == b"text"
    with pytest.raises(LimitError) as caught:
        read(TREE, "b/c", limit=3)
    assert caught.value.where == "b/c"
