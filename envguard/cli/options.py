"""The options that commands share, and what they make of them."""

import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envguard import storage
from envguard.model.errors import UsageError
from envguard.reports.text import Screen

if TYPE_CHECKING:
    from envguard.artifacts.limits import Limits


class ReportFormat(StrEnum):
    """How a result is shown."""

    TABLE = "table"
    JSON = "json"


_BROKEN_PIPE = 141
"""128 and the number of SIGPIPE, as shells report it."""

Format = Annotated[
    ReportFormat, typer.Option("--format", "-f", help="Show the result as a table or as JSON.")
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the result here, not to stdout."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no table.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Tell every step on stderr.")]
Offline = Annotated[
    bool, typer.Option("--offline", help="Use the vault only; what is not in it is a gap.")
]
AllowIncomplete = Annotated[
    bool,
    typer.Option("--allow-incomplete", help="Exit 0 although something could not be seen."),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=N",
        help="Raise a cap on reading models: opcodes, decompressed, ratio; repeatable.",
    ),
]


def limits(given: list[str] | None) -> "Limits":
    """The caps on reading a model, raised as ``--limit NAME=N`` says."""
    from envguard.artifacts.limits import Limits

    raised: dict[str, int] = {}
    for text in given or ():
        name, _, number = text.partition("=")
        if name not in ("opcodes", "decompressed", "ratio") or not number.isdecimal():
            raise typer.BadParameter(
                f"{text!r}: expected opcodes=N, decompressed=N or ratio=N", param_hint="--limit"
            )
        raised[name] = int(number)
    return Limits(**raised)


def screen(output: Path | None = None) -> Screen:
    """The screen that stdout is: 80 columns without colour when it is no terminal."""
    if output is not None or sys.stdout is None or not sys.stdout.isatty():
        return Screen()
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return Screen(width=min(shutil.get_terminal_size().columns, 120), colour=not plain)


def emit(text: str, output: Path | None) -> None:
    """Write a result to *output*, or to stdout."""
    if output is not None:
        if not output.parent.is_dir():
            raise UsageError("there is no such folder", where=str(output.parent))
        storage.write(output, text.encode() + b"\n")
        return
    try:
        typer.echo(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read the result has seen enough; the pipe must not break again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(_BROKEN_PIPE) from None
