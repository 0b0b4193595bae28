"""Hashing many files."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.formats import digests
from envguard.formats.digests import hash_files
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from tests.support.memory_files import MemoryFiles


@pytest.mark.parametrize("workers", [1, 2, 5])
@given(data=st.dictionaries(st.text("abc", min_size=1), st.binary(max_size=9)))
def test_every_file_is_hashed_on_any_number_of_threads(
    workers: int, data: dict[str, bytes]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "_ALONE", 0)
        patch.setattr(digests, "_LARGE", 5)
        sizes = {path: len(content) for path, content in data.items()}
        found = hash_files(MemoryFiles(data), sizes, workers=workers)
    assert found == {path: Digest.of(content) for path, content in data.items()}


def test_absent_is_none_and_unreadable_is_an_error() -> None:
    files = MemoryFiles({"folder/file": b""})
    found = hash_files(files, {"absent": 0, "folder": 0})
    assert found["absent"] is None
    assert isinstance(found["folder"], UnreadableError)


def test_progress_begins_and_ends() -> None:
    said: list[tuple[int, int | None]] = []
    data = {str(number): b"" for number in range(600)}
    hash_files(
        MemoryFiles(data),
        dict.fromkeys(data, 0),
        progress=lambda _, done, total: said.append((done, total)),
    )
    assert said == [(0, 600), (256, 600), (512, 600), (600, 600)]


def test_an_error_in_one_thread_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(MemoryFiles):
        def digest(self, path: str) -> Digest:
            raise RuntimeError(path)

    monkeypatch.setattr(digests, "_ALONE", 0)
    data = {str(number): b"" for number in range(100)}
    with pytest.raises(RuntimeError):
        hash_files(Broken(data), dict.fromkeys(data, 1 << 20), workers=3)
    assert threading.active_count() < 20
