import random
import tomllib
from contextlib import suppress
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from envguard.formats.pylock import read
from envguard.model.digest import Digest
from envguard.model.errors import LimitError, UnreadableError
from envguard.model.package import Archive, DirectUrl, Index, LocalFolder, Vcs

A, B = Digest.of(b"a"), Digest.of(b"b")


def wheel(
    name: str, version: str = "1.0", tag: str = "py3-none-any", **more: Any
) -> dict[str, Any]:
    filename = f"{name.replace('-', '_')}-{version}-{tag}.whl"
    url = f"https://index.example/{filename}"
    return {"url": url, "hashes": {"sha256": A.hex}, **more}


def package(name: str, version: str = "1.0", **more: Any) -> dict[str, Any]:
    sources = {"vcs", "directory", "archive", "sdist", "wheels"} & set(more)
    wheels = {} if sources else {"wheels": [wheel(name, version)]}
    return {"name": name, "version": version, **wheels, **more}


def document(*packages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"lock-version": "1.0", "created-by": "t", "packages": [*packages], **more}


def lock(*packages: dict[str, Any], **more: Any):
    return read(tomli_w.dumps(document(*packages, **more)).encode(), "pylock.toml")


def test_everything_that_a_lock_states():
    found = lock(
        package(
            "numpy",
            "1.26.4",
            marker="sys_platform=='linux'",
            **{"requires-python": ">=3.9"},
            index="https://u:p@index.example/simple/",
            wheels=[
                wheel(
                    "numpy",
                    "1.26.4",
                    url="https://u:p@index.example/numpy-1.26.4-py3-none-any.whl",
                    size=7,
                )
            ],
            sdist={"path": "./numpy-1.26.4.tar.gz", "hashes": {"sha512": "0" * 128, "md5": "x"}},
        ),
        **{
            "requires-python": ">=3.11",
            "environments": ["sys_platform == 'linux'"],
            "extras": ["gpu"],
            "dependency-groups": ["dev"],
            "default-groups": ["dev"],
        },
    )
    assert found.requires_python == ">=3.11"
    assert found.environments == ('sys_platform == "linux"',)
    assert (found.extras, found.groups, found.default_groups) == (("gpu",), ("dev",), ("dev",))
    (entry,) = found.entries
    assert entry.marker == 'sys_platform == "linux"'
    assert entry.requires_python == ">=3.9"
    assert entry.package.origin == Index(url="https://index.example/simple/")
    assert entry.package.archives == (
        Archive(
            filename="numpy-1.26.4-py3-none-any.whl",
            url="https://index.example/numpy-1.26.4-py3-none-any.whl",
            size=7,
            digests=(A,),
        ),
        Archive(
            filename="numpy-1.26.4.tar.gz",
            path="./numpy-1.26.4.tar.gz",
            digests=(Digest("sha512", "0" * 128),),
        ),
    )


def test_direct_sources():
    hashes = {"sha256": A.hex}
    found = lock(
        {"name": "a", "archive": {"url": "https://index.example/a%2B1.zip", "hashes": hashes}},
        {
            "name": "b",
            "vcs": {
                "type": "git",
                "url": "https://u:p@code.example/b.git",
                "commit-id": "c0",
                "subdirectory": "s",
            },
        },
        {"name": "c", "directory": {"path": "../c", "editable": True}},
        {"name": "d", "archive": {"path": "w/d.zip", "hashes": hashes}},
    )
    packages = {entry.package.name: entry.package for entry in found.entries}
    assert packages["a"].origin == DirectUrl(url="https://index.example/a%2B1.zip")
    assert packages["a"].archives[0].filename == "a+1.zip"
    vcs = Vcs(system="git", url="https://code.example/b.git#subdirectory=s", commit="c0")
    assert packages["b"].origin == vcs
    assert packages["c"].origin == LocalFolder(url="../c", editable=True)
    assert packages["d"].archives[0].path == "w/d.zip"


def test_a_version_that_only_the_wheel_states():
    stated = package("a", "2.0")
    del stated["version"]
    assert lock(stated).entries[0].package.version == "2.0"


def test_the_digest_ignores_layout_and_places():
    first = lock(package("a"), package("b", wheels=[wheel("b"), wheel("b", tag="cp311-abi3-any")]))
    moved = [
        wheel("b", tag="cp311-abi3-any", size=3),
        wheel("b", url="https://mirror.example/x/b-1.0-py3-none-any.whl"),
    ]
    second = lock(package("b", wheels=moved), package("a", index="https://mirror.example/"))
    assert first.digest == second.digest
    assert first.digest != lock(package("a"), package("b")).digest


