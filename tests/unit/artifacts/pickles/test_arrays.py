"""joblib's files: arrays between the opcodes are passed over exactly as joblib reads them."""

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joblib import numpy_pickle
from sklearn.ensemble import RandomForestClassifier

from envguard.artifacts.limits import Limits
from envguard.artifacts.pickles.reader import read
from envguard.artifacts.reading import Reading
from envguard.model.artifact import Loads
from envguard.model.errors import LimitError, UnreadableError
from tests.support.pickles import joblib_file, short_text, stack_global, traced_joblib_load


class Thing:
    """Something that an array of objects can hold."""


def globals_of(reading: Reading) -> set[tuple[str, str]]:
    return {(need.module, need.name) for need in reading.needs if isinstance(need, Loads)}


def read_path(path: Path) -> Reading:
    with path.open("rb") as stream:
        return read(stream, "m", Limits())


X = np.random.default_rng(0).random((30, 4))
ARRAYS: dict[str, object] = {
    "kinds": [np.zeros(5, dtype) for dtype in ("?", "i1", "u2", ">i4", "f2", "f8", "c16", "g")],
    "texts": [np.array(["aé", "b"]), np.array([b"abc", b"d"]), np.zeros(2, "V7")],
    "times": np.array(["2024-01-01"], dtype="datetime64[ns]"),
    "spans": np.zeros(3, dtype="timedelta64[s]"),
    "records": np.zeros(3, dtype=[("a", "i4"), ("b", "f8", (2,)), ("c", "U2")]),
    "aligned records": np.zeros(3, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "objects": np.array([Thing(), None, "x"], dtype=object),
    "records of objects": np.zeros(2, dtype=[("a", "i4"), ("b", "O")]),
    "empty": [np.zeros(0), np.zeros((3, 0, 2)), np.array(5.0)],
    "orders": [np.asfortranarray(np.ones((3, 4))), np.ones((6, 6))[::2, ::3]],
    "matrix": np.matrix([[1, 2], [3, 4]]),
    "shared": [X, X, {"again": X}],
    "large": [np.zeros(200_000), Thing(), np.ones(100_000, "f4"), Thing()],
    "model": RandomForestClassifier(4).fit(X, [0, 1] * 15),
}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ARRAYS)
def test_globals_are_those_of_a_real_load(tmp_path: Path, name: str, protocol: int):
    path = joblib_file(tmp_path / "m", ARRAYS[name], protocol=protocol)
    _, asked = traced_joblib_load(path)
    reading = read_path(path)
    assert globals_of(reading) == asked
    assert reading.kind == "joblib"
    assert not reading.gaps


class Unaligned(numpy_pickle.NumpyPickler):  # type: ignore[misc]
    """Writes as joblib did before 1.2."""

    def _create_array_wrapper(self, array: Any) -> Any:
        wrapper = super()._create_array_wrapper(array)
        del wrapper.numpy_array_alignment_bytes
        return wrapper


def test_arrays_of_joblib_before_1_2(tmp_path: Path):
    path = tmp_path / "m"
    with path.open("wb") as stream:
        Unaligned(stream).dump([X, Thing(), np.zeros(3)])
    _, asked = traced_joblib_load(path)
    assert globals_of(read_path(path)) == asked


@pytest.mark.parametrize(("first", "clean"), [(b"\x00", True), (b"c", False)])
def test_an_array_that_the_plain_loader_would_run_is_never_clean(
    tmp_path: Path, first: bytes, clean: bool
):
    path = tmp_path / "m"
    hidden = np.frombuffer(first + b"os\nsystem\n.", dtype="u1")
    with path.open("wb") as stream:
        Unaligned(stream).dump([hidden, np.frombuffer(b"c", dtype="u1")])
    assert bool(read_path(path).gaps) is not clean


@given(
    st.sampled_from(["?", "i2", "f8", "U3", "S5", "c8", "M8[s]"]),
    st.lists(st.integers(0, 4), max_size=3),
)
def test_every_shape_and_type(dtype: str, shape: list[int]):
    stream = io.BytesIO()
    joblib.dump([np.zeros(shape, dtype), Thing()], stream)
    assert (Thing.__module__, "Thing") in globals_of(
        read(io.BytesIO(stream.getvalue()), "m", Limits())
    )


def test_every_truncation_is_refused():
    stream = io.BytesIO()
    joblib.dump([np.arange(9), np.array([None])], stream)
    data = stream.getvalue()
    for size in range(len(data)):
        with pytest.raises(UnreadableError):
            read(io.BytesIO(data[:size]), "m", Limits())


