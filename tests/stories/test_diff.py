"""``envguard diff`` as a user sees it: every kind of side, the same drift, the same answer."""

import json

import pytest

FINGERPRINT = "lockfiles/churn.fingerprint.json"
LOCK = "lockfiles/pylock.churn.toml"


@pytest.fixture
def sides(fingerprinted):
    """The same environment through every kind of source that needs no engine."""
    project = fingerprinted
    build = ("build", FINGERPRINT, "--output", "image", "--archive", "image.tar")
    assert project.run(*build).code == 0
    assert project.run("lock", "requirements.in", "-f", "requirements", "-o", "run.txt").code == 0
    python = str(project.folder / "training" / "bin" / "python")
    return project, [
        LOCK,
        "run.txt",
        FINGERPRINT,
        "training",
        f"python:{python}",
        "image",
        "image.tar",
    ]


def test_the_same_environment_through_all_sources_is_equal(sides) -> None:
    project, names = sides
    for before in names:
        for after in names:
            told = project.run("diff", before, after, "--format", "json")
            assert told.code == 0, told
            assert json.loads(told.stdout)["comparison"]["findings"] == []


def test_the_same_drift_through_all_sources_is_the_same_finding(sides) -> None:
    project, names = sides
    project.environment("staging", "scoring==2.0")
    for before in names:
        told = project.run("diff", before, "staging", "--format", "json")
        findings = json.loads(told.stdout)["comparison"]["findings"]
        assert told.code == 1
        assert [(f["subject"], f["before"], f["after"]) for f in findings] == [
            ("scoring", "1.0", "2.0")
        ]


def test_equal(fingerprinted, snapshot) -> None:
    assert str(fingerprinted.run("diff", FINGERPRINT, "training")) == snapshot


def test_drift_judged_for_the_model(fingerprinted, snapshot) -> None:
    fingerprinted.environment("staging", "scoring==2.0", "other")
    assert str(fingerprinted.run("diff", FINGERPRINT, "staging")) == snapshot


def test_one_changed_byte_is_found_and_named(project, snapshot) -> None:
    (site,) = (project.folder / "training" / "lib").glob("python3*/site-packages")
    module = site / "vectors.py"
    data = bytearray(module.read_bytes())
    data[10] ^= 1
    module.unlink()  # the installer may have linked it to its cache
    module.write_bytes(data)
    assert str(project.run("diff", LOCK, "training")) == snapshot


def test_by_version_looks_no_deeper(project) -> None:
    (site,) = (project.folder / "training" / "lib").glob("python3*/site-packages")
    (site / "vectors.py").unlink()
    assert project.run("diff", LOCK, "training", "--by", "version").code == 0
    assert project.run("diff", LOCK, "training").code == 1


def test_what_could_not_be_fetched_is_a_gap_and_never_equal(project, tmp_path, snapshot) -> None:
    empty = str(tmp_path / "empty")
    told = project.run("diff", LOCK, "training", "--offline", ENVGUARD_CACHE_DIR=empty)
    assert str(told) == snapshot
    allowed = ("diff", LOCK, "training", "--offline", "--allow-incomplete")
    assert project.run(*allowed, ENVGUARD_CACHE_DIR=empty).code == 0


def test_fail_on_decides_the_exit_code(fingerprinted) -> None:
    fingerprinted.environment("more", "scoring==1.0", "other")
    assert fingerprinted.run("diff", LOCK, "more").code == 1
    assert fingerprinted.run("diff", LOCK, "more", "--fail-on", "error").code == 0


def test_a_model_is_no_side(project, snapshot) -> None:
    assert str(project.run("diff", "churn.pkl", "training")) == snapshot


def test_nothing_there(project, snapshot) -> None:
    assert str(project.run("diff", "nowhere", "training")) == snapshot


def test_an_edited_fingerprint_is_an_integrity_failure(fingerprinted) -> None:
    path = fingerprinted.folder / FINGERPRINT
    path.write_text(path.read_text().replace('"version": "1.0"', '"version": "2.0"', 1))
    assert fingerprinted.run("diff", FINGERPRINT, "training").code == 4


def test_output_goes_to_a_file(fingerprinted) -> None:
    told = fingerprinted.run("diff", FINGERPRINT, "training", "-f", "json", "-o", "diff.json")
    assert told.stdout == ""
    assert json.loads((fingerprinted.folder / "diff.json").read_text())["exit_code"] == 0


def test_another_model_in_the_image_is_an_error(fingerprinted, snapshot) -> None:
    assert fingerprinted.run("build", FINGERPRINT, "--output", "image").code == 0
    (fingerprinted.folder / "churn.pkl").write_bytes(b"\x80\x04N.")
    assert fingerprinted.run("fingerprint", "churn.pkl").code == 0
    assert str(fingerprinted.run("diff", FINGERPRINT, "image")) == snapshot


def test_two_empty_locks_are_never_equal(project) -> None:
    (project.folder / "empty.txt").write_text("")
    assert project.run("diff", "empty.txt", "empty.txt").code == 3


def test_a_reader_that_has_seen_enough_is_no_difference(fingerprinted) -> None:
    import os
    import subprocess
    import sys

    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "envguard", "diff", FINGERPRINT, "training"]
    done = subprocess.run(
        command, cwd=fingerprinted.folder, env=fingerprinted.variables, stdout=writing
    )
    os.close(writing)
    assert done.returncode == 141
