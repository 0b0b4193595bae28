"""METADATA, WHEEL, direct_url.json and module names."""

import email.parser
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from envguard.formats.dist_info import (
    Metadata,
    module_name,
    normalised,
    read_metadata,
    read_origin,
    read_wheel_build,
    top_level_modules,
)
from envguard.model.errors import UnreadableError
from envguard.model.package import DirectUrl, LocalFolder, Vcs

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=20)


def test_reads_name_version_and_requirements() -> None:
    data = b"Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.0\nRequires-Dist: a (>1)\n\nName: b\n"
    assert read_metadata(data, "x") == Metadata(name="foo-bar", version="1.0", requires=("a (>1)",))


def test_folded_fields_are_one_line_and_crlf_is_a_line_end() -> None:
    data = b"Name: a\r\nVersion: 1\r\nRequires-Dist: b;\r\n  python_version < '4'\r\n\r\nVersion: 2"
    assert read_metadata(data, "x").requires == ("b;   python_version < '4'",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "name is stated nowhere; version is stated nowhere"),
        (b"Name: a\nVersion: 1\nVersion: 2\n", "version is stated as 1 and 2"),
        (b"Name: ../a\nVersion: 1\n", "not a name"),
        (b"Name: a\n\nVersion: 1\n", "version is stated nowhere"),
        (b"Name: a\nno header\nVersion: 1\n", "version is stated nowhere"),
    ],
)
def test_refuses_what_is_not_clear(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableError, match=message):
        read_metadata(data, "x")


@given(st.lists(st.tuples(st.sampled_from(["Requires-Dist", "Summary", "X-y"]), _TEXT)), _TEXT)
def test_agrees_with_the_email_module(fields: list[tuple[str, str]], body: str) -> None:
    lines = "".join(f"{name}: {value}\n" for name, value in fields)
    text = f"Name: demo\nVersion: 1.0\n{lines}\n{body}"
    message = email.parser.Parser().parsestr(text)
    expected = tuple(value.strip() for value in message.get_all("Requires-Dist", []))
    assert read_metadata(text.encode(), "x").requires == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_metadata_or_a_typed_error(data: bytes) -> None:
    for read in (read_metadata, read_origin):
        try:
            read(data, "x")
        except UnreadableError:
            continue
    read_wheel_build(data)


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True))
def test_names_are_normalised_as_packaging_does(name: str) -> None:
    assert normalised(name) == canonicalize_name(name)


@pytest.mark.parametrize(
    ("tags", "build"),
    [
        (["py2-none-any", "py3-none-any"], "py2.py3-none-any"),
        (["py3-none-any", "py2-none-any"], "py2.py3-none-any"),
        (
            ["cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux2014_x86_64"],
            "cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64",
        ),
        (["cp310-abi3-any", "cp311-none-any"], None),
        ([], None),
        (["nonsense"], None),
    ],
)
def test_wheel_tags_become_the_end_of_the_file_name(tags: list[str], build: str | None) -> None:
    data = "Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in tags)
    assert read_wheel_build(data.encode()) == build


def test_build_number_comes_first() -> None:
    assert read_wheel_build(b"Build: 2\nTag: py3-none-any\n") == "2-py3-none-any"


@pytest.mark.parametrize(
    ("stated", "origin"),
    [
        (
            {"url": "https://u:p@index.example/a.whl", "archive_info": {}},
            DirectUrl(url="https://index.example/a.whl"),
        ),
        (
            {
                "url": "ssh://git@index.example/a.git",
                "vcs_info": {"vcs": "git", "commit_id": "c0ffee", "requested_revision": "main"},
            },
            Vcs(system="git", url="ssh://git@index.example/a.git", commit="c0ffee"),
        ),
        (
            {"url": "file:///src", "dir_info": {"editable": True}},
            LocalFolder(url="file:///src", editable=True),
        ),
        ({"url": "file:///src", "dir_info": {}}, LocalFolder(url="file:///src")),
    ],
)
def test_origins_lose_their_credentials(stated: object, origin: object) -> None:
    assert read_origin(json.dumps(stated).encode(), "x") == origin


@pytest.mark.parametrize("data", [b"[]", b"{", b'{"url": "a"}', b"[" * 100_000])
def test_a_strange_origin_is_an_error(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_origin(data, "x")


@pytest.mark.parametrize(
    ("paths", "modules"),
    [
        (["lib/numpy/__init__.py", "lib/numpy.libs/libgfortran.so.5"], ("numpy",)),
        (["lib/six.py", "lib/six-1.0.dist-info/METADATA"], ("six",)),
        (["lib/_cffi_backend.cpython-311-x86_64-linux-gnu.so"], ("_cffi_backend",)),
        (["lib/fast.abi3.so", "lib/plain.so", "lib/notes.txt"], ("fast", "plain")),
        (["lib/google/protobuf/__init__.py"], ("google",)),
        (["lib/data/table.csv", "lib/hook.pth", "scripts/run.py", "data/share/x.py"], ()),
        (["lib/__editable___demo_finder.py"], ()),
        (["lib/stubs-stubs/__init__.pyi"], ()),
    ],
)
def test_top_level_modules(paths: list[str], modules: tuple[str, ...]) -> None:
    assert top_level_modules(paths) == modules


@given(st.text(max_size=20))
def test_module_names_have_no_dot(filename: str) -> None:
    name = module_name(filename)
    assert name is None or ("." not in name and filename.startswith(name))
