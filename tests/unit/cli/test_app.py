"""The command line itself: what it loads, how it ends."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = {"rich", "docker", "requests", "urllib3", "msgspec", "yaml", "packaging", "tarfile"}


def loaded_by(*arguments: str) -> set[str]:
    """The top-level modules that a run of the command loads."""
    code = (
        "import sys, json\n"
        f"sys.argv = ['envguard', *{list(arguments)!r}]\n"
        "from envguard.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def envguard(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "envguard", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload,no-any-return]


def test_the_version_loads_nothing_heavy() -> None:
    loaded = loaded_by("--version")
    assert not loaded & (HEAVY | {"typer", "argparse", "typing", "dataclasses"})


def test_help_loads_the_parser_and_nothing_else_that_is_heavy() -> None:
    assert not loaded_by("--help") & (HEAVY - {"msgspec"})


@pytest.mark.parametrize("name", ["lock", "fingerprint", "build", "diff", "inspect"])
def test_every_command_has_help_with_an_example(name: str) -> None:
    done = envguard(name, "--help")
    assert done.returncode == 0
    assert f"envguard {name} " in done.stdout.partition("Example")[2]


def test_the_version_is_the_package_s() -> None:
    import envguard as package

    assert envguard("--version").stdout == f"envguard {package.__version__}\n"


@pytest.mark.parametrize("arguments", [["nope"], ["diff"], ["diff", "a"], ["lock", "--nope"]])
def test_usage_errors_are_exit_2_without_a_traceback(arguments: list[str]) -> None:
    done = envguard(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_offered_for_every_common_shell(shell: str) -> None:
    code = "import sys; sys.argv = ['envguard']; from envguard.__main__ import main; main()"
    asked = {**os.environ, "_ENVGUARD_COMPLETE": f"source_{shell}"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=asked)
    assert "envguard" in done.stdout, done


def test_completion_completes_commands() -> None:
    code = "import sys; sys.argv = ['envguard']; from envguard.__main__ import main; main()"
    asked = {
        "_ENVGUARD_COMPLETE": "complete_bash",
        "COMP_WORDS": "envguard fing",
        "COMP_CWORD": "1",
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **asked})
    assert "fingerprint" in done.stdout, done


def test_the_python_api_is_loaded_on_first_use() -> None:
    import envguard as package

    assert callable(package.diff)
    assert callable(package.inspect)
    with pytest.raises(AttributeError):
        package.nothing_of_this_name  # noqa: B018
