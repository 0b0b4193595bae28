"""Reads a model: the manifest of its files, and what each file that is understood says."""

import io
from collections.abc import Mapping
from functools import partial
from typing import BinaryIO, cast

from envguard.artifacts import manifest
from envguard.artifacts.compressed import CODECS, Codec, Decompressed
from envguard.artifacts.limits import Limits
from envguard.artifacts.pickles import reader as pickles
from envguard.artifacts.pickles.source import CHUNK
from envguard.artifacts.reading import Reader, Reading, gap
from envguard.artifacts.recognise import HEAD, format_of
from envguard.model.artifact import Artifact
from envguard.model.errors import UnreadableError
from envguard.model.files import Files
from envguard.model.progress import Progress, silent

_DEFAULT = Limits()


def read(
    files: Files,
    name: str,
    *,
    progress: Progress = silent,
    limits: Limits = _DEFAULT,
    keep_damaged: bool = False,
) -> Artifact:
    """Read the model *name* whose files are *files*; nothing of it is run.

    Every file that is not understood is a gap. Raises `UnreadableError` naming every file that is
    damaged or passes *limits* (`LimitError`, when it is the only one); with *keep_damaged* these
    are gaps too.
    """
    entries = manifest.build(files, progress=progress)
    readings: list[Reading] = []
    errors: list[UnreadableError] = []
    for done, entry in enumerate(entries):
        progress("reading the model", done, len(entries))
        try:
            readings.append(read_file(files, entry.path, limits))
        except UnreadableError as error:
            errors.append(error)
            readings.append(Reading(kind=None, gaps=(gap(entry.path, str(error)),)))
    progress("reading the model", len(entries), len(entries))
    if errors and not keep_damaged:
        raise errors[0] if len(errors) == 1 else _together(errors)
    return Artifact(
        name=name,
        digest=manifest.digest(entries),
        manifest=entries,
        kinds=tuple(sorted({reading.kind for reading in readings if reading.kind})),
        needs=tuple(need for reading in readings for need in reading.needs),
        gaps=tuple(gap for reading in readings for gap in reading.gaps),
    )


def read_file(files: Files, path: str, limits: Limits = _DEFAULT) -> Reading:
    """Read one file of a model with the reader of its format."""
    with files.open(path) as stream:
        head = stream.read(HEAD)
    with files.open(path) as stream:
        return _read_stream(stream, head, path, limits)


def _read_stream(stream: BinaryIO, head: bytes, path: str, limits: Limits) -> Reading:
    format_name = format_of(head)
    if format_name is None:
        return Reading.not_understood(path, "a format that envguard does not know")
    if format_name not in READERS:
        return Reading.not_understood(path, format_name)
    return READERS[format_name](stream, path, limits)


def _read_perhaps_pickle(stream: BinaryIO, path: str, limits: Limits) -> Reading:
    """Text can begin like a pickle of protocol 0: only one that ends as a pickle is one."""
    try:
        return pickles.read(stream, path, limits)
    except UnreadableError as error:
        return Reading.not_understood(
            path, f"a format that envguard does not know, and not a pickle ({error})"
        )


def _read_compressed(codec: Codec, stream: BinaryIO, path: str, limits: Limits) -> Reading:
    inner = io.BufferedReader(Decompressed(stream, codec, path, limits), CHUNK)
    try:
        head = inner.peek(HEAD)[:HEAD]
    except UnreadableError as error:
        if codec.certain:
            raise
        return Reading.not_understood(path, f"perhaps {codec.name} data ({error})")
    if format_of(head) not in ("pickle", "perhaps pickle"):
        return Reading.not_understood(path, f"{codec.name}-compressed {format_of(head) or 'data'}")
    reading = _read_stream(cast("BinaryIO", inner), head, path, limits)
    return Reading(
        kind=reading.kind and f"{reading.kind}+{codec.name}",
        needs=reading.needs,
        gaps=reading.gaps,
    )


READERS: Mapping[str, Reader] = {
    "pickle": pickles.read,
    "perhaps pickle": _read_perhaps_pickle,
    **{codec.name: partial(_read_compressed, codec) for codec in CODECS},
}
"""The reader of each format that is understood, by the name that `recognise` gives it."""


def _together(errors: list[UnreadableError]) -> UnreadableError:
    return UnreadableError("; ".join(str(error) for error in errors))
