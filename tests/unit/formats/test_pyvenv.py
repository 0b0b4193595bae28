"""pyvenv.cfg."""

import venv
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.formats.pyvenv import VirtualEnvironment, read_pyvenv
from envguard.model.errors import UnreadableError


def test_reads_what_the_standard_library_writes(tmp_path: Path) -> None:
    venv.create(tmp_path / "v", with_pip=False, system_site_packages=True)
    found = read_pyvenv((tmp_path / "v/pyvenv.cfg").read_bytes(), "x")
    assert found.system_site_packages
    assert found.version
    assert Path(found.home).is_dir()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("home = /usr/bin\nversion = 3.11.2\n", {"version": "3.11.2"}),
        ("home=/usr/bin\nversion_info = 3.12.0.final.0\n", {"version": "3.12.0"}),
        ("HOME = /usr/bin\r\nversion_info = 3.13.0rc1\r\n", {"version": "3.13.0rc1"}),
        ("home = /usr/bin\nhome = /other\nversion = soon\n", {}),
        (
            "home = /usr/bin\nexecutable = /usr/bin/python3.11\n",
            {"executable": "/usr/bin/python3.11"},
        ),
        ("home = /usr/bin\ninclude-system-site-packages = TRUE", {"system_site_packages": True}),
    ],
)
def test_reads_every_maker(text: str, found: dict[str, object]) -> None:
    assert read_pyvenv(text.encode(), "x") == VirtualEnvironment(home="/usr/bin", **found)  # type: ignore[arg-type]


def test_home_is_needed() -> None:
    with pytest.raises(UnreadableError, match="names no home"):
        read_pyvenv(b"version = 3.11", "x")


@given(st.binary(max_size=200))
def test_any_bytes_are_settings_or_a_typed_error(data: bytes) -> None:
    with suppress(UnreadableError):
        assert read_pyvenv(data, "x").home


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1))
def test_home_comes_back_as_written(home: str) -> None:
    assert read_pyvenv(f"home = {home}\n".encode(), "x").home == home
