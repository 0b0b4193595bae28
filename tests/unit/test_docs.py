"""The documentation says what the commands do: options, links, codes, keys and severities."""

import dataclasses
import re
import shlex
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
import typer

from envguard.cli.app import app
from envguard.compare import policy
from envguard.compare.unowned import compare_unowned
from envguard.model import artifact, built, environment, findings, lock, package
from envguard.model.environment import UnownedFile, UnownedKind
from envguard.model.errors import ExitCode
from envguard.model.findings import Area, Change, Severity

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "changelog").rglob("*.md")],
    key=lambda path: path.relative_to(ROOT),
)
# Spelled so that this file does not hold them.
HOSTS = [name.replace("_", ".") for name in (
    "pypi_org", "pythonhosted_org", "debian_org", "npmjs_", "anaconda_", "docker_io/", "ghcr_io",
    "quay_io",
)]  # fmt: skip

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_CALL = re.compile(r"(?:^\s*(?:\$|- run:)?\s*)(envguard\s.*)$")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def options() -> dict[str, dict[str, bool]]:
    """The options of each command, and whether each takes a value; ``""`` is envguard itself."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("envguard", [], resilient_parsing=True)
    commands = {name: _options(one, context) for name, one in group.commands.items()}
    return {"": _options(group), **commands}


def _options(command: Any, parent: Any = None) -> dict[str, bool]:
    context = command.make_context("command", [], parent=parent, resilient_parsing=True)
    return {
        name: not option.is_flag
        for option in command.get_params(context)
        if option.param_type_name == "option"
        for name in option.opts
    }


def calls(text: str) -> Iterator[list[str]]:
    """The words of every line in a code block that calls ``envguard``."""
    for _, language, block in _FENCE.findall(text):
        if language in ("console", "sh", "yaml"):
            for line in block.splitlines():
                if match := _CALL.match(line):
                    yield shlex.split(match[1])


def problem(words: list[str]) -> str | None:
    """What is wrong with a call of ``envguard``, or ``None``."""
    _, *rest = words
    name = "" if rest[0].startswith("-") else rest.pop(0)
    if name not in options():
        return f"no command {name}"
    known, arguments, words_left = options()[name], 0, iter(rest)
    for word in words_left:
        if not word.startswith("-"):
            arguments += 1
        elif word not in known:
            return f"{name} has no option {word}"
        elif known[word] and next(words_left, "-").startswith("-"):
            return f"{name} {word} needs a value"
    least = {"": 0, "diff": 2}.get(name, 1)
    most = {"": 0, "diff": 2, "lock": 99}.get(name, 1)
    return None if least <= arguments <= most else f"{name} with {arguments} arguments"


@pages
def test_every_command_that_is_shown_exists(page: Path) -> None:
    found = {" ".join(words): problem(words) for words in calls(page.read_text())}
    assert {call: wrong for call, wrong in found.items() if wrong} == {}


def test_the_check_of_commands_can_fail() -> None:
    text = "```console\n$ envguard diff a b --wat\n$ envguard verify x\n$ envguard lock\n```\n"
    assert [problem(words) for words in calls(text)] == [
        "diff has no option --wat",
        "no command verify",
        "lock with 0 arguments",
    ]
    assert sum(1 for page in PAGES for _ in calls(page.read_text())) > 40


@pytest.mark.parametrize("command", ["lock", "fingerprint", "build", "diff", "inspect"])
def test_option_tables_are_complete(command: str) -> None:
    text = (DOCS / "reference" / f"{command}.md").read_text()
    first_cells = re.findall(r"^\| (`-[^|]+) \|", text, re.MULTILINE)
    told = {name for cell in first_cells for name in re.findall(r"`(-[^`]+)`", cell)}
    assert told == options()[command].keys()


def test_every_command_has_a_page_and_the_commands_own_options_are_told() -> None:
    text = (DOCS / "reference" / "index.md").read_text()
    assert {name for name in options() if name} == set(re.findall(r"\[`envguard (\w+)`\]", text))
    assert [name for name in options()[""] if f"`{name}`" not in text] == []


@pages
def test_links_lead_somewhere(page: Path) -> None:
    assert [target for target in _targets(page) if not _resolves(page, target)] == []


def _targets(page: Path) -> list[str]:
    return _LINK.findall(_FENCE.sub("", page.read_text()))


def _resolves(page: Path, target: str) -> bool:
    if re.match(r"[a-z]+:", target):
        return target.startswith("https://")
    path, _, anchor = target.partition("#")
    found = page.parent / unquote(path) if path else page
    return found.exists() and (not anchor or anchor in _anchors(found))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_schema_of_fingerprints_is_linked() -> None:
    schema = (DOCS / "reference" / "fingerprint.schema.json").resolve()
    linking = [
        page
        for page in PAGES
        for target in _targets(page)
        if (page.parent / target.partition("#")[0]).resolve() == schema
    ]
    assert schema.is_file()
    assert linking


def test_every_page_is_in_the_navigation() -> None:
    told = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert told == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}


def test_no_registry_is_named() -> None:
    suffixes = {".py", ".md", ".toml", ".yml", ".yaml", ".txt", ".json", ".in"}
    folders = ("envguard", "docs", "changelog", "templates", "tests", "lockfiles")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files += [path for path in ROOT.iterdir() if path.name == "Makefile" or path.suffix in suffixes]
    texts = {
        path: path.read_text()
        for path in files
        if path.is_file() and (path.suffix in suffixes or path.name == "Makefile")
    }
    assert len(texts) > 100
    assert [
        (str(path.relative_to(ROOT)), host)
        for path, text in texts.items()
        for host in HOSTS
        if host in text
    ] == []


@pages
def test_no_path_of_a_writers_machine_is_shown(page: Path) -> None:
    assert re.findall(r"/(?:home|root|tmp|Users|work)/\w+", page.read_text()) == []


def test_every_exit_code_is_told() -> None:
    text = (DOCS / "reference" / "exit-codes.md").read_text()
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == {
        *ExitCode,
        128 + signal.SIGPIPE,
    }


@pytest.mark.parametrize(
    "kind",
    [
        findings.Finding, findings.Gap, findings.NotCompared, findings.Comparison,
        built.Built, built.BuiltLayer,
        artifact.Artifact, artifact.ManifestEntry, artifact.Where,
        artifact.WrittenBy, artifact.Loads, artifact.Revision,
        environment.Environment, environment.Section, environment.Interpreter,
        environment.Platform, environment.Libc, environment.UnownedFile,
        lock.Lock, lock.LockEntry, package.Package, package.Archive,
    ],
)  # fmt: skip
def test_every_key_of_json_output_is_told(kind: type) -> None:
    text = (DOCS / "reference" / "json-output.md").read_text()
    fields = (
        dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else msgspec.structs.fields(kind)
    )
    assert [field.name for field in fields if f"`{field.name}`" not in text] == []


def test_every_schema_of_json_output_is_told() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "envguard" / "cli").glob("*.py"))
    used = set(re.findall(r'"(envguard\.\w+/\d+)"', sources))
    text = (DOCS / "reference" / "json-output.md").read_text()
    assert used
    assert used == set(re.findall(r"^## .*(envguard\.\w+/\d+)$", text, re.MULTILINE))


def test_every_variable_that_is_read_is_told() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "envguard").rglob("*.py"))
    used = set(re.findall(r'environ(?:\.get\(|\[)"(\w+)"|"(\w+)" in os\.environ', sources))
    text = (DOCS / "reference" / "files.md").read_text()
    names = {first or second for first, second in used}
    assert "ENVGUARD_CACHE_DIR" in names
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def test_the_policy_is_told_as_it_is() -> None:
    text = (DOCS / "explanation" / "default-policy.md").read_text()
    rows = re.findall(r"^\| ([\w ]+) \| (note|warning|error) \|", text, re.MULTILINE)
    assert dict(rows) == {subject: _severity(subject) for subject, _ in rows}
    packages = {f"package {change}" for change in set(Change) - {Change.UNOWNED}}
    unowned = {f"unowned {kind}" for kind in UnownedKind}
    assert {subject for subject, _ in rows} >= {"model", *packages, *unowned}


def _severity(subject: str) -> Severity:
    kind, _, rest = subject.partition(" ")
    match kind:
        case "package":
            return policy.severity(Area.PACKAGES, Change(rest), "numpy")
        case "unowned":
            file = UnownedFile(path="lib/helpers.py", kind=UnownedKind(rest), why="")
            (finding,) = compare_unowned((), (file,))
            return finding.severity
        case "model":
            return policy.severity(Area.ARTIFACT, Change.CONTENT, subject)
        case _:
            return policy.severity(Area.PLATFORM, Change.VERSION, subject)
