"""Calls of the standard library: plain data is made, everything else is a gap."""

import argparse
import array
import collections
import datetime
import decimal
import functools
import http
import inspect
import io
import ipaddress
import itertools
import logging
import operator
import pickle
import random
import re
import statistics
import string
import sys
import time
import types
import urllib.parse
import uuid
import zoneinfo
from typing import Any

import pytest

from envguard.artifacts.limits import Limits
from envguard.artifacts.pickles.reader import read
from envguard.artifacts.pickles.standard_library import unseen_call
from envguard.artifacts.reading import Reading
from tests.support.pickles import short_text, stack_global

PLAIN: dict[str, object] = {
    "array": array.array("d", [1.0]),
    "containers": [collections.ChainMap({}), collections.UserDict(a=1), collections.Counter("a")],
    "context": decimal.Context(),
    "counter": itertools.count(2),
    "enum members": [re.I | re.M, http.HTTPStatus.OK, uuid.SafeUUID.safe],
    "errors": [KeyError("x"), OSError(2, "x"), UnicodeDecodeError("a", b"", 0, 1, "x")],
    "iterators": [iter([1]), enumerate([1]), zip([1], strict=False), reversed([1])],
    "logger": [logging.getLogger("a"), logging.getLogger()],
    "methods": [{"a": 1}.__getitem__, {}.get, [].append],
    "namespaces": [argparse.Namespace(a=1), types.SimpleNamespace(a=1)],
    "networks": [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_address("::1")],
    "partial": functools.partial(functools.partial(print, 1), 2),
    "pattern": re.compile("a", re.I),
    "random": random.Random(1),
    "rest": [statistics.NormalDist(), string.Template("x"), operator.itemgetter(1, 2)],
    "signature": inspect.signature(lambda a=1: a),
    "streams": [io.BytesIO(b"x"), io.StringIO("x")],
    "times": [time.gmtime(0), datetime.timedelta(1), datetime.timezone.utc],  # noqa: UP017
    "types": [type(None), type(...), list[int]],
    "url": urllib.parse.urlsplit("https://index.example/a"),
    "zone": datetime.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
}


def read_bytes(data: bytes) -> Reading:
    return read(io.BytesIO(data), "m", Limits())


def call(module: str, name: str, *arguments: bytes) -> bytes:
    """The opcodes of ``module.name(*arguments)``."""
    return stack_global(module, name) + b"(" + b"".join(arguments) + b"tR"


def resolved(name: str) -> bytes:
    return call("pkgutil", "resolve_name", short_text(name))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", PLAIN)
def test_plain_data_is_no_gap(name: str, protocol: int) -> None:
    value = PLAIN[name]
    for part in value if isinstance(value, list) else [value]:
        try:
            data = pickle.dumps(part, protocol)
        except TypeError:
            continue  # protocols 0 and 1 cannot write it
        assert read_bytes(data).gaps == ()


RUNS_HIDDEN: dict[str, bytes] = {
    "map": call(
        "builtins",
        "list",
        call("builtins", "map", resolved("os:system"), b"(" + short_text("true") + b"l"),
    ),
    "interpreter": call("code", "InteractiveInterpreter"),
    "profile": call("cProfile", "run", short_text("1")),
    "locate": call("pydoc", "locate", short_text("os.system")),
    "factory": call("collections", "defaultdict", resolved("os:system")),
    "attrgetter": call("operator", "attrgetter", short_text("system")),
    "methodcaller": call("operator", "methodcaller", short_text("system")),
    "reduce": call("functools", "reduce", resolved("os:system"), b"]"),
    "starmap": call("itertools", "starmap", resolved("os:system"), b"]"),
    "timeit": call("timeit", "timeit", short_text("1")),
    "class": call("builtins", "type", short_text("C"), b")", b"}"),
    "called iterator": call("builtins", "iter", stack_global("m", "f"), b"K\x01"),
    "removed module": call("distutils.spawn", "spawn", b"]"),
    "old instance": b"(" + stack_global("code", "InteractiveConsole") + b"N" + b"o",
    "bare instance": stack_global("code", "InteractiveConsole") + b")\x81",
    "instance by line": b"(icode\nInteractiveConsole\n",
    "reconstructed": call(
        "copyreg", "_reconstructor", stack_global("m", "C"), stack_global("code", "X"), b"N"
    ),
    "reconstructed of a computed base": call(
        "copyreg", "_reconstructor", stack_global("m", "C"), call("m", "f"), b"N"
    ),
    "method of a safe class": call("builtins", "str.format", short_text("{0.a}"), b"N"),
    "inner module of another library": call("helpers", "os.system", short_text("true")),
    "inside of a function": call("m", "f.__globals__.get", short_text("os")),
    "attribute of an attribute": call(
        "builtins",
        "getattr",
        call("builtins", "getattr", call("m", "C"), short_text("a")),
        short_text("b"),
    ),
    "attribute with a computed name": call(
        "builtins", "getattr", stack_global("os", "path"), call("m", "f")
    ),
    "changed attribute": call("builtins", "getattr", call("m", "C"), short_text("a")) + b"}b",
    "item of an attribute": call("builtins", "getattr", call("m", "C"), short_text("a"))
    + b"K\x01K\x01s",
}


@pytest.mark.parametrize("name", RUNS_HIDDEN)
def test_what_can_run_hidden_globals_is_a_gap(name: str) -> None:
    data = b"\x80\x04" + RUNS_HIDDEN[name] + b"."
    assert read_bytes(data).gaps


def test_a_real_attack_is_a_gap() -> None:
    class Attack:
        def __reduce__(self) -> Any:
            import pkgutil

            return list, (map(pkgutil.resolve_name, ["os:getpid"]),)

    for protocol in range(6):
        reading = read_bytes(pickle.dumps(Attack(), protocol))
        assert "of the standard library" in reading.gaps[0].reason


@pytest.mark.parametrize("module", sorted(sys.stdlib_module_names))
def test_no_module_is_allowed_as_a_whole(module: str) -> None:
    assert unseen_call(module, "anything", 0)
    assert unseen_call(f"{module}.inner", "anything", None)


def test_other_libraries_are_not_judged() -> None:
    assert unseen_call("sklearn.utils._bunch", "Bunch", 0) is None
    assert unseen_call("numpy.random._pickle", "__randomstate_ctor", 1) is None
    assert unseen_call("m", "Outer.Inner.__new__", None) is None
