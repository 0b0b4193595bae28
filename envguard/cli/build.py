"""``envguard build FINGERPRINT_OR_LOCK``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envguard.cli.options import Format, Offline, Quiet, ReportFormat, Verbose, emit, screen
from envguard.cli.progress import reporting

if TYPE_CHECKING:
    from envguard.model.built import Built

_SHORT = "Build the image of a fingerprint or lock, without a daemon."
_HELP = """Build the image of a fingerprint or lock: the same base, the same bits, no daemon.

Wheels are fetched by their hashes, checked, and laid out as an installer would; nothing of them
is run. --base host uses this machine's Python and its libraries, so that no registry is needed;
an OCI layout, an image archive or docker:IMAGE may be the base too.

Example:

  envguard build lockfiles/churn.fingerprint.json --base host --prove --output image
"""


def add_to(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("build", help=_HELP, short_help=_SHORT)(_build)


def _build(
    source: Annotated[
        str, typer.Argument(metavar="FINGERPRINT_OR_LOCK", help="What the image must contain.")
    ],
    base: Annotated[
        str, typer.Option("--base", "-b", help="host, an OCI layout, an archive, docker:IMAGE.")
    ] = "host",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write an OCI layout.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", metavar="FILE", help="Write an image archive.")
    ] = None,
    load: Annotated[bool, typer.Option("--load", help="Load it into the local engine.")] = False,
    tag: Annotated[
        str | None, typer.Option("--tag", "-t", help="Its name; needed with --load.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="The model, when it is not found.")
    ] = None,
    prove: Annotated[bool, typer.Option("--prove", help="Build twice, compare every bit.")] = False,
    offline: Offline = False,
    format: Format = ReportFormat.TABLE,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    from envguard.verbs.build import Outputs, build

    with reporting(quiet=quiet, verbose=verbose) as progress:
        result = build(
            source,
            base=base,
            model=model,
            outputs=Outputs(layout=output, archive=archive, load=load, tag=tag),
            prove=prove,
            offline=offline,
            progress=progress,
        )
    if not quiet or format is ReportFormat.JSON:
        emit(_text(result, format), None)


def _text(result: "Built", format: ReportFormat) -> str:
    if format is ReportFormat.JSON:
        from envguard.reports import json

        return json.render("envguard.build/1", result)
    from envguard.reports import image

    return "\n".join(image.render(result, screen()))
