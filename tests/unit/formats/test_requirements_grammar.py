import codecs
import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.formats.requirements_grammar import (
    GrammarError,
    _arguments,
    ambiguous_lines,
    decode,
    expand,
    logical_lines,
    split,
)


def lines(text: str) -> list[tuple[int, str]]:
    return [(line.number, line.text) for line in logical_lines(text)]


def test_comments_blank_lines_and_continuations():
    text = "# head\n\nnumpy \\\n  ==1.26 \\\n  # a comment ends it \\\nscipy # why\nurl#egg=x\n"
    assert lines(text) == [(3, "numpy   ==1.26"), (6, "scipy"), (7, "url#egg=x")]


def test_a_continuation_at_the_end_of_the_file_is_kept():
    assert lines("numpy==1 \\") == [(1, "numpy==1")]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_byte_order_marks(mark: bytes, encoding: str):
    assert decode(mark + "numpy # é".encode(encoding)) == "numpy # é"


def test_coding_comment():
    assert decode("# -*- coding: latin-1 -*-\n# é".encode("latin-1")).endswith("é")
    assert decode(b"numpy\n# vim: coding=ascii") == "numpy\n# vim: coding=ascii"


@pytest.mark.parametrize(
    "data", [b"\xff\x00", b"# coding: nope\n", b"# coding: idna\n", b"# coding: zlib\n"]
)
def test_undecodable_is_an_error(data: bytes):
    with pytest.raises(GrammarError):
        decode(data)


def test_variables_come_from_the_mapping_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME_TOKEN", "secret")
    assert expand("${HOME_TOKEN} ${A} ${EMPTY} $B", {"A": "x", "EMPTY": ""}) == (
        "${HOME_TOKEN} x ${EMPTY} $B"
    )


def test_options_are_split_and_named_in_full():
    requirement, given = split("numpy==1 ; python_version < '3.12' --hash=sha256:a --hash sha256:b")
    assert requirement == "numpy==1 ; python_version < '3.12'"
    assert [(option.name, option.value) for option in given] == [
        ("--hash", "sha256:a"),
        ("--hash", "sha256:b"),
    ]
    assert [option.name for option in split("-rbase.txt")[1]] == ["--requirement"]
    assert [option.name for option in split("--requirem base.txt")[1]] == ["--requirement"]


def test_parses_do_not_share_state():
    assert len(split("-r a")[1]) == len(split("-r b")[1]) == 1


@pytest.mark.parametrize("text", ["--no-such", "--hash", "-e 'open", "--pre numpy", "--re x"])
def test_outside_the_grammar(text: str):
    with pytest.raises(GrammarError):
        split(text)


def test_ambiguous_line_ends_are_named():
    assert ambiguous_lines("a\nb\x0cc\n\u2028") == [2, 3]


@given(st.text(max_size=300))
def test_any_text_gives_lines_or_a_grammar_error(text: str):
    for line in logical_lines(text):
        assert line.text == line.text.strip() != ""
        with suppress(GrammarError):
            split(line.text)


def test_hostile_lengths_are_linear():
    assert lines(" " * 500_000 + "x") == [(1, "x")]
    assert lines("#a" * 250_000 + "\nx") == [(2, "x")]
    assert len(lines("a#" * 250_000)) == 1


@given(
    st.lists(
        st.sampled_from(["--hash=a", "-C", "k=v", "\u00a0", "\t", "'x y'", "\\ ", '"']), max_size=6
    )
)
def test_words_are_split_as_a_shell_does(words: list[str]):
    text = " ".join(words)
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(GrammarError):
            _arguments(text)
    else:
        assert _arguments(text) == expected
