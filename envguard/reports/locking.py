"""What ``envguard lock`` did, for people."""

from collections.abc import Sequence

from envguard.reports.text import Screen, clean, plural


def render(
    path: str,
    *,
    changed: bool,
    packages: int,
    changes: Sequence[tuple[str, str | None, str | None]],
    screen: Screen,
) -> list[str]:
    """The lines: each of *changes* is a package with its versions before and after."""
    if not changed:
        return [f"{clean(path)} holds: {plural(packages, 'package')}, nothing to do"]
    lines = [_change(*change, screen) for change in changes]
    return [*lines, f"{clean(path)}: {plural(packages, 'package')} locked"]


def _change(name: str, before: str | None, after: str | None, screen: Screen) -> str:
    if before is None:
        return screen.style("+", "green") + f" {clean(name)} {clean(after or '')}"
    if after is None:
        return screen.style("-", "red") + f" {clean(name)} {clean(before)}"
    return screen.style("~", "yellow") + f" {clean(name)} {clean(before)} -> {clean(after)}"
