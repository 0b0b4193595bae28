"""Files that no package owns, of two sides: what one alone has, or both have with other bytes."""

from collections.abc import Iterator

from envguard.model.environment import UnownedFile, UnownedKind
from envguard.model.findings import Area, Change, Finding, Severity

_SEVERITY = {
    UnownedKind.HOOK: Severity.ERROR,
    UnownedKind.SHADOW: Severity.ERROR,
    UnownedKind.MODULE: Severity.WARNING,
    UnownedKind.BYTECODE: Severity.WARNING,
    UnownedKind.MAKER: Severity.NOTE,
    UnownedKind.OTHER: Severity.NOTE,
}


def compare_unowned(
    before: tuple[UnownedFile, ...], after: tuple[UnownedFile, ...]
) -> Iterator[Finding]:
    """The differences, by path; the same file (path and bytes) on both sides is none.

    What could not be read on both sides (digest ``None``) is never the same.
    """
    old = {file.path: file for file in before}
    new = {file.path: file for file in after}
    for path in sorted(old.keys() | new.keys()):
        one, two = old.get(path), new.get(path)
        if one is None or two is None or one.digest is None or one.digest != two.digest:
            yield _finding(path, one, two)


def _finding(path: str, before: UnownedFile | None, after: UnownedFile | None) -> Finding:
    severities = [_SEVERITY[file.kind] for file in (before, after) if file]
    return Finding(
        area=Area.PACKAGES,
        change=Change.UNOWNED,
        subject=path,
        before=_shown(before),
        after=_shown(after),
        severity=max(severities, key=lambda severity: severity.rank),
        reason=_reason(before, after),
        fix=f"remove {path}, or install it as a package that the lock names",
    )


def _shown(file: UnownedFile | None) -> str | None:
    if file is None:
        return None
    return f"content {file.digest.short}" if file.digest else "cannot be read"


def _reason(before: UnownedFile | None, after: UnownedFile | None) -> str:
    match before, after:
        case UnownedFile(), UnownedFile():
            return f"{after.why}, of no package, and not the same on both sides"
        case None, UnownedFile():
            return f"{after.why}, of no package: only the second side has it"
        case UnownedFile(), None:
            return f"{before.why}, of no package: only the first side has it"
    return ""
