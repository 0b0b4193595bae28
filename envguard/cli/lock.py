"""``envguard lock INPUT...``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envguard.cli.options import Quiet, ReportFormat, Verbose, emit, screen
from envguard.cli.progress import reporting
from envguard.model.errors import UsageError

if TYPE_CHECKING:
    from envguard.verbs.lock import LockOutcome

_SHORT = "Lock a project: every file of every package, by hash."
_HELP = """Lock a project: every file of every package by hash, for every platform (PEP 751).

INPUT is a requirements file or a pyproject.toml. Versions that are locked already are kept; when
nothing changed, nothing is written and no index is asked. Index settings are uv's and pip's own.

Examples:

  envguard lock requirements.in --name churn

  envguard lock pyproject.toml --group serve --check
"""


class LockAndReportFormat(StrEnum):
    """The lock's format and the report's."""

    PYLOCK = "pylock"
    REQUIREMENTS = "requirements"
    TABLE = "table"
    JSON = "json"


def add_to(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("lock", help=_HELP, short_help=_SHORT)(_lock)


def _lock(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="requirements.in, pyproject.toml.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Name it lockfiles/pylock.NAME.toml.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it here.")
    ] = None,
    format: Annotated[
        list[LockAndReportFormat] | None,
        typer.Option(
            "--format",
            "-f",
            help="The lock's format (pylock, requirements) or the report's (table, json); "
            "may be given for both.",
        ),
    ] = None,
    extra: Annotated[
        list[str] | None, typer.Option("--extra", help="An extra of pyproject.toml; repeatable.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="A dependency group; repeatable.")
    ] = None,
    constraint: Annotated[
        list[Path] | None, typer.Option("--constraint", "-c", help="A constraints file.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="Lock for this platform only; repeatable."),
    ] = None,
    python_version: Annotated[
        str | None,
        typer.Option("--python-version", help="The oldest Python it has to work on (3.11)."),
    ] = None,
    upgrade: Annotated[bool, typer.Option("--upgrade", "-U", help="Take newest versions.")] = False,
    upgrade_package: Annotated[
        list[str] | None,
        typer.Option("--upgrade-package", "-P", help="Take its newest version; repeatable."),
    ] = None,
    exclude_newer: Annotated[
        str | None, typer.Option("--exclude-newer", help="Ignore files newer than this date.")
    ] = None,
    resolver: Annotated[str, typer.Option("--resolver", help="uv or pip-tools.")] = "uv",
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 when the lock is stale.")
    ] = False,
    allow_build: Annotated[
        bool, typer.Option("--allow-build", help="Run the build code of packages without a wheel.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    from envguard.verbs.lock import LockOptions, lock
    from envguard.verbs.lock_file import LockFormat

    chosen = format or []
    options = LockOptions(
        inputs=tuple(inputs),
        output=output,
        name=name,
        format=LockFormat(_one(chosen, LockFormat) or "pylock"),
        resolver=resolver,
        targets=tuple(target or ()),
        python_version=python_version,
        extras=tuple(extra or ()),
        groups=tuple(group or ()),
        constraints=tuple(constraint or ()),
        upgrade=upgrade,
        upgrade_packages=tuple(upgrade_package or ()),
        exclude_newer=exclude_newer,
        allow_build=allow_build,
        check=check,
    )
    with reporting(quiet=quiet, verbose=verbose) as progress:
        outcome = lock(options, progress)
    report = ReportFormat(_one(chosen, ReportFormat) or "table")
    if not quiet or report is ReportFormat.JSON:
        emit(_text(outcome, report), None)


def _one(given: list[LockAndReportFormat], kind: type[StrEnum]) -> str | None:
    """The one of *given* that is a *kind*."""
    values = {member.value for member in kind}
    chosen = [choice.value for choice in given if choice.value in values]
    if len(set(chosen)) > 1:
        raise UsageError("cannot be two at once", where="--format", found=" and ".join(chosen))
    return chosen[0] if chosen else None


def _text(outcome: "LockOutcome", format: ReportFormat) -> str:
    if format is ReportFormat.JSON:
        from envguard.reports import json

        return json.render(
            "envguard.lock/1",
            {
                "path": str(outcome.path),
                "changed": outcome.changed,
                "stale": outcome.stale,
                "changes": outcome.changes,
                "digest": outcome.lock.digest,
                "packages": [entry.package for entry in outcome.lock.entries],
            },
        )
    from envguard.reports import locking

    changes = [(change.name, change.before, change.after) for change in outcome.changes]
    return "\n".join(
        locking.render(
            str(outcome.path),
            changed=outcome.changed,
            packages=len(outcome.lock.entries),
            changes=changes,
            screen=screen(),
        )
    )
