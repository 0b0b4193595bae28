"""`Lock.select`, against `packaging.pylock.select` on the same document."""

import random
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.pylock import Pylock, PylockSelectError

from envguard.formats.pylock import from_document
from envguard.model.digest import Digest
from envguard.model.environment import Environment, Interpreter, Libc, Platform
from envguard.model.errors import MismatchError
from envguard.model.lock import Lock, unpinned, wheel_build
from envguard.model.target import Target

PYTHONS = ("3.11", "3.12.4", "3.13.0")
PLATFORMS = (
    Platform(os="linux", machine="x86_64", libc=Libc(family="glibc", version="2.36")),
    Platform(os="linux", machine="aarch64", libc=Libc(family="glibc", version="2.28")),
    Platform(os="linux", machine="x86_64", libc=Libc(family="musl", version="1.2")),
    Platform(os="darwin", machine="arm64"),
)
TARGETS = [
    Target(interpreter=Interpreter(implementation="cpython", version=version), platform=platform)
    for version in PYTHONS
    for platform in PLATFORMS
]
TAGS = (
    "py3-none-any",
    "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp311-cp311-manylinux_2_28_x86_64",
    "cp312-cp312-manylinux_2_28_aarch64",
    "cp310-abi3-musllinux_1_1_x86_64",
    "cp313-cp313-manylinux_2_34_x86_64",
    "1-cp311-cp311-manylinux_2_17_x86_64",
)
MARKERS = (
    None,
    "python_full_version < '3.12'",
    "python_version >= '3.12'",
    "sys_platform == 'darwin'",
    "platform_machine != 'aarch64' and os_name == 'posix'",
    "'gpu' in extras",
    "'dev' in dependency_groups",
    "'gpu' in extras or 'dev' in dependency_groups",
)
HASHES = {"sha256": Digest.of(b"x").hex}


def package(name: str, version: str, tags: list[str], sdist: bool, **more: Any) -> dict[str, Any]:
    wheels = [
        {
            "name": f"{name}-{version}-{tag}.whl",
            "path": f"{name}-{version}-{tag}.whl",
            "hashes": HASHES,
        }
        for tag in tags
    ]
    stated = {"name": name, "version": version, **{k: v for k, v in more.items() if v is not None}}
    stated |= {"wheels": wheels} if wheels else {}
    if sdist or not wheels:
        stated["sdist"] = {"path": f"{name}-{version}.tar.gz", "hashes": HASHES}
    return stated


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    packages = [
        package(
            draw(st.sampled_from(["a", "b", "c", "d"])),
            draw(st.sampled_from(["1.0", "2.0"])),
            draw(st.lists(st.sampled_from(TAGS), max_size=4, unique=True)),
            draw(st.booleans()),
            marker=draw(st.sampled_from(MARKERS)),
            **{"requires-python": draw(st.sampled_from([None, None, ">=3.11", ">=3.12"]))},
        )
        for _ in range(draw(st.integers(0, 4)))
    ]
    head: dict[str, Any] = {"lock-version": "1.0", "created-by": "t", "packages": packages}
    head |= {"extras": ["gpu"], "dependency-groups": ["dev"]}
    head |= draw(st.sampled_from([{}, {"default-groups": ["dev"]}]))
    head |= draw(st.sampled_from([{}, {}, {"requires-python": ">=3.12"}]))
    return head | draw(st.sampled_from([{}, {}, {"environments": ["sys_platform == 'linux'"]}]))


@settings(max_examples=150)
@given(
    documents(),
    st.sampled_from(TARGETS),
    st.sampled_from([(), ("gpu",)]),
    st.sampled_from([None, (), ("dev",)]),
)
def test_it_selects_what_packaging_selects(document, target, extras, groups):
    lock = from_document(document, "pylock.toml")
    try:
        theirs = {
            (package.name, str(package.version), source.filename)  # type: ignore[union-attr]
            for package, source in Pylock.from_dict(document).select(
                environment=target.marker_environment(),
                tags=list(target.tags()),
                extras=extras,
                dependency_groups=groups,
            )
        }
    except PylockSelectError:
        with pytest.raises(MismatchError):
            lock.select(target, extras=extras, groups=groups)
        return
    assert selected(lock.select(target, extras=extras, groups=groups)) == theirs


def selected(environment: Environment) -> set[tuple[str, str | None, str | None]]:
    packages = environment.packages.value or ()
    return {(item.name, item.version, item.archives[0].filename) for item in packages}


def lock_of(*packages: dict[str, Any], **head: Any) -> Lock:
    document = {"lock-version": "1.0", "created-by": "t", "packages": [*packages], **head}
    tomli_w.dumps(document)
    return from_document(document, "pylock.toml")


def test_packages_are_sorted_and_keep_the_best_archive_alone():
    environment = lock_of(
        package("b", "1.0", ["py3-none-any"], True), package("a", "1.0", list(TAGS[:3]), True)
    ).select(TARGETS[0])
    a, b = environment.packages.value or ()
    assert (a.name, b.name) == ("a", "b")
    assert [archive.filename for archive in a.archives] == [f"a-1.0-{TAGS[2]}.whl"]
    assert a.build == TAGS[2]
    assert environment.source == "pylock.toml"


def test_errors_name_the_package():
    wheel = package("a", "1.0", [TAGS[2]], False)
    with pytest.raises(MismatchError, match=r"no wheel of a 1\.0 fits") as caught:
        lock_of(wheel).select(TARGETS[1])
    assert caught.value.where == "pylock.toml"
    with pytest.raises(MismatchError, match="a is selected more than once"):
        lock_of(wheel, package("a", "2.0", [], True)).select(TARGETS[0])
    with pytest.raises(MismatchError, match="another Python"):
        lock_of(**{"requires-python": ">=3.12"}).select(TARGETS[0])
    with pytest.raises(MismatchError, match="other platforms"):
        lock_of(environments=["sys_platform == 'win32'"]).select(TARGETS[0])


def test_gaps_of_the_lock_are_gaps_of_the_environment():
    from envguard.formats.requirements import parse
    from envguard.formats.requirements_lock import to_lock

    lock = to_lock(parse("r.txt", lambda _: b"a==1\nb>=2"))
    (gap,) = lock.select(TARGETS[0]).gaps
    assert gap == unpinned("r.txt:2", "b>=2")


def test_wheel_build():
    assert wheel_build("a-1.0-2-cp311-abi3-linux_x86_64.whl") == "2-cp311-abi3-linux_x86_64"


def test_order_of_entries_does_not_matter():
    packages = [package(name, "1.0", ["py3-none-any"], False) for name in "abcd"]
    shuffled = random.Random(1).sample(packages, 4)
    assert lock_of(*packages).select(TARGETS[0]) == lock_of(*shuffled).select(TARGETS[0])
