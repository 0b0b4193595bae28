"""``envguard build`` as a user sees it."""

import json
import shutil

import pytest

FINGERPRINT = "lockfiles/churn.fingerprint.json"
LOCK = "lockfiles/pylock.churn.toml"


def digest(project, *arguments: str) -> str:
    told = project.run("build", *arguments, "--format", "json")
    assert told.code == 0, told
    return str(json.loads(told.stdout)["digest"])


def test_proved(fingerprinted, snapshot) -> None:
    assert str(fingerprinted.run("build", FINGERPRINT, "--prove", "--output", "image")) == snapshot


def test_another_folder_and_an_empty_cache_give_the_same_image(fingerprinted, tmp_path) -> None:
    first = digest(fingerprinted, FINGERPRINT, "--output", "image")
    elsewhere = tmp_path / "a" / "deeper" / "place"
    shutil.copytree(fingerprinted.folder, elsewhere, symlinks=True)
    moved = type(fingerprinted)(
        folder=elsewhere, index_url=fingerprinted.index_url, home=tmp_path / "other-home"
    )
    assert digest(moved, FINGERPRINT, "--output", "image") == first


def test_the_model_changes_only_its_own_layers(fingerprinted) -> None:
    def layers() -> list[str]:
        told = fingerprinted.run("build", FINGERPRINT, "--output", "image", "-f", "json")
        return [layer["digest"] for layer in json.loads(told.stdout)["layers"]]

    before = layers()
    model = fingerprinted.folder / "churn.pkl"
    model.write_bytes(model.read_bytes().replace(b"scoring", b"scoring"))
    import pickle

    model.write_bytes(pickle.dumps([1, 2, 3], protocol=4))
    assert fingerprinted.run("fingerprint", "churn.pkl").code == 0
    after = layers()
    assert before[:-2] == after[:-2]
    assert before[-2:] != after[-2:]


def test_a_lock_alone(project) -> None:
    assert project.run("build", LOCK, "--output", "image").code == 0
    assert project.run("diff", LOCK, "image").code == 0


def test_nowhere_to_go(fingerprinted, snapshot) -> None:
    assert str(fingerprinted.run("build", FINGERPRINT)) == snapshot


def test_a_changed_model_is_not_built(fingerprinted, snapshot) -> None:
    (fingerprinted.folder / "churn.pkl").write_bytes(b"\x80\x04N.")
    assert str(fingerprinted.run("build", FINGERPRINT, "--output", "image")) == snapshot
    assert not (fingerprinted.folder / "image").exists()


def test_a_wheel_with_another_hash_is_not_built(project, tmp_path) -> None:
    lock = project.folder / LOCK
    text = lock.read_text()
    at = text.index('sha256 = "', text.index('name = "vectors"')) + len('sha256 = "')
    lock.write_text(text[:at] + "0" * 64 + text[at + 64 :])
    told = project.run("build", LOCK, "--output", "image", ENVGUARD_CACHE_DIR=str(tmp_path / "c"))
    assert told.code == 4, told
    assert "vectors" in told.stderr
    assert not (project.folder / "image").exists()


def test_a_folder_that_is_no_layout_is_not_replaced(fingerprinted) -> None:
    precious = fingerprinted.folder / "image" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("years of work")
    assert fingerprinted.run("build", FINGERPRINT, "--output", "image").code == 2
    assert precious.read_text() == "years of work"


def test_an_image_as_base(fingerprinted, snapshot) -> None:
    assert fingerprinted.run("build", LOCK, "--output", "base").code == 0
    told = fingerprinted.run("build", FINGERPRINT, "--base", "base", "--output", "image")
    assert str(told) == snapshot  # the base has an environment where the new one would go


@pytest.mark.skopeo
def test_skopeo_reads_it(fingerprinted) -> None:
    import subprocess

    built = digest(fingerprinted, FINGERPRINT, "--output", "image")
    inspect = ["skopeo", "inspect", "oci:image"]
    done = subprocess.run(inspect, cwd=fingerprinted.folder, capture_output=True, check=True)
    assert json.loads(done.stdout)["Digest"] == built


@pytest.mark.docker
def test_the_engine_loads_it_and_the_model_answers(fingerprinted) -> None:
    import subprocess

    tag = f"envguard-story-{fingerprinted.folder.parent.name[-20:].lower().strip('-_')}:latest"
    told = fingerprinted.run("build", FINGERPRINT, "--load", "--tag", tag)
    assert told.code == 0, told
    predict = (
        "import pickle; m = pickle.load(open('/opt/model/churn.pkl', 'rb'));"
        "print(m.predict([{'a': 2, 'b': 4}]))"
    )
    try:
        run = [
            "docker",
            "run",
            "--rm",
            "--network",
            "none",
            "--read-only",
            tag,
            "python",
            "-c",
            predict,
        ]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        assert done.stdout == "[3.5]\n"
        assert fingerprinted.run("diff", FINGERPRINT, f"docker:{tag}").code == 0
        assert fingerprinted.run("diff", "training", f"docker:{tag}").code == 0
    finally:
        subprocess.run(["docker", "rmi", "-f", tag], capture_output=True)


def test_a_name_that_no_engine_takes(fingerprinted, snapshot) -> None:
    told = fingerprinted.run("build", FINGERPRINT, "--archive", "x.tar", "--tag", "BAD:::x")
    assert str(told) == snapshot
    assert not (fingerprinted.folder / "x.tar").exists()


def test_a_lock_without_hashes_is_not_built(project) -> None:
    (project.folder / "freeze.txt").write_text("scoring==1.0\nvectors==1.0\n")
    told = project.run("build", "freeze.txt", "--output", "image")
    assert told.code == 3
    assert "envguard lock" in told.stderr
