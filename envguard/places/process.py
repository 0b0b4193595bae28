"""A live interpreter: asked what it is, and its packages then read as files.

This is one of the few places where foreign code runs: the interpreter itself, in isolated mode,
with a script of the standard library alone (`envguard.places.probe`).
"""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

import msgspec

from envguard.formats.python_prefix import inside, read_platform
from envguard.formats.site_packages import read_environment
from envguard.model.environment import Environment, Interpreter, Libc, Platform, Section
from envguard.model.errors import ToolError, UsageError
from envguard.model.progress import Progress, silent
from envguard.places.folder import Folder, KnownDigests
from envguard.places.probe import SCRIPT, Facts

_LIMIT = 1 << 20
_SECONDS = 60.0
_SHOWN = 500
_CHUNK = 64 << 10
_MACHINES_OF_32_BITS = {"x86_64": "i686", "aarch64": "armv7l"}
"""A 32-bit Python on a 64-bit kernel: what `platform.machine` says is the kernel's."""


def probe_interpreter(python: Path, *, source: str, seconds: float = _SECONDS) -> Facts:
    """Ask *python* what it is; *source* is its name for people.

    Raises `UsageError` when there is no such program, and `ToolError` when it fails, takes longer
    than *seconds*, or answers anything but the facts.
    """
    program = python.absolute()  # not resolved: a virtual environment is where its link is
    if not os.access(program, os.X_OK) or program.is_dir():
        raise UsageError("is no program", where=source, found=str(program))
    output = _run([str(program), "-I", "-S", "-c", SCRIPT], source, seconds)
    try:
        return msgspec.json.decode(output, type=Facts)
    except msgspec.DecodeError as error:
        raise ToolError(
            f"did not answer as a Python does: {error}",
            where=source,
            found=output[:_SHOWN].decode("utf-8", "replace"),
        ) from error


def read_process(
    python: Path,
    *,
    source: str,
    packages: bool = True,
    verify: bool = True,
    cache: KnownDigests | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Environment:
    """The environment that *python* runs with; see `read_environment` for *verify*.

    Without *packages* only interpreter and platform are stated. PYTHONPATH is not looked at: it
    belongs to whoever starts the interpreter.
    """
    facts = probe_interpreter(python, source=source)
    files = Folder(Path("/"), cache=cache)
    prefix = inside(facts.prefix)
    interpreter = Section.seen(_interpreter(facts))
    if not packages:
        return Environment(
            source=source,
            interpreter=interpreter,
            platform=Section.seen(_platform(facts, files)),
            packages=Section.unseen("not asked for"),
        )
    environment = read_environment(
        files,
        prefix,
        source=source,
        os=facts.os,
        machine=_machine(facts),
        sites=tuple(inside(site) for site in facts.sites),
        verify=verify,
        workers=workers,
        progress=progress,
    )
    platform = Section.seen(_platform(facts, files))
    return replace(environment, interpreter=interpreter, platform=platform)


def _interpreter(facts: Facts) -> Interpreter:
    return Interpreter(
        implementation=facts.implementation,
        version=facts.version,
        abi=facts.abi,
        free_threaded=facts.free_threaded,
        debug=facts.debug,
    )


def _platform(facts: Facts, files: Folder) -> Platform:
    """The platform as the files say, with the C library that the interpreter really runs on."""
    prefix = inside(facts.base_prefix)
    platform = read_platform(files, os=facts.os, machine=_machine(facts), prefix=prefix)
    family, _, version = (facts.libc or "").partition(" ")
    return replace(platform, libc=Libc(family=family, version=version)) if version else platform


def _machine(facts: Facts) -> str:
    if facts.bits == 32:
        return _MACHINES_OF_32_BITS.get(facts.machine, facts.machine)
    return facts.machine


def _run(arguments: list[str], source: str, seconds: float) -> bytes:
    """What a program writes to its standard output: at most 1 MiB, in at most *seconds*."""
    running = subprocess.Popen(
        arguments,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    late = threading.Timer(seconds, _kill, (running,))
    complaints = _Drain(running.stderr)
    late.start()
    complaints.start()
    try:
        output = running.stdout.read(_LIMIT + 1) if running.stdout else b""
        if len(output) <= _LIMIT:
            running.wait()
        in_time = late.is_alive()
    finally:
        late.cancel()
        _kill(running)
        running.wait()
        complaints.join()
        _close(running)
    if not in_time:
        raise ToolError(f"did not answer within {seconds:g} seconds", where=source)
    if len(output) > _LIMIT:
        raise ToolError("answered too much", where=source, expected=f"at most {_LIMIT} bytes")
    if running.returncode:
        raise ToolError(
            f"failed with exit code {running.returncode}",
            where=source,
            expected="Python 3.6 or later",
            found=complaints.text() or None,
        )
    return output


class _Drain(threading.Thread):
    """Reads a pipe to its end, so that nobody blocks on it, and keeps the first 64 KiB."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self._kept = b""

    def run(self) -> None:
        while self._pipe and (chunk := self._pipe.read1(_CHUNK)):  # type: ignore[attr-defined]
            self._kept += chunk[: _CHUNK - len(self._kept)]

    def text(self) -> str:
        """The end of what was kept, for people."""
        return self._kept[-_SHOWN:].decode("utf-8", "replace").strip()


def _kill(running: subprocess.Popen[bytes]) -> None:
    """Kill the program and all that it started (a pyenv shim is a shell script)."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(running.pid, signal.SIGKILL)


def _close(running: subprocess.Popen[bytes]) -> None:
    for pipe in (running.stdout, running.stderr):
        if pipe:
            pipe.close()
