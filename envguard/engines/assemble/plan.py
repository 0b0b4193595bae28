"""Which layers an image has, lowest first, and what decides the bytes of each.

Order: the base's own layers; the skeleton of the venv; every wheel of 1 MiB or more in a layer of
its own, by size and name; the small wheels for any platform; the small wheels for this one; the
model; what describes the image. Whether a wheel stands alone is a property of the wheel, so that
images share their layers whatever else is in them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envguard.formats.canonical import JsonValue, dumps
from envguard.images.gzip_members import Compression
from envguard.images.layer import FileSource, LayerEntry, LayerFile, LayerFolder, LayerLink
from envguard.images.zip_members import ZipSource
from envguard.model.artifact import ManifestEntry
from envguard.model.digest import Digest
from envguard.model.environment import Interpreter
from envguard.model.package import Package
from envguard.wheels.archive import Wheel
from envguard.wheels.content import cached_content
from envguard.wheels.unpack import plan as unpack_plan
from envguard.wheels.vault import Vault
from envguard.wheels.zip import Member

SCHEMA = 1
"""Raised whenever the same inputs give other bytes, so that a stored layer is not mixed in."""

VENV = "opt/venv"
MODEL = "opt/model"
ABOUT = "opt/envguard"

_ALONE_FROM = 1 << 20
_OWN_MODEL_LAYER_FROM = 512 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """One layer to make: *inputs* decide its bytes, *entries* gives them."""

    title: str
    inputs: JsonValue
    entries: Callable[[], Iterable[LayerEntry]]
    compression: Compression = Compression.HYBRID
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Digest:
        """The digest of all that decides the layer's bytes."""
        return Digest.of(
            dumps({"schema": SCHEMA, "profile": self.compression.profile, "inputs": self.inputs})
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedWheel:
    """A wheel in the vault with the package that it installs."""

    package: Package
    path: Path
    filename: str
    digest: Digest
    size: int

    @property
    def title(self) -> str:
        """``numpy==1.26.4``."""
        return f"{self.package.name}=={self.package.version}"


def skeleton(interpreter: Interpreter, python: str) -> LayerPlan:
    """The venv around *python* (its absolute path in the image), without running anything."""
    minor = interpreter.minor
    home = python.rpartition("/")[0]
    config = (
        f"home = {home}\ninclude-system-site-packages = false\n"
        f"version = {interpreter.version}\nexecutable = {python}\n"
    )

    def entries() -> Iterator[LayerEntry]:
        yield LayerFile(path=f"{VENV}/pyvenv.cfg", source=config.encode())
        yield LayerLink(path=f"{VENV}/bin/python", target=python)
        yield LayerLink(path=f"{VENV}/bin/python3", target="python")
        yield LayerLink(path=f"{VENV}/bin/python{minor}", target="python")
        yield LayerLink(path=f"{VENV}/lib64", target="lib")
        yield LayerFolder(path=f"{VENV}/lib/python{minor}/site-packages")

    inputs: JsonValue = {"kind": "skeleton", "python": python, "version": interpreter.version}
    return LayerPlan(title="venv", inputs=inputs, entries=entries)


def wheel_layers(wheels: Sequence[PinnedWheel], minor: str, vault: Vault) -> list[LayerPlan]:
    """The layers of *wheels*, which lie in *vault*, for Python *minor* (``3.11``)."""
    alone = [wheel for wheel in wheels if wheel.size >= _ALONE_FROM]
    alone.sort(key=lambda wheel: (-wheel.size, wheel.package.name))
    small = sorted((w for w in wheels if w.size < _ALONE_FROM), key=lambda w: w.package.name)
    anywhere = [wheel for wheel in small if wheel.filename.endswith("-none-any.whl")]
    here = [wheel for wheel in small if wheel not in anywhere]
    groups = [*([wheel] for wheel in alone), anywhere, here]
    return [_wheel_layer(group, minor, vault) for group in groups if group]


def _wheel_layer(group: Sequence[PinnedWheel], minor: str, vault: Vault) -> LayerPlan:
    def entries() -> Iterator[LayerEntry]:
        for wheel in group:
            yield from _wheel_entries(wheel, minor, vault)

    pins = [f"{wheel.title}@{wheel.digest}" for wheel in group]
    return LayerPlan(
        title=group[0].title if len(group) == 1 else f"{len(group)} small packages",
        inputs={
            "kind": "wheels",
            "prefix": VENV,
            "python": minor,
            "wheels": [str(wheel.digest) for wheel in group],
        },
        entries=entries,
        annotations={"dev.envguard.wheels": " ".join(pins)},
    )


def _wheel_entries(pinned: PinnedWheel, minor: str, vault: Vault) -> Iterator[LayerEntry]:
    members = cached_content(vault, pinned.digest, pinned.filename).members
    with Wheel.open(pinned.path, filename=pinned.filename) as wheel:
        for placed in unpack_plan(wheel, members, prefix=VENV, python_minor=minor):
            match placed.source:
                case Member() as member:
                    source: ZipSource | bytes = ZipSource(
                        path=pinned.path,
                        offset=member.offset,
                        compressed_size=member.compressed_size,
                        size=member.size,
                        crc32=member.crc32,
                        deflated=member.method == "deflated",
                        digest=placed.digest,
                    )
                case bytes() as data:
                    source = data
            yield LayerFile(path=placed.path, source=source, executable=placed.executable)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """A model below *folder* on this machine; in the image it lies in *prefix*."""

    folder: Path
    prefix: str
    manifest: tuple[ManifestEntry, ...]


def model_layers(model: ModelFiles) -> list[LayerPlan]:
    """The layers of *model*; a file of 512 MiB or more has one of its own.

    They are not compressed: weights do not compress, and one hash serves as digest and diff ID.
    """
    manifest = model.manifest
    large = [[entry] for entry in manifest if entry.size >= _OWN_MODEL_LAYER_FROM]
    rest = [entry for entry in manifest if entry.size < _OWN_MODEL_LAYER_FROM]
    return [_model_layer(model, group) for group in [*large, rest] if group]


def _model_layer(model: ModelFiles, group: Sequence[ManifestEntry]) -> LayerPlan:
    def entries() -> Iterator[LayerEntry]:
        for entry in group:
            yield LayerFile(
                path=f"{model.prefix}/{entry.path}",
                source=FileSource(
                    path=model.folder / entry.path, size=entry.size, digest=entry.digest
                ),
                executable=entry.executable,
            )

    return LayerPlan(
        title="model",
        inputs={
            "kind": "model",
            "prefix": model.prefix,
            "files": [[entry.path, entry.executable, str(entry.digest)] for entry in group],
        },
        entries=entries,
        compression=Compression.PLAIN,
    )


def about_layer(documents: Mapping[str, bytes]) -> LayerPlan:
    """What describes the image: small files by name."""

    def entries() -> Iterator[LayerEntry]:
        for name, data in documents.items():
            yield LayerFile(path=f"{ABOUT}/{name}", source=data)

    digests: JsonValue = {name: str(Digest.of(data)) for name, data in documents.items()}
    return LayerPlan(title="about", inputs={"kind": "about", "files": digests}, entries=entries)
