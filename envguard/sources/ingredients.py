"""What a build starts from: a fingerprint or a lock, and the model that goes with it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from envguard.artifacts import manifest
from envguard.engines.assemble.plan import MODEL, ModelFiles
from envguard.formats import fingerprint as fingerprint_file
from envguard.model.environment import Environment
from envguard.model.errors import IntegrityError, MismatchError, UsageError
from envguard.model.fingerprint import Fingerprint, Provenance
from envguard.model.lock import Lock
from envguard.model.target import Target
from envguard.sources import reading
from envguard.sources.contents import selected
from envguard.sources.locators import FingerprintFile, LockFile, locate, words_for
from envguard.sources.reading import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """A recorded or locked environment (*source*) with its model; *folder* is where it lies.

    *documents* are put into the image beside it, *labels* into its configuration.
    """

    source: Fingerprint | Lock
    folder: Path
    model: ModelFiles | None
    documents: Mapping[str, bytes]
    labels: Mapping[str, str]

    @property
    def recorded_python(self) -> str | None:
        """The full version of the Python that a fingerprint was made with."""
        if isinstance(self.source, Lock):
            return None
        python = self.source.environment.interpreter.value
        return python.version if python else None

    def environment_for(self, target: Target, access: Access) -> Environment:
        """What the image of *target* must contain.

        Raises `MismatchError` when that is not what was recorded, or what the lock allows.
        """
        match self.source:
            case Lock():
                return selected(self.source, target, access)
            case Fingerprint():
                _check(self.source, target)
                return self.source.environment


def read(source: str, model: Path | None, access: Access) -> Ingredients:
    """What *source* names, with *model*, or the model that a fingerprint was made of.

    Raises `IntegrityError` when the model is not the recorded one, `UsageError` when it is not
    found or *source* is neither a fingerprint nor a lock.
    """
    match locate(source):
        case FingerprintFile(path=path):
            recorded = reading.fingerprint(path)
            files = _recorded_model(recorded, model, access)
            return Ingredients(
                source=recorded,
                folder=path.parent,
                model=files,
                documents={f"{recorded.name}{fingerprint_file.SUFFIX}": _timeless(recorded)},
                labels={
                    "dev.envguard.fingerprint": str(recorded.id),
                    "dev.envguard.lock": str(recorded.identity.lock),
                },
            )
        case LockFile() as located:
            lock = reading.lock(located)
            return Ingredients(
                source=lock,
                folder=located.path.parent,
                model=_model(model, access) if model else None,
                documents={},
                labels={"dev.envguard.lock": str(lock.digest)},
            )
        case other:
            raise UsageError(
                "cannot be built",
                where=source,
                expected="a fingerprint or a lock",
                found=words_for(other),
            )


def _timeless(recorded: Fingerprint) -> bytes:
    """The fingerprint's file without what differs from machine to machine and commit to commit."""
    return fingerprint_file.write(replace(recorded, provenance=Provenance(), observations={}))


def _check(recorded: Fingerprint, target: Target) -> None:
    """Refuse a base that is another Python or platform than the fingerprint's."""
    wanted = Target.of(recorded.environment)
    if (wanted.interpreter.minor, wanted.platform_tag) != (
        target.interpreter.minor,
        target.platform_tag,
    ):
        raise MismatchError(
            "the base does not fit the fingerprint",
            expected=f"Python {wanted.interpreter.minor} on {wanted.platform_tag}",
            found=f"Python {target.interpreter.version} on {target.platform_tag}",
            hint="choose a base with that Python, or fingerprint the model for this one",
        )


def _recorded_model(recorded: Fingerprint, model: Path | None, access: Access) -> ModelFiles:
    stated = recorded.observations.get("model")
    path = model or (Path(stated) if stated else None)
    if path is None or not path.exists():
        raise UsageError(
            "the fingerprint's model is not here",
            where=str(path or recorded.name),
            hint="run this where the fingerprint was made, or name the model with --model",
        )
    files = _model(path, access)
    found = manifest.digest(files.manifest)
    if found != recorded.artifact.digest:
        raise IntegrityError(
            "the model is not the one that was fingerprinted",
            where=str(path),
            expected=str(recorded.artifact.digest),
            found=str(found),
            hint="bring the recorded model back, or fingerprint this one",
        )
    return files


def _model(path: Path, access: Access) -> ModelFiles:
    """The files of the model at *path*: a folder keeps its name in the image."""
    entries = manifest.build(reading.model_files(path, access), progress=access.progress)
    if path.is_dir():
        prefix = f"{MODEL}/{path.resolve().name}"
        return ModelFiles(folder=path.resolve(), prefix=prefix, manifest=entries)
    return ModelFiles(folder=path.resolve().parent, prefix=MODEL, manifest=entries)
