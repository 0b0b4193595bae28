"""The strict wheel reader: every oddity that builders produce passes, every ambiguity does not."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from envguard.model.errors import EnvguardError, LimitError, UnreadableError
from envguard.wheels.archive import Wheel
from tests.support.wheels import DAMAGED, GOOD, HOSTILE, make_wheel, parts_of, raw_zip

FILENAME = "demo-1.0-py3-none-any.whl"


def written(folder: Path, data: bytes) -> Path:
    path = folder / FILENAME
    path.write_bytes(data)
    return path


def contents(path: Path) -> dict[str, bytes]:
    with Wheel.open(path, filename=FILENAME) as wheel:
        return {member.path: wheel.read(member) for member in wheel.members}


def by_zipfile(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {i.filename: archive.read(i) for i in archive.infolist() if not i.is_dir()}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_reads_what_builders_write_as_zipfile_does(make: Callable[[], bytes], tmp_path: Path):
    path = written(tmp_path, make())
    assert contents(path) == by_zipfile(path)


@pytest.mark.parametrize(("make", "says"), HOSTILE.values(), ids=HOSTILE)
def test_refuses_what_readers_see_differently(make: Callable[[], bytes], says: str, tmp_path: Path):
    path = written(tmp_path, make())
    with pytest.raises(UnreadableError) as raised:
        Wheel.open(path)
    assert says in raised.value.message
    assert raised.value.where == FILENAME


@pytest.mark.parametrize(("make", "says"), DAMAGED.values(), ids=DAMAGED)
def test_notices_damaged_members_while_reading(
    make: Callable[[], bytes], says: str, tmp_path: Path
):
    with Wheel.open(written(tmp_path, make())) as wheel:
        first, second, *_ = wheel.members
        with pytest.raises(UnreadableError, match=says):
            wheel.read(first)
        assert wheel.read(second)


def test_names_every_problem_with_member_and_offset(tmp_path: Path):
    from dataclasses import replace

    parts = [replace(part, flags=1) for part in parts_of()]
    with pytest.raises(UnreadableError) as raised:
        Wheel.open(written(tmp_path, raw_zip(parts)))
    for part in parts:
        assert repr(part.name.decode()) in raised.value.message
    assert "(at 0) is encrypted" in raised.value.message


def test_identity_comes_from_the_file_name(tmp_path: Path):
    path = make_wheel(tmp_path, name="Foo_Bar", version="1.0.post1", tag="cp311-cp311-linux_x86_64")
    stored = path.rename(tmp_path / "0123abc")
    with Wheel.open(stored, filename=path.name) as wheel:
        assert (wheel.name, wheel.version) == ("foo-bar", "1.0.post1")
        assert wheel.dist_info == "Foo_Bar-1.0.post1.dist-info"
        assert wheel.data_folder == "Foo_Bar-1.0.post1.data"
        assert {str(tag) for tag in wheel.tags} == {"cp311-cp311-linux_x86_64"}
        assert wheel.path == stored
    with pytest.raises(UnreadableError, match="not the name of a wheel"):
        Wheel.open(stored)


def test_versions_are_compared_as_versions(tmp_path: Path):
    path = make_wheel(tmp_path, version="1.0")
    with Wheel.open(path, filename="demo-1.0.0-py3-none-any.whl") as wheel:
        assert wheel.version == "1.0.0"


@pytest.mark.parametrize("mode", [0o100755, 0o755, 0o100744, 0o711])
def test_executable_bit(mode: int, tmp_path: Path):
    path = make_wheel(tmp_path, {"demo/tool": b"", "demo/data": b""}, modes={"demo/tool": mode})
    with Wheel.open(path) as wheel:
        assert [m.path for m in wheel.members if m.executable] == ["demo/tool"]


def test_member_tells_where_its_raw_data_lies(tmp_path: Path):
    path = make_wheel(tmp_path, method="stored")
    with Wheel.open(path) as wheel:
        for member in wheel.members:
            raw = path.read_bytes()[member.offset : member.offset + member.compressed_size]
            assert raw == wheel.read(member)


def test_large_members_are_streamed(tmp_path: Path):
    data = bytes(range(256)) * (5 << 12)
    with Wheel.open(make_wheel(tmp_path, {"demo/large": data})) as wheel:
        chunks = list(wheel.chunks(wheel.by_path["demo/large"]))
        assert b"".join(chunks) == data
        assert max(map(len, chunks)) <= 1 << 20
        assert wheel.head(wheel.by_path["demo/large"], 3) == b"\0\1\2"
        with pytest.raises(LimitError, match="too large"):
            wheel.read(wheel.by_path["demo/large"], limit=100)


def test_refuses_what_is_no_regular_file(tmp_path: Path):
    import os

    os.mkfifo(tmp_path / FILENAME)
    with pytest.raises(UnreadableError, match="no regular file"):
        Wheel.open(tmp_path / FILENAME)
    with pytest.raises(UnreadableError, match="cannot be opened"):
        Wheel.open(tmp_path / "absent-1.0-py3-none-any.whl")


BASE = raw_zip(parts_of())
MUTATIONS = st.lists(
    st.tuples(st.integers(0, len(BASE) - 1), st.integers(0, 255)), min_size=1, max_size=3
)


@settings(max_examples=200, deadline=None)
@given(mutations=MUTATIONS, cut=st.one_of(st.none(), st.integers(0, len(BASE))))
@example(mutations=[(0, 0)], cut=None)
def test_mutated_wheels_are_refused_or_read_as_zipfile_does(
    mutations: list[tuple[int, int]], cut: int | None, tmp_path_factory: pytest.TempPathFactory
):
    data = bytearray(BASE)
    for position, value in mutations:
        data[position] = value
    path = written(tmp_path_factory.getbasetemp(), bytes(data[:cut]))
    try:
        found = contents(path)
    except EnvguardError:
        return
    assert found == by_zipfile(path)


@settings(max_examples=60, deadline=None)
@given(
    files=st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(/[a-z0-9_.-]{0,8}[a-z]){0,2}", fullmatch=True),
        st.binary(max_size=3000),
        max_size=6,
    ),
    method=st.sampled_from(["stored", "deflated"]),
)
def test_good_wheels_are_read_as_zipfile_does(
    files: dict[str, bytes], method: str, tmp_path_factory: pytest.TempPathFactory
):
    folders = {path[:at] for path in files for at, c in enumerate(path) if c == "/"}
    files = {path: data for path, data in files.items() if path not in folders}
    path = make_wheel(tmp_path_factory.getbasetemp(), files, method=method)
    assert contents(path) == by_zipfile(path)
