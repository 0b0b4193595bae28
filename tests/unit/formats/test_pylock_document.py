from typing import Any

import pytest
import tomli_w

from envguard.formats.pylock import from_document, read
from envguard.formats.pylock_document import normalise, notes, pins, write
from envguard.formats.toml import load
from envguard.model.digest import Digest
from envguard.model.errors import UsageError

A = Digest.of(b"a")
HASHES = {"sha256": A.hex}


def normal(*packages: dict[str, Any], environments=(), **more: Any) -> dict[str, Any]:
    stated = {"lock-version": "1.0", "created-by": "uv", "packages": [*packages], **more}
    return normalise(
        tomli_w.dumps(stated).encode(),
        "resolved",
        made_in="/tmp/made",
        folder="/srv/lockfiles",
        environments=environments,
    )


def test_order_and_author():
    wheels = [
        {"url": "https://index.example/b-1-py3-none-any.whl", "hashes": HASHES},
        {"url": "https://index.example/b-1-cp311-none-any.whl", "hashes": HASHES},
    ]
    document = normal(
        {"name": "b", "version": "2", "wheels": wheels},
        {"name": "b", "version": "1", "wheels": wheels, "index": "https://index.example/simple"},
        {"name": "a", "version": "1", "wheels": wheels},
        **{"requires-python": ">=3.11"},
    )
    assert document["created-by"] == "envguard"
    assert [(p["name"], p["version"]) for p in document["packages"]] == [
        ("a", "1"),
        ("b", "1"),
        ("b", "2"),
    ]
    assert document["packages"][0]["wheels"] == wheels[::-1]
    assert all("index" not in p for p in document["packages"])


def test_what_lies_here_is_a_path_relative_to_the_lock():
    document = normal(
        {"name": "a", "directory": {"path": "../../srv/proj", "editable": True}},
        {"name": "b", "archive": {"path": "/opt/b.zip", "hashes": HASHES}},
        {"name": "c", "sdist": {"url": "file:///srv/with%20space/c-1.tar.gz", "hashes": HASHES}},
    )
    a, b, c = document["packages"]
    assert a["directory"]["path"] == "../proj"
    assert b["archive"]["path"] == "../../opt/b.zip"
    assert c["sdist"] == {"path": "../with space/c-1.tar.gz", "hashes": HASHES}


def test_credentials_are_removed_and_the_rest_is_refused():
    url = "https://me:s3cret@index.example/a.zip?token=s3cret"
    document = normal({"name": "a", "archive": {"url": url, "hashes": HASHES}})
    assert b"s3cret" not in write(document, "lock", notes={})
    odd = normal({"name": "a", "archive": {"url": "x", "subdirectory": url, "hashes": HASHES}})
    with pytest.raises(UsageError) as caught:
        write(odd, "lock", notes={})
    assert "s3cret" not in str(caught.value)


def test_a_marker_that_repeats_requires_python_is_dropped():
    hashed = {"archive": {"url": "https://index.example/a.zip", "hashes": HASHES}}
    same, more = "python_full_version >= '3.11'", "python_full_version >= '3.12'"
    head = {"requires-python": ">=3.11"}
    document = normal(
        {"name": "a", "marker": same, **hashed}, {"name": "b", "marker": more, **hashed}, **head
    )
    assert [package.get("marker") for package in document["packages"]] == [None, more]
    unbounded = normal({"name": "a", "marker": same, **hashed})
    assert unbounded["packages"][0]["marker"] == same


def test_notes_and_limits_survive():
    document = normal(environments=["sys_platform == 'linux'"])
    data = write(document, "lock", notes={"inputs": str(A), "python": "3.11"})
    assert notes(load(data, "lock")) == {"inputs": str(A), "python": "3.11"}
    assert read(data, "lock").environments == ('sys_platform == "linux"',)
    assert read(data, "lock").digest == from_document(document, "lock").digest
    assert notes({"tool": {"other": {}}}) == notes({"tool": 7}) == {}


def test_writing_is_stable():
    hashed = {"archive": {"url": "https://index.example/a.zip", "hashes": HASHES}}
    first, second = {"name": "a", **hashed}, {"name": "b", **hashed}
    assert write(normal(first, second), "x", notes={}) == write(
        normal(second, first), "x", notes={}
    )


def test_pins_hold_versions_and_markers_alone():
    archive = {"archive": {"url": "https://index.example/a-1.zip", "hashes": HASHES}}
    document = normal(
        {"name": "a", "version": "1", "marker": "os_name == 'nt'", **archive},
        {"name": "b", **archive},
    )
    assert load(pins(from_document(document, "lock")), "pins")["packages"] == [
        {"name": "a", "version": "1", "marker": 'os_name == "nt"'}
    ]
