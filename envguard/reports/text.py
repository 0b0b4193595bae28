"""The pieces of a report for people: escaped text, aligned columns, wrapped lines, colour.

Everything that comes from outside passes through `clean` before it reaches a terminal.
"""

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_SGR = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Where text goes: its *width* in columns, and whether it shows colour."""

    width: int = 80
    colour: bool = False

    def style(self, text: str, name: str) -> str:
        """*text* in a colour or weight, where the screen shows any."""
        return f"\x1b[{_SGR[name]}m{text}\x1b[0m" if self.colour and text else text

    def wrap(self, text: str, indent: int) -> list[str]:
        """*text* in lines that fit, all of them indented by *indent* columns."""
        space = " " * indent
        return textwrap.wrap(
            text,
            width=max(self.width, indent + 20),
            initial_indent=space,
            subsequent_indent=space,
            break_on_hyphens=False,
            break_long_words=False,
        )


def clean(text: str) -> str:
    """*text* without anything that a terminal would obey: controls and bidirectional marks."""
    return _BIDI.sub(
        "\N{REPLACEMENT CHARACTER}",
        "".join(
            "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in ("Cc", "Cs") else char
            for char in text
        ),
    )


def pairs(rows: Sequence[tuple[str, str]], *, indent: int = 0, gap: int = 2) -> list[str]:
    """Two columns: names, and values aligned *gap* columns behind the longest name."""
    width = max((len(clean(name)) for name, _ in rows), default=0) + gap
    return [f"{' ' * indent}{clean(name):<{width}}{clean(value)}".rstrip() for name, value in rows]


def size(count: int) -> str:
    """*count* bytes for people: ``512 B``, ``4.2 MiB``."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def plural(count: int, noun: str) -> str:
    """``1 file``, ``3 files``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
