from itertools import pairwise

import pytest
from packaging.tags import Tag, sys_tags

from envguard.model.environment import Environment, Interpreter, Libc, Platform, Section
from envguard.model.errors import UsageError
from envguard.model.target import Target


def target(
    version: str = "3.11.7", machine: str = "x86_64", libc: str = "glibc 2.36", **more
) -> Target:
    family, _, revision = libc.partition(" ")
    interpreter = Interpreter(implementation="cpython", version=version, **more)
    return Target(
        interpreter=interpreter,
        platform=Platform(
            os="linux",
            machine=machine,
            libc=Libc(family=family, version=revision) if libc else None,
        ),
    )


def test_marker_values():
    values = target("3.12").marker_environment()
    assert values["python_version"] == "3.12"
    assert values["python_full_version"] == values["implementation_version"] == "3.12.0"
    assert (values["sys_platform"], values["os_name"]) == ("linux", "posix")
    assert (values["platform_machine"], values["platform_system"]) == ("x86_64", "Linux")
    assert values["platform_python_implementation"] == "CPython"


def test_marker_values_of_this_python_are_those_of_packaging():
    import platform
    import sys

    from packaging.markers import default_environment

    here = Target(
        interpreter=Interpreter(
            implementation=sys.implementation.name, version=platform.python_version()
        ),
        platform=Platform(os=sys.platform, machine=platform.machine()),
    )
    theirs = default_environment()
    unknown = ("platform_release", "platform_version")
    assert {
        key: value for key, value in here.marker_environment().items() if key not in unknown
    } == {key: value for key, value in theirs.items() if key not in unknown}


def test_tags_of_this_python_are_those_of_packaging():
    """Differential: packaging's own tags of the Python that runs the test (CPython on Linux)."""
    import os
    import platform

    libc = os.confstr("CS_GNU_LIBC_VERSION")
    if not libc:
        pytest.skip("not on glibc")
    ours = target(platform.python_version(), platform.machine(), libc)
    mine, theirs = list(ours.tags()), list(sys_tags())
    assert set(mine) == set(theirs)
    # Where plain linux_* ranks has changed between packaging's releases; the rest has one order.
    assert [tag for tag in mine if not tag.platform.startswith("linux_")] == [
        tag for tag in theirs if not tag.platform.startswith("linux_")
    ]


def test_tags_are_unique_and_best_first():
    tags = [str(tag) for tag in target().tags()]
    assert len(tags) == len(set(tags))
    assert tags[0] == "cp311-cp311-manylinux_2_36_x86_64"
    for better, worse in pairwise(
        [
            "cp311-cp311-manylinux_2_28_x86_64",
            "cp311-cp311-manylinux_2_17_x86_64",
            "cp311-cp311-manylinux2014_x86_64",
            "cp311-abi3-manylinux_2_17_x86_64",
            "py3-none-any",
        ]
    ):
        assert tags.index(better) < tags.index(worse)


def test_musl_and_no_libc():
    musl = {tag.platform for tag in target(libc="musl 1.2").tags()}
    assert musl == {"musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "musllinux_1_0_x86_64",
                    "linux_x86_64", "any"}  # fmt: skip
    assert {tag.platform for tag in target(libc="").tags()} == {"linux_x86_64", "any"}


def test_old_manylinux_is_for_intel_alone():
    assert Tag("py3", "none", "manylinux1_x86_64") in set(target().tags())
    arm = {tag.platform for tag in target(machine="aarch64").tags()}
    assert "manylinux2014_aarch64" in arm
    assert "manylinux1_aarch64" not in arm


def test_free_threaded_builds_have_their_own_abi():
    abis = {tag.abi for tag in target("3.13.0", free_threaded=True).tags()}
    assert "cp313t" in abis
    assert "cp313" not in abis


def test_other_implementations_are_refused():
    interpreter = Interpreter(implementation="pypy", version="3.11")
    with pytest.raises(UsageError):
        list(Target(interpreter=interpreter, platform=target().platform).tags())


def test_an_environment_that_states_no_platform_is_no_target():
    whole = Environment(
        source="x",
        interpreter=Section.seen(target().interpreter),
        platform=Section.seen(target().platform),
        packages=Section.unseen("not looked for"),
    )
    assert Target.of(whole) == target()
    partial = Environment(
        source="x",
        interpreter=Section.seen(target().interpreter),
        platform=Section.unseen("not stated"),
        packages=Section.unseen("not looked for"),
    )
    with pytest.raises(UsageError):
        Target.of(partial)


def test_platform_tag():
    assert target().platform_tag == "linux_x86_64"
