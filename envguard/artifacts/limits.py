"""How much one model file may cost to read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps for one file; passing one raises `LimitError`, which names it.

    *opcodes* counts the instructions of a pickle together with those nested in it;
    *decompressed* is in bytes; *ratio* is decompressed to compressed bytes, and counts only
    above *ratio_from* decompressed bytes, because small files of zeros are common.
    """

    opcodes: int = 1_000_000
    decompressed: int = 1 << 30
    ratio: int = 50
    ratio_from: int = 64 << 20
