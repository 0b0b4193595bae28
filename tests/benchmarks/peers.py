"""The programs that are raced: envguard itself as it is installed, and its peers if present."""

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ENVGUARD = (sys.executable, "-m", "envguard")
"""The command line, by the running interpreter."""
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")


@dataclass(slots=True, kw_only=True)
class Peers:
    """Looks for programs, and keeps what is missing so that a table can say so."""

    missing: list[str] = field(default_factory=list)

    def program(self, name: str) -> Iterator[Path]:
        """The program, if it is beside the interpreter or on PATH: none or one."""
        found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
        if found:
            yield Path(found)
        else:
            self._miss(name)

    def pip(self) -> Iterator[tuple[str, ...]]:
        """How to run the pip of the running interpreter: none or one."""
        if importlib.util.find_spec("pip"):
            yield PIP
        else:
            self._miss("pip")

    def check(self, name: str, present: Callable[[], bool]) -> bool:
        """Whether *present* says so."""
        found = present()
        if not found:
            self._miss(name)
        return found

    def _miss(self, name: str) -> None:
        if name not in self.missing:
            self.missing.append(name)

    @property
    def skipped(self) -> list[str]:
        """The missing ones, in words."""
        return [f"{name} is not here" for name in self.missing]


def installed() -> tuple[str, ...]:
    """The console script beside the interpreter, where envguard is installed; else the module."""
    script = Path(sys.executable).parent / "envguard"
    return (str(script),) if script.exists() else ENVGUARD
