import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.images import tar

COMPONENTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1)
PATHS = st.lists(COMPONENTS, min_size=1, max_size=40).map("/".join)


def parsed(header: bytes) -> tarfile.TarInfo:
    stream = io.BytesIO(header + tar.END)
    return tarfile.open(fileobj=stream).next()  # type: ignore[return-value]


@given(path=PATHS, executable=st.booleans())
def test_file_headers_read_back(path: str, executable: bool) -> None:
    info = parsed(tar.file_header(path, 0, executable=executable))
    # The standard library strips what folders end in.
    assert info.name == path.rstrip("/")
    assert info.mode == (0o755 if executable else 0o644)


@given(path=PATHS, target=PATHS)
def test_link_headers_read_back(path: str, target: str) -> None:
    info = parsed(tar.link_header(path, target))
    assert (info.name, info.linkname, info.type) == (path, target, tarfile.SYMTYPE)


@pytest.mark.parametrize("length", [*range(96, 104), 154, 155, 156, *range(250, 260), 300])
@pytest.mark.parametrize("shape", ["flat", "deep", "cut"])
def test_names_of_every_length_read_back(length: int, shape: str) -> None:
    path = {
        "flat": "n" * length,
        "deep": ("abcdefghi/" * 40)[: length - 1] + "x",
        "cut": "p" * min(155, length // 2) + "/" + "n" * (length - min(155, length // 2) - 1),
    }[shape]
    assert len(path) == length
    assert parsed(tar.file_header(path, 0)).name == path
    folder = parsed(tar.folder_header(path))
    assert (folder.name, folder.type, folder.mode) == (path, tarfile.DIRTYPE, 0o755)


def test_pax_is_there_only_where_ustar_cannot_say_it() -> None:
    assert len(tar.file_header("a/" * 70 + "x", 1)) == 512
    assert len(tar.file_header("n" * 100, 8 * 2**30 - 1)) == 512
    assert len(tar.file_header("n" * 101, 1)) == 1536
    assert len(tar.file_header("ä", 1)) == 1536


@pytest.mark.parametrize("size", [8 * 2**30 - 1, 8 * 2**30, 20 * 2**30, 2**50])
def test_sizes_beyond_octal_read_back(size: int) -> None:
    info = parsed(tar.file_header("large", size))
    assert (info.name, info.size) == ("large", size)


@given(size=st.integers(min_value=0, max_value=5000))
def test_padding_fills_the_last_block(size: int) -> None:
    filled = size + len(tar.padding(size))
    assert filled % 512 == 0
    assert filled - size < 512
