"""Reading a whole model: what is understood, what is a gap, and what is an error."""

import bz2
import csv
import gzip
import io
import pickle
import zipfile

import joblib
import pytest
import sklearn
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from envguard.artifacts import manifest
from envguard.artifacts.limits import Limits
from envguard.artifacts.read import read
from envguard.model.artifact import Artifact, Loads, Revision, WrittenBy
from envguard.model.errors import LimitError, UnreadableError
from tests.support.memory_files import MemoryFiles


def joblib_bytes(value: object, **options: object) -> bytes:
    stream = io.BytesIO()
    joblib.dump(value, stream, **options)
    return stream.getvalue()


def read_one(data: bytes, **options: object) -> Artifact:
    return read(MemoryFiles({"model": data}), "model", **options)  # type: ignore[arg-type]


def a_model() -> object:
    return make_pipeline(StandardScaler(), Ridge()).fit([[0.0], [1.0]], [0, 1])


def test_a_model_folder():
    files = MemoryFiles(
        {"model.pkl": joblib_bytes(a_model()), "MLmodel": b"flavors: {}\n", "empty": b""}
    )
    artifact = read(files, "credit")
    assert artifact.name == "credit"
    assert artifact.manifest == manifest.build(files)
    assert artifact.digest == manifest.digest(artifact.manifest)
    assert artifact.kinds == ("joblib",)
    assert {gap.subject for gap in artifact.gaps} == {"MLmodel", "empty"}
    assert all(gap.reason.startswith("not understood") for gap in artifact.gaps)
    needs = artifact.needs
    assert [(n.format, n.revision) for n in needs if isinstance(n, Revision)] == [("pickle", "4")]
    assert {(n.distribution, n.version) for n in needs if isinstance(n, WrittenBy)} == {
        ("scikit-learn", sklearn.__version__)
    }
    assert ("sklearn.pipeline", "Pipeline") in {
        (n.module, n.name) for n in needs if isinstance(n, Loads)
    }
    assert all(need.where.path == "model.pkl" for need in needs)


@pytest.mark.parametrize("compress", ["zlib", "gzip", "bz2", "xz", "lzma"])
def test_compressed_joblib(compress: str):
    artifact = read_one(joblib_bytes(a_model(), compress=(compress, 3)))
    assert artifact.kinds == (f"joblib+{compress}",)
    assert not artifact.gaps
    assert set(artifact.needs) >= {
        need for need in read_one(joblib_bytes(a_model())).needs if isinstance(need, Revision)
    }


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "gzip"), (bz2.compress, "bz2")])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_compressed_pickles(pack, name: str, protocol: int):
    artifact = read_one(pack(pickle.dumps(a_model(), protocol)))
    assert artifact.kinds == (f"pickle+{name}",)
    assert not artifact.gaps


@pytest.mark.parametrize("protocol", [0, 1])
def test_pickles_without_a_magic_number(protocol: int):
    artifact = read_one(pickle.dumps([1, "two", {3.0: None}], protocol))
    assert artifact.kinds == ("pickle",)
    assert not artifact.gaps


def a_table() -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows([["city", "Ilmenau"], ["count", 3]])
    return stream.getvalue().encode()


@pytest.mark.parametrize(
    "data",
    [
        a_table(),
        b"class Model:\n    pass\n",
        b"(a comment in brackets)\n",
        b"import os\n",
        b"[1, 2]",
        b"]\n",
        b"x = 1\n",
        b"xo" * 50,
        b"BZh is a name\n",
        b"No more\n",
        b"c" * 9000,
        gzip.compress(b"city,count\n", mtime=0),
    ],
)
def test_what_only_begins_like_a_pickle_is_a_gap(data: bytes):
    artifact = read_one(data)
    assert artifact.kinds == ()
    assert [gap.subject for gap in artifact.gaps] == ["model"]
    assert "not understood" in artifact.gaps[0].reason


def test_a_gap_names_the_format():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(1))
    assert read_one(stream.getvalue()).gaps[0].reason == "not understood: zip archive"


def test_a_pickle_with_an_archive_behind_it_is_damaged():
    with pytest.raises(UnreadableError, match="bytes follow its end"):
        read_one(pickle.dumps(1) + b"PK\x05\x06" + bytes(18))


def test_damage_is_an_error_or_a_gap():
    data = pickle.dumps([1, 2, 3])[:-4]
    with pytest.raises(UnreadableError) as caught:
        read_one(data)
    assert caught.value.where == f"model@{len(data)}"
    artifact = read_one(data, keep_damaged=True)
    assert artifact.kinds == ()
    assert "damaged" in artifact.gaps[0].reason


def test_all_damaged_files_are_named():
    files = MemoryFiles(
        {"a": b"\x80\x04", "b": b"\x80\x04N.", "c": gzip.compress(b"\x80\x04N.")[:-1]}
    )
    with pytest.raises(UnreadableError, match=r"a@2: .*; c@"):
        read(files, "model")


def test_limits_are_named():
    with pytest.raises(LimitError, match="opcodes") as caught:
        read_one(pickle.dumps(list(range(300))), limits=Limits(opcodes=100))
    assert caught.value.expected == "at most 100"
    assert "opcodes" in (caught.value.hint or "")


def test_a_bomb_inside_a_pickle_is_refused_by_default():
    size = 80 << 20
    bomb = b"\x80\x04\x8e" + size.to_bytes(8, "little") + bytes(size) + b"."
    with pytest.raises(LimitError, match="`ratio`"):
        read_one(gzip.compress(bomb, 1))


def test_a_link_is_read_as_the_file_it_names():
    files = MemoryFiles({"blobs/1": pickle.dumps(1)}, links={"model.pkl": "blobs/1"})
    artifact = read(files, "model")
    assert not artifact.gaps
    assert {need.where.path for need in artifact.needs} == {"blobs/1", "model.pkl"}


def test_progress_ends():
    told: list[tuple[str, int, int | None]] = []
    read(MemoryFiles({"a": b"", "b": b""}), "m", progress=lambda *news: told.append(news))
    assert ("reading the model", 0, 2) in told
    assert told[-1] == ("reading the model", 2, 2)
