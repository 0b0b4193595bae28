"""What is kept about bases is believed only when it is whole and of the same image."""

from dataclasses import replace
from pathlib import Path

import pytest

from envguard.images.base import read_base
from envguard.images.base_notes import BaseNotes, keep_notes, load_notes
from envguard.images.elf import Elf, PackageObject
from envguard.images.gzip_members import Compression
from envguard.images.host import host_base
from envguard.images.image import NewImage
from envguard.images.loader import Loader
from envguard.images.tree import ImageFiles
from envguard.model.digest import Digest
from tests.support.images import image_of_layers

_PREFIX = "opt/venv"
_ELF = Elf(machine="x86_64", bits=64, needed=("libc.so.6",), requires={"libc.so.6": ("G_1",)})
_OBJECT = PackageObject(package="a", path="a.so", elf=_ELF)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENVGUARD_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def image() -> NewImage:
    return image_of_layers(host_base(prefix=_PREFIX).entries, compression=Compression.PLAIN)


def _notes(image: NewImage) -> BaseNotes:
    facts = read_base(
        ImageFiles(image, cached=False),
        source="test",
        os="linux",
        architecture="amd64",
        environment={},
        prefix=_PREFIX,
        python=host_base(prefix=_PREFIX).facts.python,
    )
    return BaseNotes(facts=facts, objects={"00": _ELF, "11": None})


def test_notes_come_back_as_they_were(image: NewImage) -> None:
    notes = _notes(image)
    notes.note_fitting([_OBJECT])
    keep_notes(image, _PREFIX, notes)
    again = load_notes(image, _PREFIX)
    assert again == notes
    assert again.fit([_OBJECT])
    assert not again.fit([_OBJECT, _OBJECT])


def test_notes_are_of_one_image_and_prefix(image: NewImage) -> None:
    keep_notes(image, _PREFIX, _notes(image))
    assert load_notes(image, "opt/other") == BaseNotes()
    config = replace(image.config, created="2020-01-01T00:00:00Z")
    data = config.encode()
    descriptor = replace(image.manifest.config, digest=Digest.of(data))
    other = replace(image, manifest=replace(image.manifest, config=descriptor), config=config)
    assert load_notes(other, _PREFIX) == BaseNotes()


def test_damaged_notes_are_none(image: NewImage, cache: Path) -> None:
    keep_notes(image, _PREFIX, _notes(image))
    (kept,) = (path for path in cache.rglob("*") if path.is_file())
    data = bytearray(kept.read_bytes())
    data[-1] ^= 1
    for damaged in (bytes(data), b"", kept.read_bytes()[:-1]):
        kept.write_bytes(damaged)
        assert load_notes(image, _PREFIX) == BaseNotes()


def test_only_the_last_sets_of_objects_are_remembered() -> None:
    notes = BaseNotes()
    sets = [[replace(_OBJECT, package=f"p{number}")] for number in range(60)]
    for objects in sets:
        notes.note_fitting(objects)
    assert [notes.fit(objects) for objects in sets] == [False] * 10 + [True] * 50
    assert BaseNotes().fitting == []


def test_a_known_object_is_not_read_again(image: NewImage) -> None:
    program = host_base(prefix=_PREFIX).facts.python
    known: dict[str, Elf | None] = {}
    first = Loader(ImageFiles(image, cached=False), program, known).closure(())
    assert first.libraries
    assert len(known) > len(first.libraries)

    class Unopened(ImageFiles):
        def open(self, path: str):
            assert path.endswith("ld.so.cache")
            return super().open(path)

    assert Loader(Unopened(image, cached=False), program, known).closure(()) == first
