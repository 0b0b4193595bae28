"""The folder that benchmarks work in, and what they make there once: files, wheels, venvs."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import environments

REAL = (
    "numpy==1.26.4", "scipy==1.17.1", "scikit-learn==1.4.2", "pandas==2.2.2", "pyarrow==20.0.0",
    "joblib==1.6.0", "cloudpickle==3.1.2", "threadpoolctl==3.8.0", "python-dateutil==4.0.0",
    "pytz==2026.6", "tzdata==2026.6", "six==1.17.0",
)  # fmt: skip
"""Wheels as a model really needs them: 120 MB zipped, few large and many small files."""

_SMALL_PACKAGES = 290
_CHANGED_PACKAGES = 5
_MODULES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A folder that is kept between runs; ``$ENVGUARD_BENCHMARKS`` or one for temporary files."""

    folder: Path

    @classmethod
    def default(cls) -> "Scratch":
        """The folder that the machine is set up for."""
        chosen = os.environ.get("ENVGUARD_BENCHMARKS")
        return cls(folder=Path(chosen or Path(tempfile.gettempdir()) / "envguard-benchmarks"))

    def made(self, name: str, make: Callable[[Path], object]) -> Path:
        """What *make* makes at *name*, once: a run that was killed leaves nothing half made."""
        path = self.folder / name
        done = self.folder / f".{name.replace('/', '-')}.made"
        if not done.exists():
            sys.stderr.write(f"making {name} ...\n")
            discard(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path)
            done.touch()
        return path

    def fresh(self, name: str) -> Path:
        """A folder that is empty."""
        path = self.folder / name
        discard(path)
        path.mkdir(parents=True)
        return path


def discard(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def cache_at(folder: Path) -> dict[str, str]:
    """The variables that make envguard use *folder* as its cache."""
    return {"ENVGUARD_CACHE_DIR": str(folder)}


def large_file(path: Path, size: int = 1 << 30) -> None:
    """A file of random bytes."""
    with path.open("wb") as stream:
        for _ in range(size >> 20):
            stream.write(os.urandom(1 << 20))


def small_files(folder: Path, count: int = 20_000) -> None:
    """Files of 1 to 112 KiB, 100 in each folder, 1.1 GB in all."""
    sizes = random.Random(0)
    for number in range(count):
        parent = folder / f"{number // 100:03}"
        if number % 100 == 0:
            parent.mkdir(parents=True)
        (parent / f"shard-{number:05}.bin").write_bytes(os.urandom(sizes.randint(1, 112) << 10))


def real_wheels(scratch: Scratch) -> Path:
    """A folder with the wheels of `REAL`, from the index that pip is set up for."""

    def download(folder: Path) -> None:
        quietly(
            sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check",
            "--only-binary", ":all:", "--no-deps", "--dest", folder, *REAL,
        )  # fmt: skip

    return scratch.made("wheels", download)


def environment(scratch: Scratch, name: str, changed: str = "1.0") -> Path:
    """A venv with about 300 packages; five of the small ones have the version *changed*.

    Files are copied, so that two such environments share no inode.
    """
    real, small = real_wheels(scratch), scratch.made("small-wheels", _small_wheels)
    numbers = range(_SMALL_PACKAGES)
    versions = {number: changed if number < _CHANGED_PACKAGES else "1.0" for number in numbers}

    def install(folder: Path) -> None:
        environments.venv(folder)
        wheels = [small / _small_wheel(number, version) for number, version in versions.items()]
        environments.install_with_uv(folder, *map(str, [*wheels, *real.glob("*.whl")]))

    return scratch.made(f"environments/{name}", install)


def digest_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def quietly(*arguments: str | Path, folder: Path | None = None) -> str:
    """Run a program that prepares something, and give what it said; it must succeed."""
    words: Sequence[str] = [str(argument) for argument in arguments]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:6])}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def _small_wheels(folder: Path) -> None:
    folder.mkdir()
    for number in range(_SMALL_PACKAGES):
        for version in ("1.0", "1.1") if number < _CHANGED_PACKAGES else ("1.0",):
            _write_small_wheel(folder, number, version)


def _write_small_wheel(folder: Path, number: int, version: str) -> None:
    """A package of the usual shape: modules of a few KiB, and long METADATA."""
    name, words = f"package_{number:03}", random.Random(number)
    modules = {
        f"{name}/module_{index:02}.py": (
            f'"""Module {index} of {version}."""\n' + f"VALUE = {words.random()!r}\n" * 200
        ).encode()
        for index in range(_MODULES)
    }
    needed = [f"package-{other:03}" for other in (number // 2, number // 3) if other < number]
    requires = "".join(f"Requires-Dist: {other} >=1.0\n" for other in sorted(set(needed)))
    metadata = f"{requires}License: free\n\n" + "A line of the description.\n" * 200
    files = {f"{name}/__init__.py": b"", **modules}
    environments.wheel(folder, name, version, files=files, metadata=metadata)


def _small_wheel(number: int, version: str) -> str:
    return f"package_{number:03}-{version}-py3-none-any.whl"
