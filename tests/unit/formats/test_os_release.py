"""os-release."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.formats.os_release import distribution, read_os_release


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('ID=debian\nVERSION_ID="12"\n', "debian 12"),
        ("# comment\nID='alpine'\nVERSION_ID=3.20.1\n", "alpine 3.20.1"),
        ("ID=arch\n", "arch"),
        ("ID=ubuntu\nID=debian\n", "debian"),
        ("NAME=nothing\n", None),
        ("", None),
    ],
)
def test_distribution(text: str, found: str | None) -> None:
    assert distribution(text.encode()) == found


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=30))
def test_quoted_values_come_back(value: str) -> None:
    escaped = "".join(f"\\{c}" if c in '"$`\\' else c for c in value)
    assert read_os_release(f'A="{escaped}"\n'.encode()) == {"A": value}


@given(st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True))
def test_plain_values_are_what_a_shell_reads(value: str) -> None:
    assert read_os_release(f"A={value}\n".encode())["A"] == shlex.split(value)[0]


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(data: bytes) -> None:
    distribution(data)
