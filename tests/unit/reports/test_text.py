"""Text for terminals."""

from hypothesis import given
from hypothesis import strategies as st

from envguard.model.findings import Area, Comparison, Gap
from envguard.reports import comparison
from envguard.reports.text import Screen, clean, pairs, plural, size


@given(st.text())
def test_nothing_that_a_terminal_obeys_passes(text: str) -> None:
    shown = clean(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    assert not set(shown) & set("\u202e\u2066\u200f")


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_plain_text_is_left_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_columns_are_aligned() -> None:
    assert pairs([("a", "1"), ("long", "2")]) == ["a     1", "long  2"]


def test_sizes_and_plurals() -> None:
    assert [size(n) for n in (0, 1023, 1024, 3 << 20, 5 << 30)] == [
        "0 B", "1023 B", "1.0 KiB", "3.0 MiB", "5.0 GiB",
    ]  # fmt: skip
    assert [plural(n, "file") for n in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]


@given(st.text(min_size=1), st.integers(40, 120))
def test_a_hostile_name_cannot_break_a_report(name: str, width: int) -> None:
    gap = Gap(area=Area.PACKAGES, subject=name, reason=name, fix=name)
    told = Comparison(
        before=name, after=name, findings=(), gaps=(gap,), not_compared=(), packages=1
    )
    for line in comparison.render(told, Screen(width=width)):
        assert clean(line) == line


def test_colour_only_where_the_screen_shows_it() -> None:
    assert Screen().style("x", "red") == "x"
    assert Screen(colour=True).style("x", "red") == "\x1b[31mx\x1b[0m"
