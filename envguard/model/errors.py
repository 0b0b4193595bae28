"""Every error a user can meet, and the exit code each one ends in.

EnvguardError
+-- UsageError        2  the request itself cannot be understood or does not fit
+-- MismatchError     1  two things that must agree do not
+-- UnreadableError   3  something could not be inspected
|   +-- LimitError    3  ... because it passes a stated limit
|   +-- ToolError     3  ... because a program that envguard drives failed
+-- IntegrityError    4  a digest or signature is wrong
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit code says; 4 beats 1 beats 3 beats 0."""

    OK = 0
    MISMATCH = 1
    USAGE = 2
    UNREADABLE = 3
    INTEGRITY = 4
    INTERRUPTED = 130
    TERMINATED = 143

    @classmethod
    def worst(cls, *codes: "ExitCode") -> "ExitCode":
        """The code that wins when several hold at once."""
        order = (cls.OK, cls.UNREADABLE, cls.MISMATCH, cls.INTEGRITY)
        return max(codes, key=order.index, default=cls.OK)


class EnvguardError(Exception):
    """An error that says where, what was expected, what was found and what to do."""

    exit_code: ExitCode = ExitCode.UNREADABLE

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.expected = expected
        self.found = found
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return place + self.message


class UsageError(EnvguardError):
    """The request itself cannot be understood or does not fit."""

    exit_code = ExitCode.USAGE


class MismatchError(EnvguardError):
    """Two things that must agree do not."""

    exit_code = ExitCode.MISMATCH


class UnreadableError(EnvguardError):
    """Something could not be inspected."""

    exit_code = ExitCode.UNREADABLE


class LimitError(UnreadableError):
    """An input passes a stated limit on its size, ratio, depth or count."""


class ToolError(UnreadableError):
    """A program that envguard drives (uv, pip-tools, git, a Docker engine) failed."""


class IntegrityError(EnvguardError):
    """A digest or signature is wrong: these are not the bytes that were pinned."""

    exit_code = ExitCode.INTEGRITY
