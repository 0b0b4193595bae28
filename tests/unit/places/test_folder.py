"""Folders and single files: what is read, and what is never opened."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.model.digest import Digest
from envguard.model.errors import LimitError, UnreadableError
from envguard.model.files import Entry, Kind, Name, names, read, walk
from envguard.places import folder as folder_module
from envguard.places.folder import Folder, SingleFile, tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``root`` beside ``outside``, with links inside, out of it, broken, and round in circles."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"secret")
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub/file").write_bytes(b"content")
    (root / "tool").write_bytes(b"#!")
    (root / "tool").chmod(0o755)
    (root / "inner").symlink_to("sub/file")
    (root / "absolute").symlink_to(root / "sub/file")
    (root / "folder").symlink_to("sub")
    (root / "out").symlink_to("../outside/secret")
    (root / "outfolder").symlink_to("../outside")
    (root / "broken").symlink_to("nowhere")
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe")
    return root


def test_scan_lists_every_kind_sorted(root: Path) -> None:
    listed = Folder(root).scan("")
    assert [entry.name for entry in listed] == sorted(entry.name for entry in listed)
    by_name = {entry.name: entry for entry in listed}
    assert by_name["sub"].kind is Kind.FOLDER
    assert by_name["pipe"].kind is Kind.OTHER
    assert by_name["out"] == Entry(name="out", kind=Kind.LINK, target="../outside/secret")
    assert by_name["tool"] == Entry(name="tool", kind=Kind.FILE, size=2, executable=True)


def test_names_are_those_of_scan(root: Path) -> None:
    folder = Folder(root)
    for path in ("", "sub", "folder", "nothing", "tool", "outfolder"):
        assert names(folder, path) == [Name(one.name, one.kind) for one in folder.scan(path)]


def test_links_are_followed_below_folders_that_are_known(root: Path) -> None:
    machine, top = Folder(Path("/")), str(root).lstrip("/")
    assert machine.scan(top)
    assert names(machine, f"{top}/folder") == [Name("file", Kind.FILE)]
    assert read(machine, f"{top}/outfolder/secret") == b"secret"
    assert names(machine, f"{top}/nothing/below") == []


def test_absent_folders_are_empty(root: Path) -> None:
    assert Folder(root).scan("nothing") == []
    assert Folder(root).scan("tool") == []
    assert Folder(root).scan("outfolder") == []


@pytest.mark.parametrize("path", ["sub/file", "inner", "absolute", "folder/file"])
def test_links_inside_are_followed(root: Path, path: str) -> None:
    folder = Folder(root)
    assert read(folder, path) == b"content"
    assert folder.digest(path) == Digest.of(b"content")
    entry = folder.stat(path)
    assert entry is not None
    assert (entry.kind, entry.size) == (Kind.FILE, 7)


@pytest.mark.parametrize(
    "path",
    [
        "out",
        "outfolder/secret",
        "broken",
        "circle",
        "pipe",
        "sub",
        "nothing",
        "tool/x",
        "",
        "a" * 300,
    ],
)
def test_nothing_else_is_opened(root: Path, path: str) -> None:
    folder = Folder(root)
    for use in (folder.open, folder.digest):
        with pytest.raises(UnreadableError):
            use(path)


@pytest.mark.parametrize("path", ["../outside/secret", "/etc/passwd", "sub/../tool", "a\0b"])
def test_paths_that_are_none_are_refused(root: Path, path: str) -> None:
    with pytest.raises(UnreadableError, match="no path inside"):
        Folder(root).open(path)
    assert Folder(root).stat(path) is None


@pytest.mark.parametrize(
    "path", ["out", "outfolder/secret", "broken", "circle", "nothing", "tool/x"]
)
def test_what_cannot_be_reached_is_absent(root: Path, path: str) -> None:
    assert Folder(root).stat(path) is None


def test_the_root_is_a_folder(root: Path) -> None:
    entry = Folder(root).stat("")
    assert entry is not None
    assert entry.kind is Kind.FOLDER


def test_a_folder_that_was_swapped_for_a_link_is_not_left(root: Path) -> None:
    folder = Folder(root)
    (root / "sub/secret").write_bytes(b"inside")
    assert folder.digest("sub/secret") == Digest.of(b"inside")
    (root / "sub").rename(root / "was")
    (root / "sub").symlink_to("../outside")
    with pytest.raises(UnreadableError, match="replaced"):
        folder.digest("sub/secret")
    with pytest.raises(UnreadableError, match="replaced"):
        folder.open("sub/secret")


def test_a_file_rewritten_while_it_is_read_is_an_error(root: Path) -> None:
    folder = Folder(root)
    stream = folder.open("sub/file")
    (root / "sub/file").write_bytes(b"CONTENT")
    stream.read()
    with pytest.raises(UnreadableError, match="changed while it was read"):
        stream.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_file_rewritten_while_it_is_hashed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Even a file that is a moment old: one tick of the clock must not hide the second write."""
    path, hashing = tmp_path / "model", folder_module._sha256

    def disturbed(descriptor: int, size: int) -> Digest:
        if when == "before":
            path.write_bytes(b"2" * 1000)
        digest = hashing(descriptor, size)
        if when == "after":
            path.write_bytes(b"2" * 1000)
        return digest

    monkeypatch.setattr(folder_module, "_sha256", disturbed)
    for _ in range(10):
        path.write_bytes(b"1" * 1000)
        with pytest.raises(UnreadableError, match="changed while it was read"):
            Folder(tmp_path).digest("model")


