"""The lines of a requirements file: encodings, continuations, comments, variables and options.

Follows pip, whose parser is the definition of the format (pip's "Requirements File Format"), and
refuses what pip itself drops without a word or what other readers see differently: words after an
option, options without effect, and characters that only some readers take for a line's end.
Nothing here knows what a requirement is.
"""

import codecs
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from optparse import Option, OptionParser

_BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
_NOT_CHARACTER_SETS = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7"}
)
_AMBIGUOUS = re.compile("[\0\v\f\x1c-\x1e\x85\u2028\u2029]")
_QUOTING = re.compile(r"[\"'\\]")
_SHELL_SPACE = re.compile(r"[ \t\r\n]+")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")

_WITH_VALUE = (
    ("-i", "--index-url", "--pypi-url"),
    ("--extra-index-url",),
    ("-c", "--constraint"),
    ("-r", "--requirement"),
    ("-e", "--editable"),
    ("-f", "--find-links"),
    ("--no-binary",),
    ("--only-binary",),
    ("--all-releases",),
    ("--only-final",),
    ("--trusted-host",),
    ("--use-feature",),
    ("--global-option",),
    ("--hash",),
    ("-C", "--config-settings"),
)
_FLAGS = ("--no-index", "--prefer-binary", "--require-hashes", "--no-require-hashes", "--pre")


class GrammarError(ValueError):
    """A line that is not in the grammar; the text says why, without quoting values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalLine:
    """A line after joining continuations: the number of its first line, and no comment."""

    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An option as given, by its long name; flags have no *value*."""

    name: str
    value: str | None


def decode(data: bytes) -> str:
    """The text of a file: by its byte order mark, its coding comment (PEP 263), else UTF-8.

    Raises `GrammarError`. pip falls back to the locale's encoding instead: a file whose meaning
    depends on the machine is refused here.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding)
    for line in data.split(b"\n", 2)[:2]:
        if line.startswith(b"#") and (match := _CODING.search(line)):
            return _decoded(data, match[1].decode("ascii"))
    return _decoded(data, "utf-8")


def _decoded(data: bytes, encoding: str) -> str:
    try:
        if codecs.lookup(encoding).name in _NOT_CHARACTER_SETS:
            raise GrammarError(f"{encoding} is no character set")
        return data.decode(encoding)
    except LookupError as error:
        raise GrammarError(f"unknown encoding {encoding[:40]!r}") from error
    except UnicodeError as error:
        raise GrammarError(f"is not {encoding}; name its encoding in a comment") from error


def logical_lines(text: str) -> Iterator[LogicalLine]:
    """The lines that say something, in order."""
    for number, line in _joined(text.splitlines()):
        if stated := _without_comment(line).strip():
            yield LogicalLine(number=number, text=stated)


def _joined(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Joins a line that ends in a backslash with the next one; comments never continue."""
    pieces: list[str] = []
    first = 0
    for number, line in enumerate(lines, 1):
        comment = line.lstrip().startswith("#")
        first = first if pieces else number
        if line.endswith("\\") and not comment:
            pieces.append(line.strip("\\"))
            continue
        # The space makes sure that a comment stays one behind the text that it is joined to.
        yield first, "".join((*pieces, f" {line}" if comment else line))
        pieces = []
    if pieces:
        yield first, "".join(pieces)


def _without_comment(line: str) -> str:
    """A comment begins with ``#`` at the start or after white space (linear on any input)."""
    at = line.find("#")
    while at > 0 and not line[at - 1].isspace():
        at = line.find("#", at + 1)
    return line if at < 0 else line[:at]


def ambiguous_lines(text: str) -> list[int]:
    """Numbers of the lines with a character that only some readers take for a line's end."""
    return [text.count("\n", 0, match.start()) + 1 for match in _AMBIGUOUS.finditer(text)]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """*text* with every ``${NAME}`` that *variables* holds; unknown and empty ones stay."""
    return _VARIABLE.sub(lambda match: variables.get(match[1]) or match[0], text)


def split(text: str) -> tuple[str, tuple[Given, ...]]:
    """The requirement at the start of a line (may be empty), and the options that follow.

    Options begin at the first word with a dash, so a marker keeps its quotes.
    Raises `GrammarError`.
    """
    words = text.split(" ")
    start = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    if start == len(words):
        return text, ()
    values, rest = _option_parser().parse_args(_arguments(" ".join(words[start:])))
    if rest:
        raise GrammarError("words after an option, which pip drops")
    return " ".join(words[:start]).strip(), tuple(values.given)


def _arguments(options: str) -> list[str]:
    """Words as a shell splits them; most options need no more than their white space."""
    if not _QUOTING.search(options):
        return [word for word in _SHELL_SPACE.split(options) if word]
    try:
        return shlex.split(options)
    except ValueError as error:
        raise GrammarError("a quote is not closed") from error


@cache
def _option_parser() -> "OptionParser":
    """pip reads options with optparse: abbreviations and ``-rFILE`` are part of the grammar."""
    from optparse import OptionParser

    class Strict(OptionParser):
        def error(self, msg: str) -> NoReturn:
            raise GrammarError(msg)

    parser = Strict(add_help_option=False, usage="")
    for names in _WITH_VALUE:
        parser.add_option(*names, action="callback", type="string", callback=_record)
    for name in _FLAGS:
        parser.add_option(name, action="callback", callback=_record)
    parser.set_defaults(given=())
    return parser


def _record(option: "Option", _: str, value: str | None, parser: Any) -> None:  # noqa: ANN401
    given = Given(name=option.get_opt_string(), value=value)
    parser.values.given = (*parser.values.given, given)
