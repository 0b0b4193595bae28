"""Wheels and virtual environments, made for real: by uv and by pip, from no index."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from envguard.formats.record import record_hash
from envguard.model.digest import Digest


def uv() -> str:
    """The uv program, on PATH or beside the running interpreter."""
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    assert found, "these tests need uv"
    return found


def wheel(
    folder: Path,
    name: str = "demo",
    version: str = "1.0",
    *,
    files: Mapping[str, bytes] | None = None,
    tags: Sequence[str] = ("py3-none-any",),
    metadata: str = "",
) -> Path:
    """A wheel with *files* by member path (by default one module) and a console script."""
    info, build = f"{name}-{version}.dist-info", _build(tags)
    members = dict(files or {f"{name}/__init__.py": b"VALUE = 1\n"})
    members[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}\n".encode()
    )
    lines = "".join(f"Tag: {tag}\n" for tag in tags)
    members[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n{lines}".encode()
    )
    members[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name}-run = {name}:main\n".encode()
    rows = [
        f"{path},{record_hash(Digest.of(data))},{len(data)}\n" for path, data in members.items()
    ]
    members[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    path = folder / f"{name}-{version}-{build}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return path


def _build(tags: Sequence[str]) -> str:
    parts = [sorted({tag.split("-")[place] for tag in tags}) for place in range(3)]
    return "-".join(".".join(part) for part in parts)


def venv(folder: Path, *options: str) -> Path:
    """An empty virtual environment of the running interpreter, made by uv."""
    _run(uv(), "venv", "--quiet", "--no-config", "--python", sys.executable, *options, str(folder))
    return folder


def install_with_uv(environment: Path, *requirements: str) -> None:
    """Install with uv, offline."""
    python = str(environment / "bin/python")
    _run(uv(), "pip", "install", "-q", "--offline", "--no-config", "--no-deps", "--link-mode=copy",
         "--no-build-isolation", "--python", python, *requirements)  # fmt: skip


def install_with_pip(environment: Path, *requirements: str) -> None:
    """Install with the pip of the running interpreter, offline."""
    _run(sys.executable, "-m", "pip", "--python", str(environment / "bin/python"), "install", "-q",
         "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check",
         "--no-warn-script-location", *requirements)  # fmt: skip


def from_index(environment: Path, *requirements: str, by: str) -> None:
    """Install from the index that this machine is set up for, *by* ``uv`` or ``pip``."""
    python = str(environment / "bin/python")
    if by == "uv":
        _run(uv(), "pip", "install", "-q", "--python", python, *requirements)
    else:
        _run(sys.executable, "-m", "pip", "--python", python, "install", "-q", *requirements)


def site_packages(environment: Path) -> Path:
    """The site folder of a virtual environment."""
    (found,) = (environment / "lib").glob("python3*/site-packages")
    return found


def _run(*arguments: str) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
