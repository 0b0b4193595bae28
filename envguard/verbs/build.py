"""The story of ``envguard build``: a fingerprint or lock, a base and a model become one image."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from envguard import storage
from envguard.engines.assemble import bases, oci, plan
from envguard.engines.assemble.blobs import BlobFiles, layout_of
from envguard.engines.assemble.objects import package_objects
from envguard.engines.assemble.store import LayerStore
from envguard.images.descriptor import ImagePlatform
from envguard.images.image import Image, NewImage
from envguard.images.layout import open_layout
from envguard.images.reference import check_reference
from envguard.model.built import Built, BuiltLayer
from envguard.model.environment import Environment
from envguard.model.errors import MismatchError, UnreadableError, UsageError
from envguard.model.findings import Area
from envguard.model.progress import Progress, silent
from envguard.places.folder import Folder
from envguard.sources import ingredients, reading
from envguard.sources.contents import pinned_wheels
from envguard.sources.locators import ImageRef, locate, words_for
from envguard.wheels.vault import Vault


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
    if outputs.tag:
        check_reference(outputs.tag)
    access = reading.Access(offline=offline, progress=progress)
    asked = ingredients.read(source, model, access)
    ground = _ground(base, access)
    wanted = asked.environment_for(ground.target, access)
    _check_complete(wanted)
    wheels = pinned_wheels(wanted, asked.folder, access)
    chosen = ground.prepare(wanted, package_objects(wheels, access.vault))
    image_plan = _plan(asked, chosen, wheels, access)
    store = LayerStore(digests=access.digests)
    image = oci.assemble(image_plan, store, progress)
    if prove:
        progress("building again to prove it", 0, 1)
        named = ["--model", str(model)] if model else []
        _prove(image, wheels, [source, "--base", base, *named, "--offline", "--quiet"])
        progress("building again to prove it", 1, 1)
    nearby = [*layout_of(image_plan.base), *([outputs.layout] if outputs.layout else [])]
    written = _write(image, outputs, BlobFiles(store, nearby, access.digests), access)
    access.digests.save()
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
        notes=_notes(asked, chosen),
    )


def _check_complete(wanted: Environment) -> None:
    """Refuse what does not say everything that the image must contain."""
    unknown = [gap for gap in wanted.gaps if gap.area is Area.PACKAGES]
    if unknown:
        raise UnreadableError(
            "does not say all that the image must contain",
            where=wanted.source,
            found="; ".join(f"{gap.subject}: {gap.reason}" for gap in unknown[:5]),
            hint="lock every package, and fingerprint the model with that lock",
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
                found=words_for(other),
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


def _notes(asked: ingredients.Ingredients, base: bases.Base) -> tuple[str, ...]:
    """What differs from the recorded environment without making the image unfit."""
    recorded = asked.recorded_python
    found = base.facts.interpreter.version
    if recorded is None or recorded == found:
        return ()
    return (f"the model was fingerprinted with Python {recorded}, and the base has {found}",)


def _prove(image: NewImage, wheels: list[plan.PinnedWheel], again: list[str]) -> None:
    """Build it again: another process, hash seed, time zone, umask and folder, an empty cache.

    Only the wheels are shared, by hard links where possible: they are checked again.
    """
    with tempfile.TemporaryDirectory(prefix="envguard-prove-") as name:
        folder = Path(name) / "another" / "place"
        vault = Vault(folder / "cache" / "vault")
        for wheel in wheels:
            target = vault.path(wheel.digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(wheel.path, target)
            except OSError:
                shutil.copyfile(wheel.path, target)
        layout = folder / "image"
        variables = {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu"}
        done = subprocess.run(
            [sys.executable, "-m", "envguard", "build", *again, "--output", str(layout)],
            env={**os.environ, **variables, "ENVGUARD_CACHE_DIR": str(folder / "cache")},
            umask=0o077,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise MismatchError(
                f"the second build failed:\n{done.stderr.strip()}", hint="run the build again"
            )
        _check_same(image, open_layout(layout))


def _check_same(first: Image, second: Image) -> None:
    if first.descriptor.digest == second.descriptor.digest:
        return
    pairs = zip(first.manifest.layers, second.manifest.layers, strict=False)
    titles = [
        a.annotations.get("dev.envguard.layer", "base") for a, b in pairs if a.digest != b.digest
    ]
    raise MismatchError(
        "two builds of the same inputs differ",
        expected=str(first.descriptor.digest),
        found=f"{second.descriptor.digest} (layers: {', '.join(titles) or 'none'})",
        hint="an input changed between the two builds, or this is a bug worth reporting",
    )


def _write(
    image: NewImage, outputs: Outputs, blobs: BlobFiles, access: reading.Access
) -> tuple[str, ...]:
    written: list[str] = []
    if outputs.layout:
        from envguard.images.layout import is_written, write_layout

        there = Folder(outputs.layout, cache=access.digests)
        if not is_written(outputs.layout, image, outputs.tag, there.digest):
            write_layout(outputs.layout, image, reference=outputs.tag, stored=blobs.find)
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
