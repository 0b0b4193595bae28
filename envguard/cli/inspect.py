"""``envguard inspect THING``."""

from typing import Annotated

import typer

from envguard.cli.options import (
    AllowIncomplete,
    Format,
    Limit,
    Quiet,
    ReportFile,
    ReportFormat,
    Verbose,
    emit,
    limits,
    screen,
)
from envguard.cli.progress import reporting

_SHORT = "Show what is in a model, lock, environment or image."
_HELP = """Show what is in a model, lock, fingerprint, environment or image.

Nothing is executed, unpickled or imported, except with env: and python:, which ask that
interpreter about itself.

Examples:

  envguard inspect model.joblib

  envguard inspect docker:churn:latest --format json
"""


def add_to(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("inspect", help=_HELP, short_help=_SHORT)(_inspect)


def _inspect(
    thing: Annotated[str, typer.Argument(metavar="THING", help="A path or locator.")],
    limit: Limit = None,
    allow_incomplete: AllowIncomplete = False,
    format: Format = ReportFormat.TABLE,
    output: ReportFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    from envguard.verbs.inspect import inspect

    with reporting(quiet=quiet, verbose=verbose) as progress:
        result = inspect(thing, limits=limits(limit), progress=progress)
    code = result.exit_code(allow_incomplete=allow_incomplete)
    if format is ReportFormat.JSON:
        from envguard.reports import json

        text = json.render("envguard.inspect/1", result, exit_code=int(code))
    else:
        from envguard.reports import inspection

        text = "\n".join(inspection.render(result.thing, screen(output)))
    if not quiet or output is not None or format is ReportFormat.JSON:
        emit(text, output)
    raise typer.Exit(code)
