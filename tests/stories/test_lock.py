"""``envguard lock`` as a user sees it."""

import json
import subprocess
import sys

LOCK = "lockfiles/pylock.churn.toml"


def test_a_first_lock(project, snapshot) -> None:
    (project.folder / LOCK).unlink()
    assert str(project.run("lock", "requirements.in")) == snapshot
    assert (project.folder / LOCK).is_file()


def test_an_unchanged_lock_is_left_alone_without_asking_anybody(project, snapshot) -> None:
    before = (project.folder / LOCK).read_bytes()
    told = project.run("lock", "requirements.in", UV_DEFAULT_INDEX="http://127.0.0.1:9/")
    assert str(told) == snapshot
    assert (project.folder / LOCK).read_bytes() == before


def test_a_changed_input_makes_the_lock_stale(project, snapshot) -> None:
    (project.folder / "requirements.in").write_text("scoring==2.0\n")
    assert str(project.run("lock", "requirements.in", "--check")) == snapshot(name="check")
    assert str(project.run("lock", "requirements.in")) == snapshot(name="lock")
    assert project.run("lock", "requirements.in", "--check").code == 0


def test_an_edited_lock_is_stale(project) -> None:
    path = project.folder / LOCK
    path.write_text(path.read_text().replace('version = "1.0"', 'version = "2.0"', 1))
    assert project.run("lock", "requirements.in", "--check").code in (1, 3)


def test_hashed_requirements_install_with_pip(project, tmp_path) -> None:
    told = project.run("lock", "requirements.in", "--format", "requirements", "-o", "run.txt")
    assert told.code == 0
    text = (project.folder / "run.txt").read_text()
    assert "127.0.0.1" not in text
    assert text.count("--hash=sha256:") == 2
    where = ["--index-url", project.index_url, "--target", str(tmp_path / "t")]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--require-hashes", "--no-deps"]
    pip += [*where, "-r", "run.txt"]
    subprocess.run(pip, cwd=project.folder, check=True)
    assert (tmp_path / "t" / "vectors.py").is_file()


def test_json(project) -> None:
    told = project.run("lock", "requirements.in", "--format", "json")
    document = json.loads(told.stdout)
    assert document["schema"] == "envguard.lock/1"
    assert {package["name"] for package in document["packages"]} == {"scoring", "vectors"}


def test_a_missing_input(project, snapshot) -> None:
    assert str(project.run("lock", "nothing.in")) == snapshot


def test_all_problems_of_an_input_are_told_at_once(project, snapshot) -> None:
    (project.folder / "requirements.in").write_text("scoring==\n--wat\nvectors @@ x\n")
    assert str(project.run("lock", "requirements.in")) == snapshot


def test_requirements_that_cannot_be_met(project) -> None:
    (project.folder / "requirements.in").write_text("scoring==9.0\n")
    told = project.run("lock", "requirements.in")
    assert told.code == 3
    assert "scoring" in told.stderr
    assert "Traceback" not in told.stderr
