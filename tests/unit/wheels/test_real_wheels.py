"""Wheels that people install: none of them may be refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from envguard.wheels.archive import Wheel
from envguard.wheels.content import read_content
from envguard.wheels.unpack import plan

POPULAR = (
    "numpy scikit-learn scipy pandas ruff uv cryptography pyyaml protobuf grpcio setuptools pip "
    "wheel certifi idna requests urllib3 attrs pytz tzdata six lxml pillow aiohttp cffi "
)


@pytest.mark.network
@pytest.mark.parametrize("name", POPULAR.split())
def test_popular_wheels_are_read(name: str, tmp_path: Path):
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*command, "-d", tmp_path, name], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no package index: {done.stderr.strip()[-200:]}")
    [path] = tmp_path.iterdir()
    with Wheel.open(path) as wheel:
        content = read_content(wheel)
        files = plan(wheel, content.members, prefix="opt/venv", python_minor="3.11")
    assert content.package.name == name
    assert content.package.modules
    assert len(files) >= len(content.files)
