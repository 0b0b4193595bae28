"""The engine that needs no daemon: layers from their plans, then one image from its layers."""

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from envguard.engines.assemble.plan import VENV, LayerPlan
from envguard.engines.assemble.store import LayerStore
from envguard.images.config import History, ImageConfig, Runtime
from envguard.images.descriptor import Descriptor, ImagePlatform
from envguard.images.image import Image, NewImage, new_image
from envguard.images.layer import LayerRecord, write_layer
from envguard.model.digest import Digest
from envguard.model.errors import MismatchError
from envguard.model.progress import Progress

EPOCH = "1970-01-01T00:00:00Z"
"""The moment that images without SOURCE_DATE_EPOCH were made at."""

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOST_LAYERS = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlan:
    """An image to make: on *base* (``None``: on nothing), *layers* lowest first."""

    base: Image | None
    platform: ImagePlatform
    layers: tuple[LayerPlan, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    created: str = EPOCH


def assemble(plan: ImagePlan, store: LayerStore, progress: Progress) -> NewImage:
    """The image of *plan*; its layers are made in *store* where they are not there already.

    Raises `MismatchError` for more layers than container engines mount.
    """
    base = plan.base.manifest.layers if plan.base else ()
    if len(base) + len(plan.layers) > _MOST_LAYERS:
        raise MismatchError(
            "the image would have too many layers",
            expected=f"at most {_MOST_LAYERS}",
            found=f"{len(base)} of the base and {len(plan.layers)} of its own",
            hint="choose a base with fewer layers",
        )
    records = _make_layers(plan.layers, store, progress)
    own = [
        Descriptor(
            media_type=record.media_type,
            digest=record.digest,
            size=record.size,
            annotations={"dev.envguard.layer": layer.title[:4096], **layer.annotations},
        )
        for layer, record in zip(plan.layers, records, strict=True)
    ]
    known = {record.digest for record in records}

    def open_layer(digest: Digest) -> BinaryIO:
        if digest in known or plan.base is None:
            return store.open(digest)
        return plan.base.open_blob(digest)

    annotations = {"org.opencontainers.image.created": plan.created}
    if plan.base:
        annotations["org.opencontainers.image.base.digest"] = str(plan.base.descriptor.digest)
    return new_image(_config(plan, records), [*base, *own], open_layer, annotations=annotations)


def _make_layers(
    layers: Sequence[LayerPlan], store: LayerStore, progress: Progress
) -> list[LayerRecord]:
    """The records of *layers*, in their order; two are made at a time."""
    label, done = "building layers", itertools.count(1)
    progress(label, 0, len(layers))

    def make(layer: LayerPlan) -> LayerRecord:
        record = store.make(
            layer.key,
            lambda sink: write_layer(layer.entries(), sink, compression=layer.compression),
        )
        progress(label, next(done), len(layers))
        return record

    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(make, layers))


def _config(plan: ImagePlan, records: Sequence[LayerRecord]) -> ImageConfig:
    diff_ids = tuple(record.diff_id for record in records)
    history = tuple(
        History(created=plan.created, created_by=f"envguard build: {layer.title[:200]}")
        for layer in plan.layers
    )
    if plan.base is None:
        start = ImageConfig(platform=plan.platform, diff_ids=())
    else:
        start = plan.base.config
    return replace(
        start,
        diff_ids=start.diff_ids + diff_ids,
        history=start.history + history,
        created=plan.created,
        runtime=_runtime(plan, start.runtime),
    )


def _runtime(plan: ImagePlan, base: Runtime) -> Runtime:
    variables = {**base.variables, **plan.variables}
    path = variables.get("PATH") or _DEFAULT_PATH
    variables |= {"PATH": f"/{VENV}/bin:{path}", "VIRTUAL_ENV": f"/{VENV}"}
    return replace(
        base,
        env=tuple(f"{name}={value}" for name, value in variables.items()),
        entrypoint=(),
        command=("python",),
        user=plan.user or base.user,
        labels={**base.labels, **plan.labels},
    )
