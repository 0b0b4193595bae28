"""``pylock.toml``: the lock format of the Python packaging ecosystem (PEP 751).

`read` gives a `Lock`, whose digest is that of `envguard.formats.lock_meaning`. Validation is
`packaging.pylock`'s; what envguard adds is naming every package that is wrong, digests that are
digests, and URLs without credentials. `envguard.formats.pylock_document` writes.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from envguard.formats.lock_meaning import meaning
from envguard.formats.toml import load
from envguard.formats.url import redacted, without_credentials
from envguard.model.digest import Digest
from envguard.model.errors import LimitError, UnreadableError
from envguard.model.findings import Area, Gap
from envguard.model.lock import Lock, LockEntry
from envguard.model.package import Archive, DirectUrl, Index, LocalFolder, Origin, Package, Vcs

if TYPE_CHECKING:
    from packaging import pylock

MAX_PACKAGES = 100_000
MAX_PROBLEMS = 20
_STRONG = ("sha256", "sha384", "sha512")


def read(data: bytes, source: str) -> Lock:
    """The lock in *data*; *source* names it for people.

    Raises `UnreadableError` naming by key path every package that is not valid, or a lock-version
    of another major; `LimitError` beyond `MAX_PACKAGES` and the limits of `toml.load`.
    """
    return from_document(load(data, source), source)


def from_document(document: dict[str, Any], source: str) -> Lock:
    """The lock in a TOML *document*; raises as `read` does."""
    gaps = _check_version(document, source)
    parsed = _validated(document, source)
    parts: dict[str, Any] = {
        "requires_python": None if parsed.requires_python is None else str(parsed.requires_python),
        "environments": tuple(map(str, parsed.environments or ())),
        "extras": tuple(parsed.extras or ()),
        "groups": tuple(parsed.dependency_groups or ()),
        "default_groups": tuple(parsed.default_groups or ()),
        "entries": _entries(parsed.packages, source),
        "gaps": gaps,
    }
    return Lock(source=source, digest=meaning(**parts), **parts)


def _check_version(document: Mapping[str, Any], source: str) -> tuple[Gap, ...]:
    """A gap for a newer minor version: it may state what this reader does not know of.

    "If a tool doesn't support a major version, it MUST raise an error. Tools SHOULD warn a user
    when the minor version is not supported" (PEP 751, ``lock-version``).
    """
    version = document.get("lock-version")
    major, _, minor = version.partition(".") if isinstance(version, str) else ("", "", "")
    if major != "1":
        raise UnreadableError(
            "is no lock that this version reads",
            where=source,
            expected='lock-version = "1.0"',
            found=f"lock-version = {redacted(repr(version))[:80]}",
            hint="a newer tool wrote it: upgrade envguard" if major.isdecimal() else None,
        )
    if minor == "0":
        return ()
    reason = f"its lock-version {version!r} may state what envguard does not know of"
    return (Gap(area=Area.PACKAGES, subject=source, reason=reason, fix="upgrade envguard"),)


def _validated(document: dict[str, Any], source: str) -> "pylock.Pylock":
    from packaging.pylock import Pylock, PylockValidationError

    # With a known version packaging does not log a warning of its own.
    document = {**document, "lock-version": "1.0"}
    packages = document.get("packages")
    if isinstance(packages, list) and len(packages) > MAX_PACKAGES:
        raise LimitError(f"more than {MAX_PACKAGES} packages", where=source)
    try:
        return Pylock.from_dict(document)
    except PylockValidationError as error:
        raise _invalid(_problems(document) or [str(error)], source) from error
    except RecursionError as error:
        raise LimitError("a marker is nested too deeply", where=source) from error


def _problems(document: dict[str, Any]) -> list[str]:
    """Every package's problem; packaging stops at the first."""
    from packaging.pylock import Pylock, PylockValidationError

    packages = document.get("packages")
    parts: list[tuple[int | None, list[Any]]] = [(None, [])]
    parts += enumerate([package] for package in packages) if isinstance(packages, list) else ()
    problems = []
    for index, part in parts:
        head = document if index is None else {"lock-version": "1.0", "created-by": ""}
        try:
            Pylock.from_dict({**head, "packages": part})
        except PylockValidationError as error:
            where = (error.context or "").replace("packages[0]", f"packages[{index}]")
            problems.append(f"{where}: {error.message}" if where else error.message)
    return problems


