"""A comparison of two environments for people: worst first, readable at 80 columns."""

from envguard.model.findings import Change, Comparison, Finding, Gap, Severity
from envguard.reports.text import Screen, clean, plural

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_DETAILS = 10


def render(comparison: Comparison, screen: Screen, *, model: str | None = None) -> list[str]:
    """The lines of the report; *model* names the model whose needs decided the severities."""
    lines = [screen.style(f"{clean(comparison.before)} -> {clean(comparison.after)}", "bold")]
    if model:
        lines.append(f"judged for the model {clean(model)}")
    lines.append("")
    brief = [finding for finding in comparison.findings if _is_brief(finding)]
    for finding in comparison.findings:
        if finding not in brief:
            lines += _finding(finding, screen)
    lines += _together(brief, screen)
    if comparison.gaps:
        lines += [screen.style("Not seen", "bold")]
        for (why, fix), gaps in _by_reason(comparison.gaps).items():
            lines += _gaps(why, fix, gaps, screen)
    for reason, subjects in _not_compared(comparison).items():
        lines += screen.wrap(f"not compared: {', '.join(subjects)} ({clean(reason)})", 0)
    if comparison.findings or comparison.gaps or comparison.not_compared:
        lines.append("")
    lines.append(_summary(comparison, screen))
    return lines


def _is_brief(finding: Finding) -> bool:
    """Whether a name says it all: a package that one side alone has and the model does not name."""
    return finding.severity is Severity.NOTE and finding.change is Change.EXTRA


def _together(findings: list[Finding], screen: Screen) -> list[str]:
    if not findings:
        return []
    label = screen.style(f"{Severity.NOTE:<7}", _COLOURS[Severity.NOTE])
    count = plural(len(findings), "package")
    names = ", ".join(clean(f"{found.subject} {found.after}") for found in findings)
    head = f"{label}  {count} only the second side has, and the model does not name"
    return [head, *screen.wrap(names, 9)]


def _finding(finding: Finding, screen: Screen) -> list[str]:
    label = screen.style(f"{finding.severity:<7}", _COLOURS[finding.severity])
    change = f"{clean(finding.before or 'absent')} -> {clean(finding.after or 'absent')}"
    head = f"{label}  {screen.style(clean(finding.subject), 'bold')}  {change}"
    reason = finding.reason
    if finding.needed is not None:
        reason += "; the model needs it" if finding.needed else "; the model does not name it"
    lines = [head, *screen.wrap(clean(reason), 9)]
    lines += [f"           {clean(detail)}" for detail in finding.details[:_DETAILS]]
    if len(finding.details) > _DETAILS:
        lines.append(f"           and {plural(len(finding.details) - _DETAILS, 'more file')}")
    if finding.fix:
        lines += screen.wrap(f"fix: {clean(finding.fix)}", 9)
    return lines


def _by_reason(gaps: tuple[Gap, ...]) -> dict[tuple[str, str | None], list[Gap]]:
    grouped: dict[tuple[str, str | None], list[Gap]] = {}
    for gap in gaps:
        grouped.setdefault((gap.reason, gap.fix), []).append(gap)
    return grouped


def _gaps(reason: str, fix: str | None, gaps: list[Gap], screen: Screen) -> list[str]:
    subjects = ", ".join(clean(gap.subject) for gap in gaps[:_DETAILS])
    if len(gaps) > _DETAILS:
        subjects += f" and {len(gaps) - _DETAILS} more"
    lines = [*screen.wrap(subjects, 2), *screen.wrap(clean(reason), 4)]
    return lines + (screen.wrap(f"fix: {clean(fix)}", 4) if fix else [])


def _not_compared(comparison: Comparison) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for left_out in comparison.not_compared:
        grouped.setdefault(left_out.reason, []).append(clean(left_out.subject))
    return grouped


def _summary(comparison: Comparison, screen: Screen) -> str:
    looked = f"{plural(comparison.packages, 'package')} compared"
    if comparison.equal:
        return screen.style("equal", "green") + f": {looked}"
    counts = [
        plural(sum(finding.severity is severity for finding in comparison.findings), severity)
        for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
        if any(finding.severity is severity for finding in comparison.findings)
    ]
    if comparison.gaps:
        counts.append(plural(len(comparison.gaps), "gap"))
    word, colour = ("different", "red") if comparison.findings else ("unknown", "yellow")
    return screen.style(word, colour) + f": {', '.join(counts)}; {looked}"
