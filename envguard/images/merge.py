"""Layers applied one on the other, as names and links only.

Source: OCI image specification 1.1, "Applying Changesets", "Whiteouts".
"""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from envguard.images.listing import LayerListing, Listed
from envguard.images.tar_reader import TarKind
from envguard.model.errors import UnreadableError
from envguard.model.files import Kind

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_KINDS = {TarKind.FILE: Kind.FILE, TarKind.LINK: Kind.LINK, TarKind.OTHER: Kind.OTHER}


@dataclass(slots=True, kw_only=True)
class Node:
    """A name in the image: *children* where it is a folder.

    The contents of a file are those of *member* in the layer with the number *layer*, where they
    begin at *offset* of the tar.
    """

    kind: Kind
    layer: int
    size: int = 0
    executable: bool = False
    target: str = ""
    digest: str = ""
    member: str = ""
    offset: int = 0
    children: "dict[str, Node] | None" = None


def merged(listings: Sequence[LayerListing]) -> Node:
    """The root folder after all layers, lowest first.

    Raises `UnreadableError` naming every entry that engines would not apply in one same way.
    """
    root = Node(kind=Kind.FOLDER, layer=0, children={})
    problems: list[str] = []
    for number, listing in enumerate(listings):
        _Changes(root, number, problems).apply(listing.entries)
    if problems:
        shown = "; ".join(problems[:20]) + (" ..." if len(problems) > 20 else "")
        raise UnreadableError(shown, where="image", expected="layers that all engines read alike")
    return root


class _Changes:
    """One layer on top of *root*."""

    def __init__(self, root: Node, number: int, problems: list[str]) -> None:
        self._root = root
        self._number = number
        self._problems = problems
        self._seen: dict[str, Listed] = {}
        self._folders: dict[str, Node] = {"": root}

    def apply(self, entries: Sequence[Listed]) -> None:
        """Whiteouts first: they hide names of lower layers only."""
        for entry in entries:
            if _WHITEOUT in entry.path:
                self._check_whiteout(entry)
                self._hide(entry.path)
        for entry in entries:
            if _hidden(entry.path) is None:
                self._put(entry)
            elif (hidden := _hidden(entry.path)) and hidden in self._seen:
                self._problem(f"{hidden!r} is deleted after it was written")

    def _problem(self, text: str) -> None:
        self._problems.append(f"layer {self._number + 1}: {text}")

    def _check_whiteout(self, entry: Listed) -> None:
        folder, name = posixpath.split(entry.path)
        inside = any(part.startswith(_WHITEOUT) for part in folder.split("/"))
        special = name.startswith(_WHITEOUT + _WHITEOUT) and name != _OPAQUE
        empty = name in (_WHITEOUT, _WHITEOUT + ".", _WHITEOUT + "..")
        marks = name.startswith(_WHITEOUT)
        if inside or special or empty or (marks and entry.kind is TarKind.FOLDER):
            self._problem(f"illegal whiteout {entry.path!r}")

    def _hide(self, path: str) -> None:
        hidden = _hidden(path)
        folder = self._lower(posixpath.dirname(path))
        if hidden is None or folder is None or folder.children is None:
            return
        if hidden == "":
            folder.children.clear()
        else:
            folder.children.pop(posixpath.basename(hidden), None)

    def _lower(self, path: str) -> Node | None:
        node: Node | None = self._root
        for name in filter(None, path.split("/")):
            node = (node.children or {}).get(name) if node else None
            if node and node.kind is Kind.LINK:
                self._problem(f"whiteout in {path!r}, which is below a link")
                return None
        return node

    def _put(self, entry: Listed) -> None:
        path, before = entry.path, self._seen.setdefault(entry.path, entry)
        if entry.kind is TarKind.FOLDER:
            if before.kind is not TarKind.FOLDER:
                self._problem(f"{path!r} is there twice")
            elif path not in self._folders:
                self._put_folder(path)
        elif not before.same(entry) or path in self._folders:
            self._problem(f"{path!r} is there twice")
        elif node := self._node(entry):
            parent, name = posixpath.split(path)
            children = self._folder(parent).children
            if children is not None:
                children[name] = node

    def _put_folder(self, path: str) -> None:
        parent, name = posixpath.split(path)
        siblings = self._folder(parent).children
        if siblings is None:
            return
        node = siblings.get(name)
        if node is None or node.kind is not Kind.FOLDER:
            node = siblings[name] = Node(kind=Kind.FOLDER, layer=self._number, children={})
        self._folders[path] = node

    def _folder(self, path: str) -> Node:
        """The folder *path* below an entry, made where the layer does not state it."""
        if path in self._folders:
            return self._folders[path]
        parent, name = posixpath.split(path)
        children = self._folder(parent).children
        new = Node(kind=Kind.FOLDER, layer=self._number, children={})
        node = new if children is None else children.setdefault(name, new)
        if node.kind is not Kind.FOLDER:
            self._problem(f"{path!r} is a {node.kind} and has names below it")
            node = new
        self._folders[path] = node
        return node

    def _node(self, entry: Listed) -> Node | None:
        if entry.kind is TarKind.HARD_LINK:
            return self._linked(entry)
        return Node(
            kind=_KINDS[entry.kind],
            layer=self._number,
            size=entry.size,
            executable=entry.executable,
            target=entry.target,
            digest=entry.digest,
            member=entry.path,
            offset=entry.offset,
        )

    def _linked(self, entry: Listed) -> Node | None:
        """The file that a hard link is another name of, in this layer or a lower one."""
        node: Node | None = self._root
        for name in entry.target.split("/"):
            node = (node.children or {}).get(name) if node else None
        if node is None or node.kind is Kind.FOLDER:
            self._problem(f"hard link {entry.path!r} to {entry.target!r}, which is no file")
            return None
        return node


def _hidden(path: str) -> str | None:
    """The path that the whiteout *path* hides, ``""`` for all of its folder; else ``None``."""
    folder, name = posixpath.split(path)
    if not name.startswith(_WHITEOUT):
        return None
    return "" if name == _OPAQUE else posixpath.join(folder, name.removeprefix(_WHITEOUT))
