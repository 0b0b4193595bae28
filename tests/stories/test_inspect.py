"""``envguard inspect`` as a user sees it."""

import json

import pytest

FINGERPRINT = "lockfiles/churn.fingerprint.json"


@pytest.mark.parametrize("thing", ["churn.pkl", "lockfiles/pylock.churn.toml", "training"])
def test_things(project, snapshot, thing) -> None:
    assert str(project.run("inspect", thing)) == snapshot


def test_a_fingerprint(fingerprinted, snapshot) -> None:
    assert str(fingerprinted.run("inspect", FINGERPRINT)) == snapshot


def test_an_image(fingerprinted) -> None:
    assert fingerprinted.run("build", FINGERPRINT, "--output", "image").code == 0
    told = fingerprinted.run("inspect", "image", "--format", "json")
    document = json.loads(told.stdout)
    assert document["kind"] == "environment"
    names = [package["name"] for package in document["thing"]["packages"]["value"]]
    assert names == ["scoring", "vectors"]


def test_what_is_not_understood_is_exit_3(project) -> None:
    (project.folder / "x.onnx").write_bytes(b"\x08\x07\x12\x07pytorch")
    assert project.run("inspect", "x.onnx").code == 3
