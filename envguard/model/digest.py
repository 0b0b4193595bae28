"""A content digest with its algorithm, as OCI writes it: ``sha256:<64 hex digits>``."""

import hashlib
import re
from collections.abc import Callable
from functools import total_ordering
from typing import ClassVar

_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


@total_ordering
class Digest:
    """An immutable digest; ``Digest.parse(str(digest)) == digest``.

    Source: OCI image specification, "Digests" (algorithm ``:`` encoded, lower-case hex).
    """

    __slots__ = ("algorithm", "hex")
    algorithm: str
    hex: str

    _GRAMMAR: ClassVar[re.Pattern[str]] = re.compile(r"(sha256|sha384|sha512):([0-9a-f]+)")

    def __init__(self, algorithm: str, hex: str) -> None:
        if _LENGTHS.get(algorithm) != len(hex):
            raise ValueError(f"not a digest: {algorithm}:{hex}")
        _SET_ALGORITHM(self, algorithm)
        _SET_HEX(self, hex)

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Read ``sha256:<hex>``. Raises `ValueError` for anything else."""
        match = cls._GRAMMAR.fullmatch(text)
        if not match:
            raise ValueError(f"not a digest (expected sha256:<64 hex digits>): {text[:80]!r}")
        return cls(match[1], match[2])

    @classmethod
    def of(cls, data: bytes) -> "Digest":
        """The sha256 of *data*."""
        return cls("sha256", hashlib.sha256(data).hexdigest())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Digest is immutable")

    def __reduce__(self) -> tuple[type["Digest"], tuple[str, str]]:
        return (Digest, (self.algorithm, self.hex))

    @property
    def short(self) -> str:
        """Twelve hex digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    def __repr__(self) -> str:
        return f"Digest({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Digest)
            and self.hex == other.hex
            and self.algorithm == other.algorithm
        )

    def __lt__(self, other: "Digest") -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash((self.algorithm, self.hex))


_SET_ALGORITHM: Callable[[Digest, str], None] = Digest.__dict__["algorithm"].__set__
_SET_HEX: Callable[[Digest, str], None] = Digest.__dict__["hex"].__set__
"""The slots themselves: there are tens of thousands of digests in an environment."""
