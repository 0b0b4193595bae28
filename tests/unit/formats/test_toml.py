from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.formats import toml
from envguard.model.errors import LimitError, UnreadableError


def test_a_document():
    assert toml.load(b'a.b = "c.d" # x.y', "t") == {"a": {"b": "c.d"}}


@pytest.mark.parametrize(
    "data",
    [
        b"a." * 100_000 + b"b = 1",
        b"[" + b"a . " * 100 + b"b]",
        b'"x"."y".' * 100 + b"b = 1",
        b"a = " + b"[" * 100_000 + b"]" * 100_000,
        b"x = {" + b"a." * 70 + b"b = 1}",
    ],
)
def test_hostile_depth_is_a_limit(data: bytes):
    with pytest.raises(LimitError):
        toml.load(data, "t")


@pytest.mark.parametrize(
    "text", ['x = "' + "a." * 1000 + '"', "x = '''\n" + "a." * 99 + "\n'''", "# " + "a." * 99]
)
def test_dots_in_strings_and_comments_are_no_key(text: str):
    toml.load(text.encode(), "t")


@pytest.mark.parametrize("data", [b"\xff", b"a = ", b"a = 1\na = 2", b"a = " + b"9" * 5000])
def test_not_toml(data: bytes):
    with pytest.raises(UnreadableError) as caught:
        toml.load(data, "lock.toml")
    assert caught.value.where == "lock.toml"


def test_size(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(toml, "MAX_BYTES", 3)
    with pytest.raises(LimitError):
        toml.load(b"a = 1", "t")


@given(st.text("ab.=[]{}\"'\\\n #,1", max_size=200))
def test_any_text_is_read_or_refused(text: str):
    with suppress(UnreadableError):
        toml.load(text.encode(), "t")


def test_guarding_is_linear():
    with pytest.raises(UnreadableError):
        toml.load(b'"' * 300_001, "t")
    with pytest.raises(UnreadableError):
        toml.load(b"a" * 500_000 + b" " * 500_000, "t")
