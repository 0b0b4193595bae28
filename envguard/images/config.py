"""An image's configuration: its platform, how a container starts, and what its layers add up to.

Source: OCI image specification 1.1, "Image Configuration".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from envguard.images.descriptor import ImagePlatform, platform
from envguard.images.documents import Fields, decode, encode
from envguard.model.digest import Digest

CONFIG_LIMIT = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How a layer came to be; *empty_layer* where the step made none."""

    created: str | None = None
    created_by: str | None = None
    comment: str | None = None
    author: str | None = None
    empty_layer: bool = False

    def document(self) -> dict[str, object]:
        """The JSON object."""
        named = {
            "created": self.created,
            "created_by": self.created_by,
            "comment": self.comment,
            "author": self.author,
            "empty_layer": self.empty_layer,
        }
        return {key: value for key, value in named.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How a container starts. *others* are further fields as they were read."""

    env: tuple[str, ...] = ()
    """``NAME=value`` each."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_folder: str | None = None
    user: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, object] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables by name; the last one of a name wins."""
        return {name: value for name, _, value in (text.partition("=") for text in self.env)}

    def document(self) -> dict[str, object]:
        """The JSON object."""
        named: dict[str, object] = {
            "Env": list(self.env),
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "WorkingDir": self.working_folder,
            "User": self.user,
            "Labels": dict(self.labels),
        }
        return {**self.others, **{key: value for key, value in named.items() if value}}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """An image configuration; `parse` and `encode` round-trip. *others* as in `Runtime`."""

    platform: ImagePlatform
    diff_ids: tuple[Digest, ...]
    runtime: Runtime = field(default_factory=Runtime)
    history: tuple[History, ...] = ()
    created: str | None = None
    others: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes, *, source: str) -> "ImageConfig":
        """Read a configuration. Raises `UnreadableError`."""
        document = decode(data, source=source, limit=CONFIG_LIMIT)
        fields = Fields(document, source, known=_CONFIG_FIELDS)
        config = cls(
            platform=platform(fields),
            diff_ids=fields.nested("rootfs", _diff_ids, known=("type", "diff_ids")),
            runtime=fields.nested("config", _runtime, known=_RUNTIME_FIELDS),
            history=fields.objects("history", _history, known=_HISTORY_FIELDS),
            created=fields.text("created", "") or None,
            others=_others(document, _CONFIG_FIELDS),
        )
        layers = [step for step in config.history if not step.empty_layer]
        if config.history and len(layers) > len(config.diff_ids):
            fields.problem("history", "names more layers than rootfs.diff_ids")
        fields.raise_problems()
        return config

    def encode(self) -> bytes:
        """Canonical JSON."""
        return encode(
            {
                **self.others,
                **self.platform.document(),
                "created": self.created,
                "config": self.runtime.document(),
                "rootfs": {"type": "layers", "diff_ids": [str(item) for item in self.diff_ids]},
                "history": [step.document() for step in self.history],
            }
        )


_RUNTIME_FIELDS = ("Env", "Entrypoint", "Cmd", "WorkingDir", "User", "Labels")
_HISTORY_FIELDS = ("created", "created_by", "comment", "author", "empty_layer")
_CONFIG_FIELDS = ("os", "architecture", "variant", "created", "config", "rootfs", "history")


def _diff_ids(fields: Fields) -> tuple[Digest, ...]:
    if fields.text("type") != "layers":
        fields.problem("type", "must be layers")
    return fields.digests("diff_ids")


def _runtime(fields: Fields) -> Runtime:
    return Runtime(
        env=fields.texts("Env"),
        entrypoint=fields.texts("Entrypoint"),
        command=fields.texts("Cmd"),
        working_folder=fields.text("WorkingDir", "") or None,
        user=fields.text("User", "") or None,
        labels=fields.table("Labels"),
        others=_others(fields.document, _RUNTIME_FIELDS),
    )


def _history(fields: Fields) -> History:
    return History(
        created=fields.text("created", "") or None,
        created_by=fields.text("created_by", "") or None,
        comment=fields.text("comment", "") or None,
        author=fields.text("author", "") or None,
        empty_layer=fields.truth("empty_layer"),
    )


def _others(document: Mapping[str, object], known: tuple[str, ...]) -> dict[str, object]:
    return {name: value for name, value in document.items() if name not in known and value}
