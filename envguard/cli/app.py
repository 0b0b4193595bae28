"""The command line, and the one place where errors become words and an exit code."""

import errno
import os
import signal
import sys

import typer

from envguard import __version__
from envguard.cli import build, diff, fingerprint, inspect, lock
from envguard.model.errors import EnvguardError, ExitCode
from envguard.reports.text import clean

_EPILOG = """Exit codes: 0 everything was inspected and is equal or verified; 1 mismatch or finding;
2 usage; 3 something could not be inspected; 4 a digest is wrong; 130/143 interrupted."""

app = typer.Typer(
    name="envguard",
    help="Will this model give the same answers in that environment?",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (lock, fingerprint, build, diff, inspect):
    command.add_to(app)


@app.callback()
def _envguard(
    version: bool = typer.Option(False, "--version", "-V", help="Show the version and exit."),
) -> None:
    if version:
        typer.echo(f"envguard {__version__}")
        raise typer.Exit


def run() -> int:
    """Run the command in ``sys.argv``; every expected failure is words on stderr and a code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.OK
    except EnvguardError as error:
        _show(error)
        return error.exit_code
    except _Stopped as stopped:
        sys.stderr.write("stopped: nothing was left half-written\n")
        return stopped.exit_code
    except OSError as error:
        _show(EnvguardError(error.strerror or str(error), where=_path_of(error), hint=_hint(error)))
        return ExitCode.UNREADABLE
    except Exception as error:  # the one boundary: a bug is no reason to exit 1
        if os.environ.get("ENVGUARD_TRACEBACK"):
            raise
        _show(
            EnvguardError(
                f"internal error: {type(error).__name__}: {error}",
                hint="this is a bug: run it again with ENVGUARD_TRACEBACK=1 and report it",
            )
        )
        return ExitCode.UNREADABLE
    return ExitCode.OK


class _Stopped(BaseException):
    """SIGINT or SIGTERM arrived."""

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def _stop(number: int, frame: object) -> None:
    raise _Stopped(ExitCode(128 + number))


def _show(error: EnvguardError) -> None:
    lines = [f"error: {error}"]
    lines += [f"  expected: {error.expected}"] if error.expected else []
    lines += [f"  found:    {error.found}"] if error.found else []
    lines += [f"  hint:     {error.hint}"] if error.hint else []
    for line in "\n".join(lines).splitlines():
        sys.stderr.write(clean(line) + "\n")


def _path_of(error: OSError) -> str | None:
    return str(error.filename) if error.filename else None


def _hint(error: OSError) -> str | None:
    hints = {
        errno.ENOSPC: "make room on the disk and run it again: nothing was half-written",
        errno.EACCES: "check who may read or write there",
        errno.EROFS: "write to another folder; for the cache, set ENVGUARD_CACHE_DIR",
    }
    return hints.get(error.errno or 0)
