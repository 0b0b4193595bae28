"""Makers of environments that no disk holds, for tests of comparisons and reports."""

from envguard.model.digest import Digest
from envguard.model.environment import Environment, Interpreter, Libc, Platform, Section
from envguard.model.package import Archive, Package

INTERPRETER = Interpreter(
    implementation="cpython", version="3.11.7", abi="cpython-311-x86_64-linux-gnu"
)
PLATFORM = Platform(
    os="linux",
    machine="x86_64",
    libc=Libc(family="glibc", version="2.36"),
    distribution="debian 12",
)


def package(name: str, version: str = "1.0", content: str | None = "a", **more: object) -> Package:
    """A package; *content* is any text that stands for what it installs."""
    digest = Digest.of(content.encode()) if content is not None else None
    modules = (name.replace("-", "_"),)
    return Package(name=name, version=version, content=digest, **{"modules": modules, **more})  # type: ignore[arg-type]


def pinned(name: str, version: str = "1.0", archive: str = "a") -> Package:
    """A locked package whose content is not known; *archive* stands for its wheel's bytes."""
    wheel = Archive(
        filename=f"{name.replace('-', '_')}-{version}-py3-none-any.whl",
        url=f"https://index.example/{name}-{version}.whl",
        digests=(Digest.of(archive.encode()),),
    )
    return package(name, version, content=None, archives=(wheel,))


def environment(*packages: Package, source: str = "here", **more: object) -> Environment:
    """An environment of *packages* on this test's one Python and platform."""
    sections: dict[str, object] = {
        "interpreter": Section.seen(INTERPRETER),
        "platform": Section.seen(PLATFORM),
        "packages": Section.seen(tuple(sorted(packages, key=lambda item: item.name))),
    }
    return Environment(source=source, **{**sections, **more})  # type: ignore[arg-type]