def test_a_cut_large_array_is_refused_without_reading_it():
    stream = io.BytesIO()
    joblib.dump(np.zeros(1 << 20), stream)
    with pytest.raises(UnreadableError, match="ends inside an array"):
        read(io.BytesIO(stream.getvalue()[:-100]), "m", Limits())


def test_large_arrays_are_not_read(tmp_path: Path):
    path = joblib_file(tmp_path / "m", [np.zeros(4 << 20), Thing()])

    class Counting(io.FileIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size) or b""
            Counting.taken += len(data)
            return data

    with Counting(path) as stream:
        read(stream, "m", Limits())
    assert Counting.taken < 2 << 20 < path.stat().st_size


def array_file(
    body: bytes,
    *,
    dtype: bytes = b"",
    shape: bytes = b"K\x01\x85",
    alignment: bytes = b"",
    make: bytes = b")\x81",
) -> bytes:
    """A joblib file, assembled by hand: a wrapper with one array, *body* behind it."""
    return (
        b"\x80\x04"
        + stack_global("joblib.numpy_pickle", "NumpyArrayWrapper")
        + make
        + b"}("
        + short_text("shape")
        + shape
        + short_text("dtype")
        + (dtype or dtype_of("f8"))
        + short_text("subclass")
        + stack_global("numpy", "ndarray")
        + short_text("order")
        + short_text("C")
        + alignment
        + b"ub"
        + body
        + b"."
    )


def dtype_of(text: str, size: int = -1, flags: int = 0) -> bytes:
    state = b"(K\x03" + short_text("<") + b"NNNJ" + struct.pack("<i", size)
    state += b"J" + struct.pack("<i", -1) + b"K" + bytes([flags]) + b"tb"
    return stack_global("numpy", "dtype") + short_text(text) + b"\x89\x88\x87R" + state


ALIGNED = short_text("numpy_array_alignment_bytes") + b"K\x10"
HIDDEN = pickle.dumps(Thing(), 4)


def test_the_assembled_file_is_one_that_joblib_reads(tmp_path: Path):
    path = tmp_path / "m"
    path.write_bytes(array_file(bytes(8)))
    assert joblib.load(path).tolist() == [0.0]
    assert read_path(path).kind == "joblib"


@pytest.mark.parametrize(
    "data",
    [
        array_file(HIDDEN, dtype=dtype_of("f8", flags=1)),
        array_file(bytes(8), dtype=dtype_of("O8", flags=0)),
        array_file(bytes(8), dtype=dtype_of("S8", size=4)),
        array_file(bytes(8), dtype=dtype_of("f8") + b"\x8c\x01xb"),
        array_file(bytes(8), dtype=stack_global("numpy", "float64")),
        array_file(bytes(8), dtype=stack_global("numpy", "dtype") + b"\x8c\x05f8,f8\x85R"),
        array_file(bytes(8), dtype=b"N"),
        array_file(bytes(8), shape=b"K\x01K\x01\x86" + stack_global("m", "f") + b")R\x86"),
        array_file(bytes(8), shape=b"J\xff\xff\xff\xff\x85"),
        array_file(bytes(8), shape=b"]"),
        array_file(
            b"\x00" + bytes(8), alignment=short_text("numpy_array_alignment_bytes") + b"K\x10"
        ),
        array_file(b"\x02N." + bytes(8), alignment=ALIGNED),
        array_file(bytes(8), make=b"N\x85R"),
        array_file(bytes(8), make=b"N\x85\x81"),
        array_file(bytes(8), make=b")}\x92"),
        array_file(bytes(8)).replace(b"ub", b"ub" + bytes(0), 1)[:-1] + b"}b.",
        b"\x80\x04\x95"
        + struct.pack("<Q", len(array_file(bytes(8))) - 2)
        + array_file(bytes(8))[2:],
    ],
)
def test_refuses_arrays_of_which_it_cannot_tell_the_end(data: bytes):
    with pytest.raises(UnreadableError):
        read(io.BytesIO(data), "m", Limits())


def test_wrappers_inside_an_array_of_objects_are_plain_objects(tmp_path: Path):
    """joblib loads such an array with the plain loader, which reads no further arrays."""
    inner = array_file(b"")
    path = tmp_path / "m"
    path.write_bytes(array_file(inner, dtype=dtype_of("O8", flags=63)))
    _, asked = traced_joblib_load(path)
    assert globals_of(read_path(path)) == asked


def test_nested_pickles_share_the_limit_on_opcodes():
    stream = io.BytesIO()
    joblib.dump([np.array([None] * 100, dtype=object) for _ in range(20)], stream)
    with pytest.raises(LimitError):
        read(io.BytesIO(stream.getvalue()), "m", Limits(opcodes=2000))
