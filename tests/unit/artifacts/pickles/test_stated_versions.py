"""Versions that libraries state inside pickles."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.artifacts.limits import Limits
from envguard.artifacts.pickles import stated_versions
from envguard.artifacts.pickles.reader import read
from envguard.model.artifact import WrittenBy
from tests.support.pickles import short_text, stack_global


def versions_in(data: bytes) -> list[tuple[str, str, int | None]]:
    needs = read(io.BytesIO(data), "m", Limits()).needs
    return [(n.distribution, n.version, n.where.offset) for n in needs if isinstance(n, WrittenBy)]


def built(module: str, name: str, key: str, value: bytes) -> bytes:
    return b"\x80\x05" + stack_global(module, name) + b")\x81}" + short_text(key) + value + b"sb."


UBJSON = b"version[#L" + bytes(7) + b"\x03i\x02i\x01I\x01\x00"
JSON = b'{"Config":{},"version":[1,4,2]}'


def in_bytes(content: bytes, before: int) -> bytes:
    body = b"." * before + content + b"." * 99
    return b"\x96" + struct.pack("<Q", len(body)) + body


@pytest.mark.parametrize(
    ("content", "version"), [(UBJSON, "2.1.256"), (JSON, "1.4.2")], ids=["ubjson", "json"]
)
@pytest.mark.parametrize("before", [0, 100, (1 << 18) - 40, (1 << 18) - 60, 300_000])
def test_xgboost(content: bytes, version: str, before: int):
    data = built("xgboost.core", "Booster", "handle", in_bytes(content, before))
    assert versions_in(data) == [("xgboost", version, data.rindex(b"b."))]


def test_xgboost_through_bytearray():
    packed = stack_global("builtins", "bytearray") + in_bytes(UBJSON, 9) + b"\x85R"
    assert versions_in(built("xgboost.core", "Booster", "handle", packed))


def test_the_last_part_of_a_state_may_hold_slots():
    data = (
        b"\x80\x04" + stack_global("sklearn.base", "X") + b")\x81N}"
        + short_text("_sklearn_version") + short_text("1.4.2") + b"s\x86b."
    )  # fmt: skip
    assert versions_in(data) == [("scikit-learn", "1.4.2", len(data) - 2)]


@pytest.mark.parametrize(
    "data",
    [
        built("other.core", "Booster", "handle", in_bytes(UBJSON, 9)),
        built("xgboost.core", "Booster", "other", in_bytes(UBJSON, 9)),
        built("mine", "Model", "_sklearn_version", short_text("1.0")),
        built("sklearn.base", "X", "_sklearn_version", short_text("no version")),
        built("sklearn.base", "X", "_sklearn_version", b"K\x01"),
        b"\x80\x04" + short_text("_sklearn_version") + short_text("1.0") + b"\x86.",
    ],
)
def test_says_nothing_elsewhere(data: bytes):
    assert versions_in(data) == []


@given(st.binary(max_size=200), st.integers(1, 64))
def test_pieces_do_not_matter(noise: bytes, size: int):
    content = noise + UBJSON + noise
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    assert stated_versions.in_content(pieces) == stated_versions.in_content([content])
