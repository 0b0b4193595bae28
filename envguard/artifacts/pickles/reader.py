"""Reads a pickle or a joblib file into needs and gaps."""

from typing import BinaryIO

from envguard.artifacts.limits import Limits
from envguard.artifacts.pickles import arrays
from envguard.artifacts.pickles.loader import Facts, Loader
from envguard.artifacts.pickles.source import Source
from envguard.artifacts.reading import Reading, gap
from envguard.model.artifact import Loads, Need, Revision, Where, WrittenBy


def read(stream: BinaryIO, path: str, limits: Limits) -> Reading:
    """Read one pickle that fills *stream*; offsets count its (decompressed) bytes.

    Raises `UnreadableError` for a damaged pickle and `LimitError` for one with too many opcodes.
    """
    facts = Facts()
    source = Source(stream, path)
    arrays.run(Loader(source, facts, iter(range(limits.opcodes))), limits.opcodes)
    if not source.at_end():
        raise source.damaged("bytes follow its end")
    return Reading(
        kind="joblib" if facts.arrays else "pickle",
        needs=_needs(facts, path),
        gaps=tuple(
            gap(path, f"{reason} (at byte {offset})") for reason, offset in facts.gaps.items()
        ),
    )


def _needs(facts: Facts, path: str) -> tuple[Need, ...]:
    loads = [
        Loads(module=g.module, name=g.name, where=Where(path=path, offset=g.offset))
        for g in facts.globals.values()
    ]
    written_by = [
        WrittenBy(distribution=distribution, version=version, where=Where(path=path, offset=offset))
        for (distribution, version), offset in facts.versions.items()
    ]
    revision = Revision(
        format="pickle", revision=str(facts.protocol), where=Where(path=path, offset=0)
    )
    return (revision, *written_by, *loads)
