"""What an image stands on: a Python of this machine, or an image that has one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from envguard.engines.assemble.plan import VENV, LayerPlan
from envguard.images.base import BaseFacts, check_base, read_base
from envguard.images.base_notes import BaseNotes, keep_notes, load_notes
from envguard.images.elf import PackageObject
from envguard.images.host import HostBase, host_base
from envguard.images.image import Image
from envguard.images.loader import Loader
from envguard.images.objects import check_objects
from envguard.images.tree import ImageFiles
from envguard.model.environment import Environment
from envguard.model.errors import MismatchError
from envguard.model.progress import Progress
from envguard.model.target import Target

_APP_USER = "65532:65532"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base that fits: *layers* have still to be made (a host base), *image* is there already."""

    facts: BaseFacts
    image: Image | None = None
    layers: tuple[LayerPlan, ...] = ()
    user: str | None = None


class Ground(Protocol):
    """What a base is chosen from: its *target* is known before the wheels, the rest after."""

    @property
    def target(self) -> Target:
        """The Python and platform to select wheels for."""
        ...

    def prepare(self, wanted: Environment, objects: Sequence[PackageObject]) -> Base:
        """The base for *wanted*, whose wheels hold *objects*; `MismatchError` where unfit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGround:
    """The Python that envguard runs on."""

    target: Target

    def prepare(self, wanted: Environment, objects: Sequence[PackageObject]) -> Base:
        """See `Ground`."""
        base = host_base(prefix=VENV, objects=objects)
        check_base(base.facts, wanted)
        missing = [f"no {item.name} for {', '.join(item.needed_by)}" for item in base.missing]
        _check_libraries("--base host", missing)
        return Base(facts=base.facts, layers=(_host_layer(base),), user=_APP_USER)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGround:
    """An image that has a Python."""

    image: Image
    files: ImageFiles
    facts: BaseFacts
    notes: BaseNotes

    @classmethod
    def of(cls, image: Image, source: str, progress: Progress) -> "ImageGround":
        """Read what matters of *image*, named *source*; nothing of it is run."""
        files, notes = ImageFiles(image, progress=progress), load_notes(image, VENV)
        facts = notes.facts or _read_facts(image, files, source)
        return cls(image=image, files=files, facts=replace(facts, source=source), notes=notes)

    @property
    def target(self) -> Target:
        """See `Ground`."""
        return Target(interpreter=self.facts.interpreter, platform=self.facts.platform)

    def prepare(self, wanted: Environment, objects: Sequence[PackageObject]) -> Base:
        """See `Ground`."""
        check_base(self.facts, wanted)
        if not self.notes.fit(objects):
            loader = Loader(self.files, self.facts.python, self.notes.objects)
            problems = [str(problem) for problem in check_objects(objects, loader)]
            _check_libraries(self.facts.source, problems)
            self.notes.facts = self.facts
            self.notes.note_fitting(objects)
            keep_notes(self.image, VENV, self.notes)
        return Base(facts=self.facts, image=self.image, user=self.facts.user)


def _read_facts(image: Image, files: ImageFiles, source: str) -> BaseFacts:
    runtime, stated = image.config.runtime, image.config.platform
    return read_base(
        files,
        source=source,
        os=stated.os,
        architecture=stated.architecture,
        environment=runtime.variables,
        prefix=VENV,
        user=runtime.user,
    )


def _host_layer(base: HostBase) -> LayerPlan:
    python = base.facts.interpreter
    return LayerPlan(
        title=f"base: {python.implementation} {python.version} of this machine",
        inputs={"kind": "host", "digest": str(base.digest)},
        entries=lambda: base.entries,
    )


def _check_libraries(where: str, problems: Sequence[str]) -> None:
    """Refuse wheels that need libraries which neither they nor the base have."""
    if problems:
        raise MismatchError(
            "shared libraries are missing",
            where=where,
            expected="every library that the wheels need, in the base or in a wheel",
            found="; ".join(problems),
            hint="install the libraries there, choose another base, or lock other wheels",
        )
