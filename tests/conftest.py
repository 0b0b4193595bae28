"""Tests that need a service are marked with its name.

Where CI is true a missing service is a failure; elsewhere it is a skip that names the service.
"""

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("envguard", deadline=None)
settings.load_profile("envguard")


def _docker() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0


def _network() -> bool:
    """Whether uv reaches the index that it is configured for."""
    from tests.support.environments import uv

    ask = [uv(), "pip", "compile", "-", "--quiet", "--no-deps", "--no-cache"]
    done = subprocess.run(ask, input=b"packaging", capture_output=True, timeout=60)
    return done.returncode == 0


SERVICES: dict[str, Callable[[], bool]] = {
    "docker": _docker,
    "network": _network,
    "skopeo": lambda: shutil.which("skopeo") is not None,
    "umoci": lambda: shutil.which("umoci") is not None,
    "strace": lambda: shutil.which("strace") is not None,
}
_there: dict[str, bool] = {}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, is_there in SERVICES.items():
        if item.get_closest_marker(name) is None:
            continue
        if name not in _there:
            _there[name] = is_there()
        if not _there[name]:
            message = f"needs {name}, which does not answer here (try: make services)"
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)
