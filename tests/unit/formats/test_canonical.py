"""Canonical JSON against RFC 8785's own examples and rules."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.formats.canonical import dumps

characters = st.characters(codec="utf-8")
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(characters),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(characters), inner),
)


@given(values)
def test_reads_back_as_the_same_value(value) -> None:
    # JSON knows doubles only, so an integral double may come back from other digits.
    assert json.loads(dumps(value), parse_int=float) == value


@given(values)
def test_does_not_depend_on_how_the_value_was_written_before(value) -> None:
    assert dumps(json.loads(json.dumps(value, indent=3), parse_int=float)) == dumps(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [  # RFC 8785, appendix B
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (-5e-324, "-5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (1.0000000000000001e23, "1.0000000000000001e+23"),
        (999999999999999700000.0, "999999999999999700000"),
        (1e21, "1e+21"),
        (9.999999999999997e-7, "9.999999999999997e-7"),
        (0.000001, "0.000001"),
        (333333333.33333329, "333333333.3333333"),
        (0.0000033333333333333333, "0.0000033333333333333333"),
        (-0.0000033333333333333333, "-0.0000033333333333333333"),
        (1424953923781206.25, "1424953923781206.2"),
    ],
)
def test_numbers(value, text) -> None:
    assert dumps(value).decode() == text


def test_keys_are_sorted_by_utf16_code_units() -> None:  # RFC 8785, 3.2.3
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]
    ordered = json.loads(dumps(dict.fromkeys(keys, 0)), object_pairs_hook=list)
    assert [key for key, _ in ordered] == [
        "\r",
        "1",
        "\x80",
        "\xf6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


def test_strings_are_escaped_as_little_as_possible() -> None:  # RFC 8785, 3.2.2.2
    assert dumps('\u20ac$\x0f\nA\'B"\\\\"/').decode() == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53 + 1, "\ud800"])
def test_what_has_no_canonical_form_is_refused(value) -> None:
    with pytest.raises(ValueError):
        dumps(value)
