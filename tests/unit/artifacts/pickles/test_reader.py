"""Hostile, broken and unforeseeable streams, limits, and what arbitrary bytes do."""

import io
import pickle
import random
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envguard.artifacts.limits import Limits
from envguard.artifacts.pickles.reader import read
from envguard.artifacts.reading import Reading
from envguard.model.artifact import Loads, Revision
from envguard.model.errors import LimitError, UnreadableError
from tests.support import pickles


def read_bytes(data: bytes, limits: Limits | None = None) -> Reading:
    return read(io.BytesIO(data), "m", limits or Limits())


def globals_of(reading: Reading) -> set[tuple[str, str]]:
    return {(need.module, need.name) for need in reading.needs if isinstance(need, Loads)}


@pytest.mark.parametrize("name", pickles.hostile())
def test_finds_every_hidden_global(name: str):
    data, expected = pickles.hostile()[name]
    assert pickles.asked_for(data) == expected
    assert globals_of(read_bytes(data)) == expected


@pytest.mark.parametrize("name", pickles.broken())
def test_refuses_what_loaders_refuse_or_understand_differently(name: str):
    with pytest.raises(UnreadableError) as caught:
        read_bytes(pickles.broken()[name])
    assert str(caught.value.where).startswith("m@")


@pytest.mark.parametrize("name", pickles.unforeseeable())
def test_is_never_clean_about_what_it_cannot_follow(name: str):
    assert read_bytes(pickles.unforeseeable()[name]).gaps


@pytest.mark.parametrize("name", pickles.hostile())
def test_refuses_every_truncation(name: str):
    data, _ = pickles.hostile()[name]
    for size in range(len(data)):
        with pytest.raises(UnreadableError):
            read_bytes(data[:size])


def test_globals_keep_the_offset_of_their_first_opcode():
    data = b"\x80\x04cos\nsystem\n0cos\nsystem\n0\x8c\x02os\x8c\x04path\x93."
    loads = [need for need in read_bytes(data).needs if isinstance(need, Loads)]
    assert [(need.name, need.where.offset) for need in loads] == [
        ("system", 2),
        ("path", data.index(b"\x93")),
    ]


def test_an_attribute_of_a_global_is_a_global_too():
    data = (
        b"\x80\x03cbuiltins\ngetattr\ncjson\ncodecs\n"
        + pickles.short_text("builtins")
        + b"\x86R\x940cbuiltins\ngetattr\nh\x00"
        + pickles.short_text("exec")
        + b"\x86R."
    )
    reading = read_bytes(data)
    assert globals_of(reading) == {
        ("builtins", "getattr"),
        ("json", "codecs"),
        ("json", "codecs.builtins"),
        ("json", "codecs.builtins.exec"),
    }
    assert "runs code" in reading.gaps[0].reason


@pytest.mark.parametrize("protocol", range(6))
def test_states_the_protocol(protocol: int):
    value = [1, b"bytes", "text", (1.5, None)]
    if protocol == 1:
        value = [1, {}]
    reading = read_bytes(pickle.dumps(value, protocol))
    assert [n.revision for n in reading.needs if isinstance(n, Revision)] == [str(protocol)]


def test_the_newest_opcode_counts_where_a_lower_protocol_is_claimed():
    reading = read_bytes(b"\x80\x02" + pickles.stack_global("os", "path") + b".")
    assert [n.revision for n in reading.needs if isinstance(n, Revision)] == ["4"]


def test_opcodes_are_limited():
    data = pickle.dumps([None] * 1000)
    read_bytes(data, Limits(opcodes=1010))
    with pytest.raises(LimitError):
        read_bytes(data, Limits(opcodes=1000))


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04N" + b"\x85" * 60_000 + b".",
        b"\x80\x04" + b"(" * 60_000 + b"N.",
        b"\x80\x04cm\nf\n" + b")R" * 50_000 + b".",
        b"\x80\x04N" + b"2" * 100_000 + b".",
        b"\x80\x04}" + b"\x94" * 100_000 + b".",
        b"\x80\x04N" + b"\x852\x86" * 30_000 + b".",
    ],
    ids=["tuples", "marks", "calls", "copies", "memo", "doubling"],
)
def test_deep_nesting_costs_little(data: bytes):
    try:
        read_bytes(data)
    except UnreadableError:
        assert data.endswith(b"R.")


def test_long_contents_are_not_kept():
    big = pickle.dumps([np.zeros(4 << 20), b"x" * (8 << 20), "y" * (8 << 20)], 5)
    stream = io.BytesIO(big)
    tracemalloc.start()
    read(stream, "m", Limits())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_small_reads_of_the_stream_change_nothing():
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(1)

    for data, expected in pickles.hostile().values():
        assert globals_of(read(Dripping(data), "m", Limits())) == expected


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.text(min_size=250, max_size=260),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner, inner)
        | st.sets(st.integers())
        | st.frozensets(st.text())
    ),
)


@given(PLAIN, st.integers(0, 5))
def test_reads_every_plain_object_as_the_loader_does(value: object, protocol: int):
    data = pickle.dumps(value, protocol)
    _, asked = pickles.traced_load(data)
    reading = read_bytes(data)
    assert globals_of(reading) == asked
    assert not reading.gaps


@given(st.binary(max_size=60), st.sampled_from([b"", b"\x80\x02", b"\x80\x04", b"\x80\x05"]))
def test_arbitrary_bytes_give_a_reading_or_a_typed_error(data: bytes, start: bytes):
    check_against_the_loader(start + data + b".")


def mutations() -> Iterator[bytes]:
    seeds = [data for data, _ in pickles.hostile().values()]
    seeds += list(pickles.unforeseeable().values())
    seeds += [pickle.dumps({"a": [1, 2.5, ("x", b"y")], "b": {3}}, p) for p in range(6)]
    yield from seeds


@settings(max_examples=250)
@given(
    st.sampled_from(list(mutations())),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    st.randoms(),
)
def test_mutated_pickles_give_what_the_loader_asks_for_or_a_typed_error(
    data: bytes, changes: list[tuple[float, int]], order: random.Random
):
    mutated = bytearray(data)
    for place, byte in changes:
        position = int(place * len(mutated))
        match order.randrange(3):
            case 0:
                mutated[position] = byte
            case 1:
                mutated.insert(position, byte)
            case 2 if len(mutated) > 1:
                del mutated[position]
    check_against_the_loader(bytes(mutated))


def check_against_the_loader(data: bytes) -> None:
    """A clean reading has what the loader asks for; else a gap says what is missing."""
    try:
        reading = read_bytes(data)
    except UnreadableError as error:
        assert error.where
        return
    if b"\x96" in data:  # the loader would reserve any number of bytes
        return
    asked = pickles.asked_for(data)
    if asked is None:
        return
    if not any("name is computed" in gap.reason for gap in reading.gaps):
        assert globals_of(reading) >= asked
    if not reading.gaps and ("builtins", "getattr") not in asked:
        assert globals_of(reading) == asked
