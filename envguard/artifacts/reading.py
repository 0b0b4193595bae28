"""What a reader of one format takes and gives."""

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from envguard.artifacts.limits import Limits
from envguard.model.artifact import Need
from envguard.model.findings import Area, Gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one file says: its kind (``None`` when it was not understood), needs and gaps."""

    kind: str | None
    needs: tuple[Need, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @classmethod
    def not_understood(cls, path: str, what: str) -> "Reading":
        """The reading of a file that no reader understands; *what* is known about it."""
        return cls(kind=None, gaps=(gap(path, f"not understood: {what}"),))


class Reader(Protocol):
    """Reads one file of one format, from the start of *stream*; *path* is for messages.

    Raises `UnreadableError` for a damaged file and `LimitError` for one that costs too much.
    """

    def __call__(self, stream: BinaryIO, path: str, limits: Limits) -> Reading:
        """Read the whole of *stream*."""
        ...


def gap(path: str, reason: str) -> Gap:
    """A gap in what is known about the file at *path*."""
    return Gap(area=Area.ARTIFACT, subject=path, reason=reason)
