"""The story of ``envguard build``: a fingerprint or lock, a base and a model become one image."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from envguard import storage
from envguard.engines.assemble import bases, oci, plan
from envguard.engines.assemble.objects import package_objects
from envguard.engines.assemble.store import LayerStore
from envguard.images.descriptor import ImagePlatform
from envguard.images.image import NewImage
from envguard.model.built import Built, BuiltLayer
from envguard.model.errors import MismatchError, UsageError
from envguard.model.progress import Progress, silent
from envguard.sources import ingredients, reading
from envguard.sources.contents import pinned_wheels
from envguard.sources.locators import ImageRef, locate


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where an image goes: an OCI layout folder, an archive file, the local engine, or several."""

    layout: Path | None = None
    archive: Path | None = None
    load: bool = False
    tag: str | None = None


def build(
    source: str,
    *,
    outputs: Outputs,
    base: str = "host",
    model: Path | None = None,
    prove: bool = False,
    offline: bool = False,
    progress: Progress = silent,
) -> Built:
    """Build the image of *source*, a fingerprint or a lock, on *base*.

    *model* is the model's file or folder; a fingerprint finds its own model and checks it. With
    *prove* the image is built a second time, from nothing, in another folder, and must be the
    same to the last bit.

    Raises `MismatchError` when base and lock do not fit or the proof fails, `IntegrityError`
    when the model or a wheel is not the one that was recorded, `UsageError` for what is no input.
    """
    if not (outputs.layout or outputs.archive or outputs.load):
        raise UsageError("the image has nowhere to go", hint="give --output, --archive or --load")
    if outputs.load and not outputs.tag:
        raise UsageError("an engine needs a name for the image", hint="give --tag NAME:VERSION")
    access = reading.Access(offline=offline, progress=progress)
    asked = ingredients.read(source, model, access)
    ground = _ground(base, access)
    wanted = asked.environment_for(ground.target, access)
    wheels = pinned_wheels(wanted, asked.folder, access)
    chosen = ground.prepare(wanted, package_objects(wheels, access.vault))
    image_plan = _plan(asked, chosen, wheels, access)
    store = LayerStore()
    image = oci.assemble(image_plan, store, progress)
    if prove:
        _prove(image, image_plan, store, progress)
    written = _write(image, outputs, store)
    own = image.manifest.layers[-len(image_plan.layers) :]
    return Built(
        digest=image.descriptor.digest,
        image_id=image.manifest.config.digest,
        platform=str(image_plan.platform),
        size=sum(layer.size for layer in image.manifest.layers),
        layers=tuple(
            BuiltLayer(title=layer.title, digest=made.digest, size=made.size)
            for layer, made in zip(image_plan.layers, own, strict=True)
        ),
        proved=prove,
        written=written,
    )


def _ground(base: str, access: reading.Access) -> bases.Ground:
    """What the image stands on: this machine's Python, or an image with one."""
    if base == "host":
        return bases.HostGround(target=reading.this_target())
    match locate(base):
        case ImageRef() as located:
            return bases.ImageGround.of(reading.open_image(located), base, access.progress)
        case other:
            raise UsageError(
                "is no base",
                where=base,
                expected="host, an OCI layout, an image archive, or docker:IMAGE",
                found=type(other).__name__.lower(),
            )


def _plan(
    asked: ingredients.Ingredients,
    base: bases.Base,
    wheels: list[plan.PinnedWheel],
    access: reading.Access,
) -> oci.ImagePlan:
    layers = [
        *base.layers,
        plan.skeleton(base.facts.interpreter, base.facts.python),
        *plan.wheel_layers(wheels, base.facts.interpreter.minor, access.vault),
    ]
    if asked.model is not None:
        layers += plan.model_layers(asked.model)
    if asked.documents:
        layers.append(plan.about_layer(asked.documents))
    stated = base.facts.platform
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(stated.machine, stated.machine)
    return oci.ImagePlan(
        base=base.image,
        platform=ImagePlatform(os=stated.os, architecture=architecture),
        layers=tuple(layers),
        variables=base.facts.environment,
        labels=asked.labels,
        user=base.user,
        created=_created(),
    )


def _created() -> str:
    """SOURCE_DATE_EPOCH as an OCI time stamp, else the epoch: never the clock."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "0")
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            "SOURCE_DATE_EPOCH is no time", expected="seconds since 1970", found=seconds
        ) from error
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _prove(
    image: NewImage, image_plan: oci.ImagePlan, store: LayerStore, progress: Progress
) -> None:
    """Build it again from nothing, in a folder of another name and depth: the same digest."""
    folder = Path(tempfile.mkdtemp(prefix="envguard-prove-")) / "again"
    try:
        again = oci.assemble(
            image_plan, LayerStore(folder), lambda label, *done: progress(f"proof: {label}", *done)
        )
    finally:
        shutil.rmtree(folder.parent)
    if again.descriptor.digest != image.descriptor.digest:
        differing = [
            layer.title
            for layer, first, second in zip(
                image_plan.layers,
                image.manifest.layers[-len(image_plan.layers) :],
                again.manifest.layers[-len(image_plan.layers) :],
                strict=True,
            )
            if first.digest != second.digest
        ]
        raise MismatchError(
            "two builds of the same inputs differ",
            expected=str(image.descriptor.digest),
            found=f"{again.descriptor.digest} (layers: {', '.join(differing) or 'none'})",
            hint="an input changed between the two builds, or this is a bug worth reporting",
        )


def _write(image: NewImage, outputs: Outputs, store: LayerStore) -> tuple[str, ...]:
    written: list[str] = []
    if outputs.layout:
        from envguard.images.layout import write_layout

        write_layout(outputs.layout, image, reference=outputs.tag, stored=store.known)
        written.append(str(outputs.layout))
    if outputs.archive:
        from envguard.images.archive import write_archive

        with storage.replacing(outputs.archive) as sink:
            write_archive(image, sink, reference=outputs.tag)
        written.append(str(outputs.archive))
    if outputs.load:
        from envguard.images.daemon import load_image

        load_image(image, reference=outputs.tag)
        written.append(f"docker:{outputs.tag}")
    return tuple(written)
