"""Runs a resolver's program: no shell, no terminal, killed with all its children when we stop."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from envguard.formats.url import redacted
from envguard.model.errors import ToolError

SECONDS = 1800
_SHOWN = 8 << 10


def run(
    command: Sequence[str],
    *,
    name: str,
    where: str,
    hints: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> None:
    """Run *command*, an argument list, and wait for it.

    *hints* say what to do, by lower-case words of the program that they answer. Raises
    `ToolError` with what the program said, secrets redacted, when it fails or takes longer than
    *seconds*.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        process_group=0,
    ) as process:
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"{name} took longer than {seconds:.0f} s", where=where) from error
        finally:
            if process.returncode is None:
                _kill(process)
    if process.returncode:
        shown = _shown(said)
        fitting = (hint for words, hint in (hints or {}).items() if words in shown.lower())
        raise ToolError(f"{name} found no lock:\n{shown}", where=where, hint=next(fitting, None))


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _shown(said: bytes) -> str:
    """The end of what a program said, as printable lines without secrets."""
    text = redacted(said[-_SHOWN:].decode(errors="replace"))
    lines = ("".join(c for c in line if c.isprintable()).rstrip() for line in text.splitlines())
    return "\n".join(f"  {line}" for line in lines if line)
