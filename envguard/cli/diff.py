"""``envguard diff A B``."""

from enum import StrEnum
from typing import Annotated

import typer

from envguard.cli.options import (
    AllowIncomplete,
    Format,
    Limit,
    Offline,
    Quiet,
    ReportFile,
    ReportFormat,
    Verbose,
    emit,
    limits,
    screen,
)
from envguard.cli.progress import reporting
from envguard.model.findings import Severity

_SHORT = "Compare two environments; say what the model cares about."
_HELP = """Compare two environments: what differs, and whether the model cares.

A and B are each a folder (venv, Python installation, OCI layout), a file (fingerprint, pylock,
requirements, image archive), env: (this Python), python:PATH or docker:IMAGE. Nothing of either
side is run, except with env: and python:, which ask that interpreter about itself.

Example:

  envguard diff lockfiles/churn.fingerprint.json staging/.venv
"""


class By(StrEnum):
    """How deep packages are compared."""

    VERSION = "version"
    BUILD = "build"
    CONTENT = "content"


def add_to(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("diff", help=_HELP, short_help=_SHORT)(_diff)


def _diff(
    before: Annotated[str, typer.Argument(metavar="A", help="The side that is right.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The side that is judged.")],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Judge for this model or fingerprint."),
    ] = None,
    by: Annotated[By, typer.Option(help="How deep packages are compared.")] = By.CONTENT,
    fail_on: Annotated[
        Severity, typer.Option(help="The least severity that makes the exit code 1.")
    ] = Severity.WARNING,
    trust_record: Annotated[
        bool,
        typer.Option("--trust-record", help="Believe RECORD: do not read installed files."),
    ] = False,
    offline: Offline = False,
    limit: Limit = None,
    allow_incomplete: AllowIncomplete = False,
    format: Format = ReportFormat.TABLE,
    output: ReportFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    from envguard.compare.packages import Depth
    from envguard.verbs.diff import diff

    with reporting(quiet=quiet, verbose=verbose) as progress:
        result = diff(
            before,
            after,
            model=model,
            depth=Depth[by.name],
            verify_files=not trust_record,
            offline=offline,
            limits=limits(limit),
            progress=progress,
        )
    code = result.exit_code(fail_on=fail_on, allow_incomplete=allow_incomplete)
    if format is ReportFormat.JSON:
        from envguard.reports import json

        text = json.render("envguard.diff/1", result, exit_code=int(code))
    else:
        from envguard.reports import comparison

        lines = comparison.render(result.comparison, screen(output), model=result.model)
        text = "\n".join(lines)
    if not quiet or output is not None or format is ReportFormat.JSON:
        emit(text, output)
    raise typer.Exit(code)
