"""What real libraries write: the globals read are those that a traced real load asks for."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import operator
import pathlib
import pickle
import types
import uuid
from typing import Any, NamedTuple, cast

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from envguard.artifacts.limits import Limits
from envguard.artifacts.pickles.reader import read
from envguard.artifacts.reading import Reading
from envguard.model.artifact import Loads, WrittenBy
from tests.support.pickles import traced_load


class Colour(enum.Enum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: int


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a, self.b = 1, "_sklearn_version"


@dataclasses.dataclass
class Node:
    children: list["Node"]
    parent: "Node | None" = None


class WithNewArguments(str):
    __slots__ = ("extra",)

    def __getnewargs_ex__(self):
        return (str(self),), {}


class Outer:
    class Inner:
        pass


class OldStyle(dict):
    def __reduce__(self):
        return OldStyle, (), {"state": 1}, None, iter({"k": "v"}.items())


def recursive() -> Node:
    root = Node([])
    root.children = [Node([], root), Node([], root)]
    return root


def recursive_tuple() -> object:
    inner: list[object] = []
    outer = (inner, 1)
    inner.append(outer)
    return outer


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": [1.5, 2.5],
            "text": ["a", "b"],
            "kind": pd.Categorical(["x", "y"]),
            "when": pd.to_datetime(["2024-01-01", "2024-01-02"]),
        }
    )


X = np.random.default_rng(0).random((40, 3))
Y = (X[:, 0] > 0.5).astype(int)

OBJECTS: dict[str, object] = {
    "containers": [1, (2, 3), {4: {5}}, frozenset({6}), bytearray(b"7"), range(8), 1j, 9**99],
    "long texts": ["é" * 300, "\ud800", "line\nbreak \\u0041", b"\xff" * 300],
    "standard library": [
        datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
        decimal.Decimal("1.5"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=1),
        pathlib.PurePosixPath("a/b"),
        collections.OrderedDict(a=1),
        collections.defaultdict(list, a=[1]),
        collections.deque([1], 3),
        collections.Counter("aab"),
        types.SimpleNamespace(a=1),
        functools.partial(print, 1),
        operator.itemgetter(1),
        [].append,
        len,
        str.upper,
        ValueError("x"),
        Ellipsis,
        NotImplemented,
        type(None),
    ],
    "classes": [Colour.RED, Point(1, 2), Outer.Inner(), OldStyle()],
    "recursion": [recursive(), recursive_tuple()],
    "numpy": [
        np.arange(6.0).reshape(2, 3),
        np.float32(1.5),
        np.array(["a", None], dtype=object),
        np.zeros(2, dtype=[("a", "i4"), ("b", "U3")]),
        np.datetime64("2024-01-01"),
        np.random.default_rng(1),
        np.random.RandomState(1),
        cast("Any", np.ma).masked_equal([1, 2], 2),
    ],
    "pandas": [frame(), frame().set_index(["text", "when"]), frame()["kind"]],
    "pipeline": make_pipeline(StandardScaler(), Ridge()).fit(X, Y),
    "forest": RandomForestRegressor(3).fit(X, Y),
    "boosting": GradientBoostingClassifier(n_estimators=2).fit(X, Y),
    "neighbours": KNeighborsClassifier(3, algorithm="kd_tree").fit(X, Y),
    "text": TfidfVectorizer().fit(["ein Text", "noch einer"]),
    "columns": ColumnTransformer([("one", OneHotEncoder(), ["text"])]).fit(frame()),
}


def check(reading: Reading, asked: set[tuple[str, str]]) -> None:
    """What is read is what was asked for, and attributes that were taken of that."""
    found = {(n.module, n.name) for n in reading.needs if isinstance(n, Loads)}
    assert found >= asked
    for module, name in found - asked:
        assert ("builtins", "getattr") in asked
        assert any(module == m and name.startswith(f"{n}.") for m, n in asked)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", OBJECTS)
def test_globals_are_those_of_a_real_load(name: str, protocol: int):
    data = pickle.dumps(OBJECTS[name], protocol)
    _, asked = traced_load(data)
    reading = read(io.BytesIO(data), name, Limits())
    check(reading, asked)
    assert reading.kind == "pickle"
    assert not reading.gaps


@pytest.mark.parametrize("protocol", range(2, 6))
def test_slots(protocol: int):
    data = pickle.dumps([Slotted(), WithNewArguments("x")], protocol)
    _, asked = traced_load(data)
    reading = read(io.BytesIO(data), "m", Limits())
    check(reading, asked)


@pytest.mark.parametrize("protocol", range(6))
def test_the_version_of_scikit_learn(protocol: int):
    reading = read(io.BytesIO(pickle.dumps(OBJECTS["pipeline"], protocol)), "m", Limits())
    assert [(n.distribution, n.version) for n in reading.needs if isinstance(n, WrittenBy)] == [
        ("scikit-learn", sklearn.__version__)
    ]


def test_buffers_outside_the_pickle_are_a_gap():
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(np.zeros(9), 5, buffer_callback=buffers.append)
    _, asked = traced_load(data, buffers=buffers)
    reading = read(io.BytesIO(data), "m", Limits())
    check(reading, asked)
    assert "buffers" in reading.gaps[0].reason


def test_persistent_objects_are_a_gap():
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            return "id" if value == 3 else None

    stream = io.BytesIO()
    Pickler(stream).dump([1, 3])
    assert read(io.BytesIO(stream.getvalue()), "m", Limits()).gaps


def test_functions_that_carry_their_code_are_a_gap():
    data = cloudpickle.dumps(lambda x: x + len(OBJECTS))
    _, asked = traced_load(data)
    reading = read(io.BytesIO(data), "m", Limits())
    check(reading, asked)
    assert any("_make_function" in gap.reason for gap in reading.gaps)


def test_python_s_own_pickler_with_large_frames():
    value = [b"x" * 70_000, "y" * 70_000, list(range(50_000)), OBJECTS["standard library"]]
    stream = io.BytesIO()
    pickle._Pickler(stream, 4).dump(value)
    _, asked = traced_load(stream.getvalue())
    reading = read(io.BytesIO(stream.getvalue()), "m", Limits())
    check(reading, asked)
