"""Live interpreters: every one of this machine, and programs that are none."""

import subprocess
import sys
from pathlib import Path

import pytest

from envguard.model.environment import Coverage
from envguard.model.errors import ToolError, UsageError
from envguard.places.probe import SCRIPT
from envguard.places.process import probe_interpreter, read_process
from tests.support.environments import install_with_uv, site_packages, venv, wheel
from tests.unit.formats.test_python_prefix import pythons


@pytest.mark.parametrize("prefix", pythons(), ids=lambda path: path.name)
def test_every_python_tells_what_it_is(prefix: Path) -> None:
    python = prefix / "bin/python3"
    facts = probe_interpreter(python, source="x")
    said = subprocess.run([python, "-VV"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith(f"Python {facts.version} ")
    assert facts.prefix == facts.base_prefix == str(prefix)
    assert all(site.startswith(str(prefix)) for site in facts.sites)


@pytest.mark.parametrize("prefix", pythons(), ids=lambda path: path.name)
def test_a_venv_of_every_python_is_told_from_its_base(prefix: Path, tmp_path: Path) -> None:
    subprocess.run(
        [prefix / "bin/python3", "-m", "venv", "--without-pip", tmp_path / "v"], check=True
    )
    facts = probe_interpreter(tmp_path / "v/bin/python", source="x")
    assert facts.prefix == str(tmp_path / "v")
    assert facts.base_prefix == str(prefix)
    assert facts.sites == (str(site_packages(tmp_path / "v")),)


def test_reads_the_packages_as_files(tmp_path: Path) -> None:
    prefix = venv(tmp_path / "v")
    install_with_uv(prefix, str(wheel(tmp_path)))
    environment = read_process(prefix / "bin/python", source="python:x")
    assert environment.packages.value is not None
    assert [(one.name, bool(one.content)) for one in environment.packages.value] == [("demo", True)]
    assert environment.interpreter.value is not None
    assert environment.interpreter.value.version == sys.version.split()[0]
    assert environment.source == "python:x"


def test_system_site_packages_are_seen(tmp_path: Path) -> None:
    prefix = venv(tmp_path / "v", "--system-site-packages")
    facts = probe_interpreter(prefix / "bin/python", source="x")
    assert facts.sites[0].startswith(str(prefix))
    assert any(site.startswith(sys.base_prefix) for site in facts.sites[1:])


def test_packages_need_not_be_read() -> None:
    environment = read_process(Path(sys.executable), source="env:", packages=False)
    assert environment.packages.coverage is Coverage.NONE
    assert environment.platform.value is not None


def test_code_in_site_folders_is_not_run(tmp_path: Path) -> None:
    prefix = venv(tmp_path / "v")
    site, witness = site_packages(prefix), tmp_path / "ran"
    code = f"open({str(witness)!r}, 'w')"
    (site / "evil.pth").write_text(f"import sys; {code}\n")
    (site / "sitecustomize.py").write_text(code)
    (site / "json.py").write_text(code)
    read_process(prefix / "bin/python", source="x")
    assert not witness.exists()
    subprocess.run([prefix / "bin/python", "-c", "pass"], check=True)
    assert witness.exists()


def program(folder: Path, text: str) -> Path:
    path = folder / "python"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo no >&2; exit 3", "failed with exit code 3"),
        ("echo hello", "did not answer as a Python does"),
        ("echo '{}'", "did not answer as a Python does"),
        ("exec cat /dev/zero", "answered too much"),
        ("cat /dev/zero >&2 & sleep 60 & sleep 60", "did not answer within 0.5 seconds"),
    ],
)
def test_what_is_no_python_is_a_tool_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        probe_interpreter(program(tmp_path, text), source="x", seconds=0.5)


def test_what_a_failing_program_says_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        probe_interpreter(program(tmp_path, "echo Unknown option: -I >&2; exit 2"), source="x")
    assert caught.value.found == "Unknown option: -I"


def test_no_program_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UsageError, match="is no program"):
            probe_interpreter(path, source="x")


def test_the_script_is_old_python() -> None:
    """Also where no old interpreter is at hand; 3.7 is the oldest grammar that `ast` knows."""
    import ast

    ast.parse(SCRIPT, feature_version=(3, 7))
