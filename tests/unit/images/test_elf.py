import contextlib
import io
import struct
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from hypothesis import given, settings
from hypothesis import strategies as st

from envguard.images.elf import Elf, PackageObject, read_elf
from envguard.model.errors import LimitError, UnreadableError

_NUMPY = sorted(Path(numpy.__file__).parent.rglob("*.so"))
_NUMPY_LIBRARIES = sorted((Path(numpy.__file__).parent.parent / "numpy.libs").glob("*.so*"))
_STANDARD = sorted(Path(sysconfig.get_path("stdlib"), "lib-dynload").glob("*.so"))
_SYSTEM = [Path("/lib/x86_64-linux-gnu") / name for name in ("libc.so.6", "libstdc++.so.6")]
_OBJECTS = [
    path
    for path in (Path(sys.executable), *_NUMPY, *_NUMPY_LIBRARIES, *_STANDARD, *_SYSTEM)
    if path.exists()
]


def _read(path: Path) -> Elf:
    with path.open("rb") as stream:
        elf = read_elf(stream, str(path))
    assert elf is not None
    return elf


def _by_pyelftools(path: Path) -> dict[str, object]:
    """The same facts by another reader, from sections instead of segments."""
    facts: dict[str, object] = {"needed": (), "requires": {}, "provides": ()}
    with path.open("rb") as stream:
        for section in ELFFile(stream).iter_sections():
            if isinstance(section, DynamicSection):
                tags: list[Any] = list(section.iter_tags())
                facts["needed"] = tuple(t.needed for t in tags if t.entry.d_tag == "DT_NEEDED")
                for name in ("soname", "rpath", "runpath"):
                    found = [t for t in tags if t.entry.d_tag == f"DT_{name.upper()}"]
                    facts[name] = getattr(found[0], name) if found else None
            elif isinstance(section, GNUVerNeedSection):
                facts["requires"] = {
                    library.name: tuple(
                        sorted({v.name for v in versions if not v["vna_flags"] & 2})
                    )
                    for library, versions in section.iter_versions()
                }
            elif isinstance(section, GNUVerDefSection):
                facts["provides"] = tuple(
                    next(iter(names)).name
                    for version, names in section.iter_versions()
                    if not version["vd_flags"] & 1
                )
    return facts


@pytest.mark.parametrize("path", _OBJECTS, ids=lambda path: path.name)
def test_agrees_with_pyelftools(path):
    elf = _read(path)
    facts = _by_pyelftools(path)
    assert elf.needed == facts["needed"]
    assert elf.soname == facts.get("soname")
    assert ":".join(elf.rpath) == (facts.get("rpath") or "")
    assert ":".join(elf.runpath) == (facts.get("runpath") or "")
    assert dict(elf.requires) == facts["requires"]
    assert elf.provides == facts["provides"]


def test_an_executable_names_its_loader():
    elf = _read(Path(sys.executable).resolve())
    assert elf.interpreter is not None
    assert Path(elf.interpreter).exists()
    assert elf.bits == 64
    assert elf.fits(_read(_STANDARD[0]))


def test_a_wheels_object_is_found_by_file_name_and_by_soname():
    elf = Elf(machine="x86_64", bits=64, soname="libgomp.so.1", requires={})
    item = PackageObject(package="a", path="a.libs/libgomp-1234.so.1.0.0", elf=elf)
    assert item.names == {"libgomp-1234.so.1.0.0", "libgomp.so.1"}


@pytest.mark.parametrize("data", [b"", b"\x7fEL", b"#!/bin/sh\n", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_elf_file_is_none(data):
    assert read_elf(io.BytesIO(data), "a.so") is None


def test_a_member_of_an_archive_reads_as_the_file_does(tmp_path):
    archive = tmp_path / "a.whl"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.write(_NUMPY[0], "a.so")
    with zipfile.ZipFile(archive) as wheel, wheel.open("a.so") as member:
        assert read_elf(member, "a.so") == _read(_NUMPY[0])


def test_a_large_object_is_not_read_whole():
    data = bytearray(_NUMPY[0].read_bytes())

    class Counting(io.BytesIO):
        total = 0

        def read(self, size=-1):
            found = super().read(size)
            Counting.total += len(found)
            return found

    read_elf(Counting(data + bytes(1 << 24)), "a.so")
    assert Counting.total < len(data)


@pytest.mark.parametrize("size", [5, 63, 64, 200, 4096])
def test_a_cut_object_is_unreadable(size):
    data = _STANDARD[0].read_bytes()
    with pytest.raises(UnreadableError) as caught:
        read_elf(io.BytesIO(data[:size]), "a.so")
    assert caught.value.where == "a.so"


def test_a_claim_of_countless_program_headers_is_refused():
    data = bytearray(_STANDARD[0].read_bytes())
    struct.pack_into("<H", data, 56, 0xFFFF)
    with pytest.raises(LimitError, match="program headers"):
        read_elf(io.BytesIO(data), "a.so")


def _dynamic_value(data: bytearray, tag: int) -> int:
    """Where the value of a dynamic entry lies in the file."""
    segment = next(
        s for s in ELFFile(io.BytesIO(data)).iter_segments() if s["p_type"] == "PT_DYNAMIC"
    )
    start, end = segment["p_offset"], segment["p_offset"] + segment["p_filesz"]
    return next(
        at + 8 for at in range(start, end, 16) if struct.unpack_from("<q", data, at)[0] == tag
    )


def test_versions_that_lead_out_of_the_object_are_unreadable():
    data = bytearray(_SYSTEM[0].read_bytes())
    table = next(
        s for s in ELFFile(io.BytesIO(data)).iter_sections() if isinstance(s, GNUVerNeedSection)
    )["sh_offset"]
    struct.pack_into("<Q", data, _dynamic_value(data, 0x6FFFFFFF), 1 << 40)
    struct.pack_into("<I", data, table + 12, 0x1_0000_0000 - 16)
    with pytest.raises(UnreadableError):
        read_elf(io.BytesIO(data), "a.so")


_SMALL = min(_STANDARD, key=lambda path: path.stat().st_size).read_bytes()


@settings(max_examples=300, deadline=500)
@given(
    st.lists(
        st.tuples(st.integers(0, len(_SMALL) - 1), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, len(_SMALL)),
)
def test_a_damaged_object_is_read_or_refused(changes, cut):
    data = bytearray(_SMALL)
    for offset, new in changes:
        data[offset : offset + len(new)] = new
    for image in (data, data[:cut]):
        with contextlib.suppress(UnreadableError):
            read_elf(io.BytesIO(image), "a.so")


@settings(max_examples=300, deadline=500)
@given(st.data())
def test_damaged_headers_and_dynamic_entries_are_read_or_refused(data):
    image = bytearray(_SMALL)
    segment = next(
        s for s in ELFFile(io.BytesIO(_SMALL)).iter_segments() if s["p_type"] == "PT_DYNAMIC"
    )
    places = st.one_of(
        st.integers(4, 64 + 56 * 8),
        st.integers(segment["p_offset"], segment["p_offset"] + segment["p_filesz"] - 8),
    )
    for _ in range(data.draw(st.integers(1, 4))):
        value = data.draw(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 2**16)))
        struct.pack_into("<Q", image, data.draw(places), value)
    with contextlib.suppress(UnreadableError):
        read_elf(io.BytesIO(image), "a.so")