def test_a_file_that_never_rests_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"1")
    stop = threading.Event()

    def touch() -> None:
        while not stop.wait(0.001):
            path.touch()

    writer = threading.Thread(target=touch)
    writer.start()
    try:
        with pytest.raises(UnreadableError, match="change"):
            Folder(tmp_path).digest("model")
    finally:
        stop.set()
        writer.join()
    assert Folder(tmp_path).digest("model") == Digest.of(b"1")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, (1 << 20) + 1])
def test_every_size_is_hashed_whole(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "x").write_bytes(data)
    assert Folder(tmp_path).digest("x") == Digest.of(data)


def test_endless_files_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate((4 << 40) + 1)
    with pytest.raises(LimitError, match="too large"):
        Folder(tmp_path).digest("sparse")


def test_no_permission_is_no_absence(root: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (root / "sub").chmod(0)
    try:
        with pytest.raises(UnreadableError, match="Permission denied"):
            Folder(root).stat("sub/file")
    finally:
        (root / "sub").chmod(0o755)


@given(st.lists(st.from_regex(r"[a-c]{1,2}(/[a-c]{1,2}){0,2}", fullmatch=True), unique=True))
def test_walk_finds_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    root = tmp_path_factory.mktemp("walk")
    written = set()
    for path in paths:
        try:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(path)
        except OSError:  # a name that is a folder here and a file there
            continue
        written.add(path)
    found = {path: entry for path, entry in walk(Folder(root)) if entry.kind is Kind.FILE}
    assert set(found) == written
    assert all(entry.size == len(path) for path, entry in found.items())


def test_single_file_is_a_tree_of_one(root: Path) -> None:
    (root / "model.bin").symlink_to("../outside/secret")
    single = SingleFile(root / "model.bin")
    assert [path for path, _ in walk(single)] == ["model.bin"]
    assert read(single, "model.bin") == b"secret"
    assert single.digest("model.bin") == Digest.of(b"secret")
    assert single.stat("tool") is None
    assert single.scan("sub") == []
    for path in ("tool", "secret", "../root/tool"):
        with pytest.raises(UnreadableError):
            single.open(path)


def test_tree_is_a_folder_or_a_file(root: Path) -> None:
    assert isinstance(tree(root), Folder)
    assert isinstance(tree(root / "tool"), SingleFile)
    with pytest.raises(UnreadableError, match="does not exist"):
        tree(root / "nothing")