def _invalid(problems: list[str], source: str) -> UnreadableError:
    shown = [redacted(problem).replace("\n", " ") for problem in problems[:MAX_PROBLEMS]]
    if rest := len(problems) - len(shown):
        shown.append(f"... and {rest} more")
    return UnreadableError(
        "is no valid lock (PEP 751):\n" + "\n".join(f"  {problem}" for problem in shown),
        where=source,
    )


def _entries(packages: "Iterable[pylock.Package]", source: str) -> tuple[LockEntry, ...]:
    entries, problems = [], []
    for index, package in enumerate(packages):
        try:
            entries.append(_entry(package))
        except ValueError as error:
            problems.append(f"packages[{index}]: {error}")
    if problems:
        raise _invalid(problems, source)
    return tuple(entries)


def _entry(package: "pylock.Package") -> LockEntry:
    archives = tuple(_archives(package))
    version = package.version or _version_in(archives)
    return LockEntry(
        package=Package(
            name=package.name,
            version=None if version is None else str(version),
            archives=archives,
            origin=_origin(package),
        ),
        marker=None if package.marker is None else str(package.marker),
        requires_python=None if package.requires_python is None else str(package.requires_python),
    )


def _archives(package: "pylock.Package") -> Iterable[Archive]:
    for wheel in package.wheels or ():
        yield _archive(wheel, wheel.filename)
    if package.sdist:
        yield _archive(package.sdist, package.sdist.filename)
    if package.archive:
        location = package.archive.url or package.archive.path or ""
        yield _archive(package.archive, _last_part(location))


def _archive(
    stated: "pylock.PackageWheel | pylock.PackageSdist | pylock.PackageArchive", filename: str
) -> Archive:
    return Archive(
        filename=filename,
        url=None if stated.url is None else without_credentials(stated.url),
        path=stated.path,
        size=stated.size,
        digests=tuple(_digests(stated.hashes)),
    )


def _digests(hashes: Mapping[str, str]) -> Iterable[Digest]:
    """The strong ones; md5 and its kin pin nothing (security: every byte against a pin)."""
    return sorted(
        Digest.parse(f"{algorithm.lower()}:{value.lower()}")
        for algorithm, value in hashes.items()
        if algorithm.lower() in _STRONG
    )


def _last_part(location: str) -> str:
    from urllib.parse import unquote, urlsplit

    return unquote(urlsplit(location).path.rpartition("/")[2])


def _version_in(archives: tuple[Archive, ...]) -> str | None:
    """The version in a wheel's name, for the packages that do not state it."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    for archive in archives:
        if archive.is_wheel and archive.filename:
            try:
                return str(parse_wheel_filename(archive.filename)[1])
            except InvalidWheelFilename as error:
                raise ValueError(f"invalid wheel file name {archive.filename!r}") from error
    return None


def _origin(package: "pylock.Package") -> Origin:
    if vcs := package.vcs:
        url = _located(vcs.url or vcs.path or "", vcs.subdirectory)
        return Vcs(system=vcs.type, url=url, commit=vcs.commit_id)
    if folder := package.directory:
        url = _located(folder.path, folder.subdirectory)
        return LocalFolder(url=url, editable=bool(folder.editable))
    if archive := package.archive:
        return DirectUrl(url=_located(archive.url or archive.path or "", archive.subdirectory))
    return Index(url=None if package.index is None else without_credentials(package.index))


def _located(url: str, subdirectory: str | None) -> str:
    """*url* with the subdirectory as direct references write it (PEP 508)."""
    return without_credentials(url) + (f"#subdirectory={subdirectory}" if subdirectory else "")
