"""What is in one thing, for people: a model, a lock, a fingerprint or an environment."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from envguard.model.artifact import Artifact, Loads, Revision, WrittenBy
from envguard.model.environment import Environment, Section
from envguard.model.findings import Gap
from envguard.model.fingerprint import Fingerprint
from envguard.model.lock import Lock
from envguard.reports.text import Screen, clean, pairs, plural, size

Thing = Artifact | Lock | Fingerprint | Environment


def render(thing: Thing, screen: Screen) -> list[str]:
    """The lines that describe *thing*."""
    match thing:
        case Artifact():
            return _artifact(thing, screen)
        case Lock():
            return _lock(thing, screen)
        case Fingerprint():
            return _fingerprint(thing, screen)
        case Environment():
            return _environment(thing, screen)


def _artifact(artifact: Artifact, screen: Screen) -> list[str]:
    return [
        *pairs(_identity(artifact), gap=1),
        *_needs(artifact, screen),
        *_gaps(artifact.gaps, screen),
    ]


def _identity(artifact: Artifact) -> list[tuple[str, str]]:
    return [
        ("model", artifact.name),
        ("digest", str(artifact.digest)),
        ("files", f"{plural(len(artifact.manifest), 'file')}, {size(artifact.size)}"),
        ("kinds", ", ".join(artifact.kinds) or "none understood"),
    ]


def _needs(artifact: Artifact, screen: Screen) -> list[str]:
    rows: list[tuple[str, str]] = []
    symbols: Counter[str] = Counter()
    for need in artifact.needs:
        match need:
            case WrittenBy(distribution=name, version=version, where=where):
                rows.append(("written by", f"{name} {version} ({where})"))
            case Revision(format=name, revision=revision):
                rows.append(("format", f"{name} {revision}"))
            case Loads(module=module):
                symbols[module.partition(".")[0]] += 1
    rows += [("loads", f"{top} ({plural(n, 'symbol')})") for top, n in symbols.most_common()]
    unique = list(dict.fromkeys(rows))
    return [screen.style("needs", "bold"), *pairs(unique, indent=2)] if unique else []


def _lock(lock: Lock, screen: Screen) -> list[str]:
    rows = [
        ("lock", lock.source),
        ("digest", str(lock.digest)),
        ("python", lock.requires_python or "any"),
        ("packages", str(len(lock.entries))),
    ]
    packages = [
        (entry.package.name, f"{entry.package.version or '?'}  {_when(entry.marker)}".rstrip())
        for entry in lock.entries
    ]
    return [*pairs(rows, gap=1), *pairs(packages, indent=2), *_gaps(lock.gaps, screen)]


def _when(marker: str | None) -> str:
    return f"; {marker}" if marker else ""


def _fingerprint(fingerprint: Fingerprint, screen: Screen) -> list[str]:
    identity = fingerprint.identity
    rows = [
        ("id", str(fingerprint.id)),
        ("lock", str(identity.lock)),
        ("python", identity.interpreter),
        ("platform", identity.platform),
    ]
    if git := fingerprint.provenance.git:
        state = {True: " with changes", False: "", None: " (changes not looked for)"}[git.dirty]
        rows.append(("git", f"{git.commit[:12]} {git.branch or ''}{state}"))
    return [
        *pairs([*rows, *_identity(fingerprint.artifact)], gap=1),
        *_needs(fingerprint.artifact, screen),
        *_packages(fingerprint.environment, screen),
        *_gaps((*fingerprint.artifact.gaps, *fingerprint.environment.gaps), screen),
    ]


def _environment(environment: Environment, screen: Screen) -> list[str]:
    rows = [("environment", environment.source)]
    interpreter, platform = environment.interpreter.value, environment.platform.value
    if interpreter:
        abi = f" ({interpreter.abi})" if interpreter.abi else ""
        rows.append(("python", f"{interpreter.implementation} {interpreter.version}{abi}"))
    if platform:
        libc = f", {platform.libc.family} {platform.libc.version}" if platform.libc else ""
        distribution = f", {platform.distribution}" if platform.distribution else ""
        rows.append(("platform", f"{platform.os} {platform.machine}{libc}{distribution}"))
    if environment.accelerator.value:
        gpu = environment.accelerator.value
        rows.append(("accelerator", f"{gpu.kind} driver {gpu.driver or '?'}"))
    gaps = _gaps(environment.gaps, screen)
    return [*pairs(rows), *_packages(environment, screen), *gaps]


def _packages(environment: Environment, screen: Screen) -> list[str]:
    packages = environment.packages.value or ()
    width = max((len(package.version or "?") for package in packages), default=0)
    rows = [
        (
            package.name,
            f"{package.version or '?':<{width}}  "
            + (f"content {package.content.short}" if package.content else "content not known")
            + (f"  {plural(len(package.modified), 'file')} changed" if package.modified else ""),
        )
        for package in packages
    ]
    title = screen.style(plural(len(packages), "package"), "bold")
    notes = _section_gap("packages", environment.packages)
    return [title, *pairs(rows, indent=2), *notes]


def _section_gap(name: str, section: Section[Any]) -> list[str]:
    return [f"  {name}: {clean(section.reason)}"] if section.reason else []


def _gaps(gaps: Sequence[Gap], screen: Screen) -> list[str]:
    lines = [screen.style("Not seen", "bold")] if gaps else []
    for gap in gaps:
        lines += screen.wrap(f"{clean(gap.subject)}: {clean(gap.reason)}", 2)
        lines += screen.wrap(f"fix: {clean(gap.fix)}", 4) if gap.fix else []
    return lines
