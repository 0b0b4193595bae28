"""A small project with a real model, real wheels, a real index on loopback, and real venvs."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import environments, index

TRAIN = """
import pickle, scoring
model = scoring.Scorer(weights={"a": 0.25, "b": 0.75})
with open("churn.pkl", "wb") as stream:
    pickle.dump(model, stream, protocol=4)
"""
SCORING = b"""
import vectors

class Scorer:
    def __init__(self, weights):
        self.weights = weights

    def predict(self, rows):
        return [vectors.dot(self.weights, row) for row in rows]
"""
VECTORS = b"def dot(a, b):\n    return sum(a[k] * b.get(k, 0) for k in a)\n"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a command said; `str` is what snapshots hold."""

    code: int
    stdout: str
    stderr: str
    line: str
    replaced: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        text = f"$ {self.line}\nexit code: {self.code}\n"
        text += f"--- stdout\n{self.stdout}--- stderr\n{self.stderr}"
        for found, name in self.replaced.items():
            text = text.replace(found, name)
        text = re.sub(r"\b(sha256:)[0-9a-f]{64}", r"\1<digest>", text)
        text = re.sub(r"\b(content |, )?[0-9a-f]{12}\b", r"\1<hex>", text)
        text = re.sub(r" +\d+(\.\d)? (B|KiB|MiB)", " <size>", text)
        return re.sub(r"glibc \d\.\d+, \w+ [\w.]+", "<libc>", text)


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project folder with its own cache and index."""

    folder: Path
    index_url: str
    home: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment that commands run in: nothing of the machine's own but PATH."""
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "UV_DEFAULT_INDEX": self.index_url,
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_CONFIG": "1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *arguments: str, **variables: str) -> Told:
        """Run ``envguard`` with *arguments* in the project folder."""
        done = subprocess.run(
            [sys.executable, "-m", "envguard", *arguments],
            cwd=self.folder,
            env=self.variables | variables,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Told(
            code=done.returncode,
            stdout=done.stdout,
            stderr=done.stderr,
            line=f"envguard {' '.join(arguments)}",
            replaced={
                str(self.folder): "[project]",
                self.index_url: "[index]",
                platform.python_version(): "[python]",
                f"cpython-3{sys.version_info[1]}-{platform.machine()}-linux-gnu": "[abi]",
            },
        )

    def environment(self, name: str, *packages: str) -> Path:
        """A venv in the project with *packages* from the index."""
        folder = environments.venv(self.folder / name)
        self._uv("install", "-q", "--python", str(folder), *packages)
        return folder

    def _uv(self, *arguments: str) -> None:
        command = [environments.uv(), "pip", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of the index: a model library in two versions and what it needs."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        environments.wheel(
            folder, "scoring", version, files={"scoring/__init__.py": SCORING},
            metadata="Requires-Dist: vectors",
        )  # fmt: skip
    environments.wheel(folder, "vectors", "1.0", files={"vectors.py": VECTORS})
    environments.wheel(folder, "other", "1.0")
    environments.wheel(folder, "scikit_learn", "1.0", files={"sklearn/svm.py": b"SVC = object\n"})
    return folder


@pytest.fixture(scope="session")
def trained(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that trained its model and locked it; nothing may change it."""
    folder = tmp_path_factory.mktemp("trained") / "churn"
    folder.mkdir()
    with index.serving(wheels) as served:
        project = Project(folder=folder, index_url=served.url, home=folder.parent / "home")
        (folder / "requirements.in").write_text("scoring==1.0\n")
        environment = project.environment("training", "scoring==1.0")
        python = str(environment / "bin" / "python")
        subprocess.run([python, "-c", TRAIN], cwd=folder, check=True)
        assert project.run("lock", "requirements.in").code == 0
        yield project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A copy of the trained project that a test may change."""
    folder = tmp_path / "churn"
    shutil.copytree(trained.folder, folder, symlinks=True)
    return Project(folder=folder, index_url=trained.index_url, home=trained.home)


@pytest.fixture
def fingerprinted(project: Project) -> Project:
    """The project with a fingerprint of its model."""
    assert project.run("fingerprint", "churn.pkl", "--env", "training").code == 0
    return project


def is_root() -> bool:
    """Whether tests may mount file systems."""
    return os.geteuid() == 0
