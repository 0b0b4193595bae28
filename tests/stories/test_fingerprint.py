"""``envguard fingerprint`` as a user sees it."""

import json
import pickle
import sys
from pathlib import Path
from types import ModuleType

FILE = "lockfiles/churn.fingerprint.json"


def test_with_its_environment(project, snapshot) -> None:
    assert str(project.run("fingerprint", "churn.pkl", "--env", "training")) == snapshot


def test_twice_is_the_same_file(fingerprinted) -> None:
    before = (fingerprinted.folder / FILE).read_bytes()
    assert fingerprinted.run("fingerprint", "churn.pkl", "--env", "training").code == 0
    assert (fingerprinted.folder / FILE).read_bytes() == before


def test_without_an_environment_what_the_lock_selects_here_is_recorded(project) -> None:
    assert project.run("fingerprint", "churn.pkl").code == 0
    recorded = json.loads((project.folder / FILE).read_text())
    packages = {
        package["name"]: package for package in recorded["environment"]["packages"]["value"]
    }
    assert packages.keys() == {"scoring", "vectors"}
    assert all(package["content"] for package in packages.values())


def test_both_ways_give_the_same_identity(fingerprinted) -> None:
    first = json.loads((fingerprinted.folder / FILE).read_text())["id"]
    assert fingerprinted.run("fingerprint", "churn.pkl").code == 0
    assert json.loads((fingerprinted.folder / FILE).read_text())["id"] == first


def test_an_environment_that_is_not_the_lock_is_refused(project, snapshot) -> None:
    project.environment("staging", "scoring==2.0")
    assert str(project.run("fingerprint", "churn.pkl", "--env", "staging")) == snapshot
    assert not (project.folder / FILE).exists()


def test_json(project) -> None:
    told = project.run("fingerprint", "churn.pkl", "--format", "json")
    document = json.loads(told.stdout)
    assert document["schema"] == "envguard.fingerprinted/1"
    loads = [
        need for need in document["fingerprint"]["artifact"]["needs"] if need["type"] == "loads"
    ]
    assert [(need["module"], need["name"]) for need in loads] == [("scoring", "Scorer")]


def test_a_missing_model(project, snapshot) -> None:
    assert str(project.run("fingerprint", "nothing.pkl")) == snapshot


def test_no_lock(project, snapshot) -> None:
    (project.folder / "lockfiles" / "pylock.churn.toml").unlink()
    assert str(project.run("fingerprint", "churn.pkl")) == snapshot


def test_two_locks(project, snapshot) -> None:
    locks = project.folder / "lockfiles"
    (locks / "pylock.other.toml").write_bytes((locks / "pylock.churn.toml").read_bytes())
    assert str(project.run("fingerprint", "churn.pkl")) == snapshot


def test_a_truncated_pickle_writes_nothing(project, snapshot) -> None:
    model = project.folder / "churn.pkl"
    model.write_bytes(model.read_bytes()[:-10])
    assert str(project.run("fingerprint", "churn.pkl")) == snapshot
    assert not (project.folder / FILE).exists()


def test_what_is_not_understood_is_recorded_and_never_clean(project, snapshot) -> None:
    (project.folder / "weights.bin").write_bytes(b"\x00\x01\x02 weights")
    told = project.run("fingerprint", "weights.bin")
    assert str(told) == snapshot
    assert (project.folder / "lockfiles" / "weights.fingerprint.json").exists()
    assert project.run("fingerprint", "weights.bin", "--allow-incomplete").code == 0


def test_an_empty_or_malformed_lock(project, snapshot) -> None:
    lock = project.folder / "lockfiles" / "pylock.churn.toml"
    lock.write_bytes(b"")
    assert str(project.run("fingerprint", "churn.pkl")) == snapshot(name="empty")
    lock.write_bytes(b"lock-version = [")
    assert str(project.run("fingerprint", "churn.pkl")) == snapshot(name="malformed")


def test_offline_with_an_empty_vault_is_incomplete(project, tmp_path) -> None:
    told = project.run(
        "fingerprint", "churn.pkl", "--offline", ENVGUARD_CACHE_DIR=str(tmp_path / "c")
    )
    assert told.code == 3
    assert "vault" in told.stdout


def test_a_model_that_another_version_wrote_is_refused(project, snapshot) -> None:
    state = {"_sklearn_version": "1.4.2"}
    write_pickle(project.folder / "churn.pkl", "sklearn.svm", "SVC", state)
    (project.folder / "requirements.in").write_text("scikit-learn==1.0\n")
    assert project.run("lock", "requirements.in").code == 0
    told = project.run("fingerprint", "churn.pkl")
    assert str(told) == snapshot
    assert not (project.folder / FILE).exists()


def test_what_no_locked_package_provides_is_a_gap(project) -> None:
    write_pickle(project.folder / "churn.pkl", "lightgbm", "Booster", {})
    told = project.run("fingerprint", "churn.pkl")
    assert told.code == 3
    assert "no locked package provides it" in told.stdout


def test_the_fingerprint_of_another_model_is_not_replaced(fingerprinted) -> None:
    before = (fingerprinted.folder / FILE).read_bytes()
    other = fingerprinted.folder / "other" / "churn.pkl"
    other.parent.mkdir()
    other.write_bytes(b"\x80\x04N.")
    told = fingerprinted.run("fingerprint", "other/churn.pkl")
    assert told.code == 2
    assert "--output" in told.stderr
    assert (fingerprinted.folder / FILE).read_bytes() == before


def test_an_empty_folder_is_no_model(project) -> None:
    (project.folder / "model").mkdir()
    assert project.run("fingerprint", "model").code == 2


def test_a_lock_that_pins_nothing_is_refused(project, snapshot) -> None:
    (project.folder / "loose.in").write_text("scoring\n")
    told = project.run("fingerprint", "churn.pkl", "--lock", "loose.in")
    assert str(told) == snapshot
    assert not (project.folder / FILE).exists()


def write_pickle(path: Path, module: str, name: str, state: dict[str, str]) -> None:
    """An object of a class that need not exist, with *state*."""
    kind = type(name, (), {"__module__": module})
    made = kind()
    made.__dict__.update(state)
    stub = ModuleType(module)
    setattr(stub, name, kind)
    parts = [module[: i + 1] for i in range(len(module)) if module[i + 1 : i + 2] in (".", "")]
    before = {part: sys.modules.get(part) for part in parts}
    try:
        sys.modules.update(dict.fromkeys(parts, stub))
        path.write_bytes(pickle.dumps(made, protocol=4))
    finally:
        for part, old in before.items():
            if old is None:
                del sys.modules[part]
            else:
                sys.modules[part] = old
