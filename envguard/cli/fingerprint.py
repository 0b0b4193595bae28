"""``envguard fingerprint MODEL``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envguard.cli.options import (
    AllowIncomplete,
    Format,
    Limit,
    Offline,
    Quiet,
    ReportFormat,
    Verbose,
    emit,
    limits,
    screen,
)
from envguard.cli.progress import reporting

if TYPE_CHECKING:
    from envguard.verbs.fingerprint import EnvironmentDiffers, Fingerprinted

_SHORT = "Bind a model to its locked environment."
_HELP = """Bind a model to its locked environment: what it is, what it needs, what it ran in.

The model is read, never loaded: nothing in it is imported or executed. Writes
lockfiles/<model>.fingerprint.json. With --env, that environment must equal the lock byte for
byte, or nothing is written and the exit code is 1.

Example:

  envguard fingerprint model.joblib --env training/.venv
"""


def add_to(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("fingerprint", help=_HELP, short_help=_SHORT)(_fingerprint)


def _fingerprint(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file or folder.")],
    lock: Annotated[
        Path | None,
        typer.Option("--lock", "-l", help="Its lock; the only one in lockfiles/ when not named."),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", "-e", metavar="LOCATOR", help="The environment it was trained in."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it here.")
    ] = None,
    offline: Offline = False,
    limit: Limit = None,
    allow_incomplete: AllowIncomplete = False,
    format: Format = ReportFormat.TABLE,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    from envguard.verbs.fingerprint import EnvironmentDiffers, fingerprint

    try:
        with reporting(quiet=quiet, verbose=verbose) as progress:
            result = fingerprint(
                model,
                lock=lock,
                environment=env,
                output=output,
                offline=offline,
                allow_incomplete=allow_incomplete,
                limits=limits(limit),
                progress=progress,
            )
    except EnvironmentDiffers as error:
        if not quiet or format is ReportFormat.JSON:
            emit(_difference(error, format), None)
        raise
    code = result.exit_code(allow_incomplete=allow_incomplete)
    if not quiet or format is ReportFormat.JSON:
        emit(_text(result, format), None)
    raise typer.Exit(code)


def _text(result: "Fingerprinted", format: ReportFormat) -> str:
    if format is ReportFormat.JSON:
        from envguard.reports import json

        return json.render("envguard.fingerprinted/1", result)
    from envguard.reports import inspection

    lines = inspection.render(result.fingerprint, screen())
    done = "written to" if result.changed else "unchanged:"
    return "\n".join([*lines, "", f"{done} {result.path}"])


def _difference(error: "EnvironmentDiffers", format: ReportFormat) -> str:
    if format is ReportFormat.JSON:
        from envguard.reports import json

        return json.render("envguard.diff/1", {"comparison": error.comparison})
    from envguard.reports import comparison

    return "\n".join(comparison.render(error.comparison, screen()))
