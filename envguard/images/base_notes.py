"""What was found out about base images, kept between runs: an unchanged base is not read again.

Facts are a function of the layers and the configuration, and an object's needs are one of its
bytes, so both are kept by digests; `envguard.images.sealed` says when they are believed.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.msgpack import encode

from envguard import storage
from envguard.images import sealed
from envguard.images.base import BaseFacts
from envguard.images.elf import Elf, PackageObject
from envguard.images.image import Image
from envguard.model.digest import Digest

_VERSION = "1"
"""Raise it when facts or objects mean something else, or are found in another way."""

_MOST_FITTING = 50


class BaseNotes(Struct):
    """*facts* about a base, once they are known, and its *objects* by sha256 in hexadecimal.

    An object is ``None`` where the file is no ELF object. *fitting* are the digests of the objects
    of wheels that were found to have all they need there.
    """

    facts: BaseFacts | None = None
    objects: dict[str, Elf | None] = {}
    fitting: list[str] = []

    def fit(self, objects: Sequence[PackageObject]) -> bool:
        """Whether exactly these *objects* are known to have all they need."""
        return _digest(objects) in self.fitting

    def note_fitting(self, objects: Sequence[PackageObject]) -> None:
        """Remember that *objects* have all they need, and forget who was remembered long ago."""
        self.fitting = [*self.fitting[1 - _MOST_FITTING :], _digest(objects)]


def load_notes(image: Image, prefix: str) -> BaseNotes:
    """What is known of *image* as a base for what is put at *prefix*; empty when nothing is."""
    return sealed.load(_path(image, prefix), BaseNotes) or BaseNotes()


def keep_notes(image: Image, prefix: str, notes: BaseNotes) -> None:
    """Keep *notes* for the next run, where they can be kept."""
    sealed.keep(_path(image, prefix), notes)


def _path(image: Image, prefix: str) -> Path:
    """By all that facts are read from; names and tags of an image are not among it."""
    layers = [str(layer.digest) for layer in image.manifest.layers]
    key = Digest.of(encode([prefix, str(image.manifest.config.digest), layers]))
    return storage.cache_folder() / "bases" / f"v{_VERSION}" / key.hex


def _digest(objects: Sequence[PackageObject]) -> str:
    return Digest.of(encode(objects)).hex
