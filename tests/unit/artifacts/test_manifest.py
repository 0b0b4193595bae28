"""The manifest and its digest: what they depend on, and what they do not."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envguard.artifacts import manifest
from envguard.model.digest import Digest
from envguard.model.errors import UnreadableError
from tests.support.memory_files import MemoryFiles

TREE = {"model.pkl": b"weights", "code/predict.py": b"pass", "code/__init__.py": b""}


def digest_of(files: MemoryFiles) -> Digest:
    return manifest.digest(manifest.build(files))


def test_lists_every_file_sorted_with_size_and_digest():
    entries = manifest.build(MemoryFiles(TREE, executables=frozenset({"code/predict.py"})))
    assert [(e.path, e.size, e.digest, e.executable) for e in entries] == [
        ("code/__init__.py", 0, Digest.of(b""), False),
        ("code/predict.py", 4, Digest.of(b"pass"), True),
        ("model.pkl", 7, Digest.of(b"weights"), False),
    ]


def test_digest_is_the_documented_text():
    files = MemoryFiles({"b": b"2", "a": b""}, executables=frozenset({"b"}))
    text = (
        b"envguard-manifest-v1\n"
        + f"a\0-\x000\0{Digest.of(b'').hex}\n".encode()
        + f"b\0x\x001\0{Digest.of(b'2').hex}\n".encode()
    )
    assert digest_of(files) == Digest.of(text)


@settings(max_examples=40)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=9)), st.randoms())
def test_digest_does_not_depend_on_order_or_workers(tree: dict[str, bytes], order: random.Random):
    entries = list(manifest.build(MemoryFiles(tree), workers=1))
    assert manifest.build(MemoryFiles(tree), workers=7) == tuple(entries)
    shuffled = order.sample(entries, len(entries))
    assert manifest.digest(shuffled) == manifest.digest(entries)


@pytest.mark.parametrize(
    "other",
    [
        MemoryFiles(TREE | {"model.pkl": b"Weights"}),
        MemoryFiles({**TREE, "model.pkl2": b"weights"}),
        MemoryFiles({path: data for path, data in TREE.items() if data}),
        MemoryFiles(TREE | {"empty": b""}),
        MemoryFiles({"Model.pkl" if p == "model.pkl" else p: d for p, d in TREE.items()}),
        MemoryFiles(TREE, executables=frozenset({"model.pkl"})),
    ],
    ids=["content", "more", "empty file gone", "empty file more", "name", "executable bit"],
)
def test_digest_depends_on_names_content_and_the_executable_bit(other: MemoryFiles):
    assert digest_of(other) != digest_of(MemoryFiles(TREE))


def test_line_breaks_in_names_cannot_forge_another_manifest():
    honest = manifest.build(MemoryFiles({"a": b"1", "b": b"2"}))
    forged_name = f"a\0-\x001\0{honest[0].digest.hex}\nb"
    forged = replace(honest[1], path=forged_name)
    with pytest.raises(UnreadableError, match="NUL"):
        manifest.digest([forged])


def test_a_link_inside_the_tree_counts_as_the_file_it_names():
    linked = MemoryFiles({"blobs/1": b"x"}, links={"model.pkl": "blobs/1"})
    copied = MemoryFiles({"blobs/1": b"x", "model.pkl": b"x"})
    assert digest_of(linked) == digest_of(copied)


def test_all_problems_are_named_at_once():
    files = MemoryFiles(
        {"a": b"", "folder/x": b"", "\udcff": b""},
        links={"out": "../secret", "nowhere": "b", "to-folder": "folder", "round": "round"},
        others=frozenset({"pipe"}),
    )
    with pytest.raises(UnreadableError) as caught:
        manifest.build(files)
    message = str(caught.value)
    for name in ("out", "nowhere", "to-folder", "round", "pipe", "\\udcff"):
        assert f"{name}: " in message


def test_every_file_that_cannot_be_read_is_named():
    class Failing(MemoryFiles):
        def digest(self, path: str) -> Digest:
            raise UnreadableError("changed while it was read", where=path)

    with pytest.raises(UnreadableError, match=r"a: changed .*; b: changed"):
        manifest.build(Failing({"b": b"", "a": b""}))


def test_progress_grows_to_the_number_of_bytes():
    told: list[tuple[str, int, int | None]] = []
    manifest.build(MemoryFiles(TREE), progress=lambda *news: told.append(news), workers=4)
    assert told[0] == ("hashing the model", 0, 11)
    assert told[-1] == ("hashing the model", 11, 11)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_an_empty_tree_has_a_digest():
    assert digest_of(MemoryFiles({})) == Digest.of(b"envguard-manifest-v1\n")
