"""What must hold inside a fingerprint, because whoever writes one can compute its digests.

`malformed` names what no reader may trust by its shape alone: names that are paths, texts with
control characters, sections that contradict their own coverage. `contradictions` names parts that
do not belong together: an identity that is not that of the model and environment beside it.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, TypeVar

from envguard.formats import manifest_digest
from envguard.formats.dist_info import normalised
from envguard.model.artifact import Artifact
from envguard.model.environment import Coverage, Environment, Section
from envguard.model.fingerprint import Fingerprint, Identity
from envguard.model.package import Archive, Ecosystem, Package

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PYPI_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_OTHER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_:~-]{0,199}")
_BUILD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_PYTHON_VERSION = re.compile(r"\d+\.\d+[A-Za-z0-9.+]*")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_Value = TypeVar("_Value", bound=Hashable)
_NAMED = 5
_SHOWN = 80


def malformed(fingerprint: Fingerprint) -> tuple[str, ...]:
    """What has not the shape that it must have; the first problems are named, the rest counted."""
    environment = fingerprint.environment
    return _few(
        (
            *_plain_name("name", fingerprint.name),
            *_plain_name("artifact.name", fingerprint.artifact.name),
            *_manifest(fingerprint.artifact),
            *_sections(environment),
            *_target(environment),
            *_packages(environment.packages.value or ()),
            *_printable("environment.unowned", (file.path for file in environment.unowned)),
        )
    )


def contradictions(fingerprint: Fingerprint, computed: Identity) -> tuple[str, ...]:
    """Which parts of the identity are not *computed*, that of the model and environment beside it.

    The manifest must be well formed (see `malformed`).
    """
    artifact, stated = fingerprint.artifact, fingerprint.identity
    found: list[str] = []
    if artifact.digest != manifest_digest.digest(artifact.manifest):
        found.append("artifact.digest is not that of artifact.manifest")
    if stated.artifact != computed.artifact:
        found.append("identity.artifact is not artifact.digest")
    if stated.packages != computed.packages:
        found.append("identity.packages is not the digest of environment.packages")
    if stated.interpreter != computed.interpreter:
        found.append(f"identity.interpreter is not {computed.interpreter}")
    if stated.platform != computed.platform:
        found.append(f"identity.platform is not {computed.platform}")
    return tuple(found)


def _plain_name(where: str, name: str) -> Iterator[str]:
    """A name that becomes a file's must not lead elsewhere."""
    if not name or name in (".", "..") or "/" in name or "\\" in name or _CONTROL.search(name):
        yield f"{where} is no plain name: {_shown(name)}"


def _manifest(artifact: Artifact) -> Iterator[str]:
    for entry in artifact.manifest:
        if not is_safe(entry.path):
            yield f"artifact.manifest has a path that leaves the model: {_shown(entry.path)}"
        if entry.size < 0 or entry.digest.algorithm != "sha256":
            yield f"artifact.manifest states no size or sha256 of {_shown(entry.path)}"
    for path in _repeated(entry.path for entry in artifact.manifest):
        yield f"artifact.manifest has {_shown(path)} twice"


def is_safe(path: str) -> bool:
    """Whether *path* is relative, with ``/``, and stays below the folder that it is relative to."""
    return "\0" not in path and all(part not in ("", ".", "..") for part in path.split("/"))


def _sections(environment: Environment) -> Iterator[str]:
    sections: dict[str, Section[Any]] = {
        "interpreter": environment.interpreter,
        "platform": environment.platform,
        "packages": environment.packages,
        "accelerator": environment.accelerator,
        "variables": environment.variables,
    }
    for name, section in sections.items():
        if (section.value is None) != (section.coverage is Coverage.NONE):
            has = "no value" if section.value is None else "a value"
            yield f"environment.{name} has {has} but coverage {section.coverage.value!r}"


def _target(environment: Environment) -> Iterator[str]:
    interpreter, platform = environment.interpreter.value, environment.platform.value
    if interpreter is None or platform is None:
        yield "environment states no interpreter or platform"
        return
    where = "environment.interpreter"
    yield from _matches(f"{where}.version", interpreter.version, _PYTHON_VERSION)
    yield from _matches(f"{where}.implementation", interpreter.implementation, _WORD)
    yield from _matches(f"{where}.abi", interpreter.abi, _WORD)
    yield from _matches("environment.platform.os", platform.os, _WORD)
    yield from _matches("environment.platform.machine", platform.machine, _WORD)
    if platform.libc:
        yield from _matches("environment.platform.libc.family", platform.libc.family, _WORD)
        version = platform.libc.version
        yield from _matches("environment.platform.libc.version", version, _PYTHON_VERSION)
    yield from _printable("environment.platform", (platform.distribution,))


def _packages(packages: tuple[Package, ...]) -> Iterator[str]:
    for package in packages:
        where = f"package {_shown(package.name)}"
        if not _is_name(package):
            yield f"{where}: not a normalised name"
        yield from _matches(f"{where}: version", package.version, _VERSION)
        yield from _matches(f"{where}: build", package.build, _BUILD)
        for archive in package.archives:
            yield from _archive(where, package, archive)
        origin = package.origin
        texts = [getattr(origin, name) for name in origin.__struct_fields__] if origin else []
        yield from _printable(where, (*texts, *package.modules, *package.modified))
        yield from _printable(where, (text.replace("\t", " ") for text in package.requires))
    for ecosystem, name in _repeated((package.ecosystem, package.name) for package in packages):
        yield f"package {_shown(name)} of {ecosystem.value} stands there twice"


def _is_name(package: Package) -> bool:
    if package.ecosystem is Ecosystem.PYPI:
        return _PYPI_NAME.fullmatch(package.name) is not None and package.name == normalised(
            package.name
        )
    return _OTHER_NAME.fullmatch(package.name) is not None


def _archive(where: str, package: Package, archive: Archive) -> Iterator[str]:
    yield from _printable(where, (archive.url, archive.path))
    if archive.size is not None and archive.size < 0:
        yield f"{where}: an archive of {archive.size} bytes"
    if archive.filename is None:
        return
    problems = tuple(_plain_name(f"{where}: filename", archive.filename))
    yield from problems
    if archive.is_wheel and not problems:
        yield from _wheel(where, package, archive.filename)


def _wheel(where: str, package: Package, filename: str) -> Iterator[str]:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        name, *_ = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        yield f"{where}: {error}"
        return
    if package.ecosystem is Ecosystem.PYPI and name != package.name:
        yield f"{where}: {_shown(filename)} is a wheel of {name}"


def _matches(where: str, text: str | None, grammar: re.Pattern[str]) -> Iterator[str]:
    if text is not None and not grammar.fullmatch(text):
        yield f"{where} is malformed: {_shown(text)}"


def _printable(where: str, texts: Iterable[object]) -> Iterator[str]:
    for text in texts:
        if isinstance(text, str) and _CONTROL.search(text):
            yield f"{where}: control characters in {_shown(text)}"


def _repeated(values: Iterable[_Value]) -> list[_Value]:
    return [value for value, count in Counter(values).items() if count > 1]


def _shown(text: str) -> str:
    return ascii(text[:_SHOWN])


def _few(problems: tuple[str, ...]) -> tuple[str, ...]:
    more = (f"and {len(problems) - _NAMED} more",) if len(problems) > _NAMED else ()
    return problems[:_NAMED] + more