CHANGES = [
    {"marker": "sys_platform == 'linux'"},
    {"requires-python": ">=3.11"},
    {"version": "1.1", "wheels": [wheel("a", "1.1")]},
    {"wheels": [wheel("a", hashes={"sha256": B.hex})]},
    {"wheels": [wheel("a", tag="py2.py3-none-any")]},
    {"wheels": [], "archive": {"url": "https://index.example/a.zip", "hashes": {"sha256": A.hex}}},
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_digest_sees_every_change_of_meaning(change: dict[str, Any]):
    changed = {key: value for key, value in package("a", **change).items() if value != []}
    assert lock(package("a")).digest != lock(changed).digest


@pytest.mark.parametrize(
    "head",
    [
        {"requires-python": ">=3.12"},
        {"environments": ["os_name == 'posix'"]},
        {"extras": ["x"]},
        {"dependency-groups": ["x"]},
        {"dependency-groups": ["x"], "default-groups": ["x"]},
    ],
)
def test_the_digest_sees_the_head(head: dict[str, Any]):
    assert lock(package("a")).digest != lock(package("a"), **head).digest


def test_a_newer_major_is_refused():
    with pytest.raises(UnreadableError) as caught:
        lock(**{"lock-version": "2.0"})
    assert caught.value.hint == "a newer tool wrote it: upgrade envguard"
    with pytest.raises(UnreadableError):
        read(b"", "pylock.toml")


def test_a_newer_minor_is_a_gap(caplog: pytest.LogCaptureFixture):
    found = lock(package("a"), **{"lock-version": "1.7"})
    assert "1.7" in found.gaps[0].reason
    assert found.digest != lock(package("a")).digest
    assert not caplog.records


def test_every_wrong_package_is_named_by_its_key_path():
    with pytest.raises(UnreadableError) as caught:
        lock(
            package("a"),
            package("B"),
            package("c", marker="nope"),
            package("d", wheels=[wheel("d"), wheel("other")]),
            package("e", wheels=[wheel("e", hashes={"sha256": 7})]),
        )
    for path in (
        "packages[1]",
        "packages[2].marker",
        "packages[3].wheels[1]",
        "packages[4].wheels",
    ):
        assert path in caught.value.message
    assert "packages[0]" not in caught.value.message


@pytest.mark.parametrize("digits", ["00", "Z" * 64, ""])
def test_a_digest_that_is_none(digits: str):
    with pytest.raises(UnreadableError, match=r"packages\[0\]"):
        lock(package("a", wheels=[wheel("a", hashes={"sha256": digits})]))


@pytest.mark.parametrize(
    "head", [{"created-by": 7}, {"requires-python": "nope"}, {"environments": "x"}, {"packages": 3}]
)
def test_a_wrong_head(head: dict[str, Any]):
    with pytest.raises(UnreadableError, match=next(iter(head))):
        lock(**head)


def test_too_many_packages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("envguard.formats.pylock.MAX_PACKAGES", 1)
    with pytest.raises(LimitError):
        lock(package("a"), package("b"))


def test_a_deep_marker_is_a_limit():
    with pytest.raises(UnreadableError):
        lock(package("a", marker="(" * 50_000 + "os_name=='x'" + ")" * 50_000))


def test_no_secret_leaves():
    secret = "https://me:s3cret@index.example/a-1.0-py3-none-any.whl"
    found = lock(package("a", index=secret, wheels=[wheel("a", url=secret)]))
    assert "s3cret" not in repr(found)
    with pytest.raises(UnreadableError) as caught:
        lock(package("b", wheels=[wheel("a", url=secret)]), package(secret))
    assert "s3cret" not in str(caught.value)


BASE = tomli_w.dumps(
    document(
        package("a", sdist={"url": "https://index.example/a-1.0.tar.gz", "hashes": {"md5": "0"}}),
        {"name": "b", "vcs": {"type": "git", "url": "https://c.example", "commit-id": "0"}},
        **{"requires-python": ">=3.11", "environments": ["os_name == 'posix'"]},
    )
)


@given(st.integers(0, 10**9))
def test_a_damaged_lock_is_read_or_refused(seed: int):
    """Mutations: a line dropped, doubled, or one of its values replaced by another type."""
    chance = random.Random(seed)
    lines = BASE.splitlines()
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        key = lines[at].split("=")[0]
        lines[at : at + 1] = chance.choice(
            [
                [],
                [lines[at]] * 2,
                [f"{key}= 7"],
                [f'{key}= "x"'],
                [f"{key}= []"],
                [f"{key}= [{{}}]"],
            ]
        )
    with suppress(UnreadableError):
        read("\n".join(lines).encode(), "pylock.toml")


def test_base_of_the_mutations_is_valid():
    assert len(read(BASE.encode(), "pylock.toml").entries) == len(tomllib.loads(BASE)["packages"])
