"""Two environments against each other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.compare.environments import compare
from envguard.compare.packages import Depth
from envguard.model.artifact import ModelIdentity
from envguard.model.digest import Digest
from envguard.model.environment import Environment, Interpreter, Section
from envguard.model.findings import Area, Change, Finding, Severity
from envguard.model.lock import unpinned
from envguard.model.package import Index, LocalFolder
from tests.support.packages import INTERPRETER, PLATFORM, environment, package, pinned


def only(before: Environment, after: Environment, depth: Depth = Depth.CONTENT) -> Finding:
    result = compare(before, after, depth=depth)
    assert len(result.findings) == 1, result
    return result.findings[0]


def test_the_same_environment_is_equal() -> None:
    here = environment(package("numpy"), package("scipy"))
    result = compare(here, replace(here, source="there"))
    assert result.equal
    assert result.packages == 2


@pytest.mark.parametrize(
    ("before", "after", "change", "severity"),
    [
        (package("numpy", "1.26.4"), package("numpy", "2.2.6"), Change.VERSION, Severity.ERROR),
        (package("numpy"), package("numpy", content="b"), Change.CONTENT, Severity.ERROR),
        (package("numpy"), None, Change.MISSING, Severity.ERROR),
        (None, package("numpy"), Change.EXTRA, Severity.WARNING),
        (
            package("numpy", build="cp311-cp311-manylinux_2_17_x86_64"),
            package("numpy", content="b", build="cp311-cp311-linux_x86_64"),
            Change.BUILD,
            Severity.WARNING,
        ),
        (
            package("numpy", origin=Index(url="https://index.example/simple")),
            package("numpy", origin=LocalFolder(url="file:///src/numpy")),
            Change.ORIGIN,
            Severity.WARNING,
        ),
    ],
)
def test_each_kind_of_difference_has_its_severity(before, after, change, severity) -> None:
    found = only(
        environment(*filter(None, [before])), environment(*filter(None, [after]), source="there")
    )
    assert (found.change, found.severity) == (change, severity)


def test_the_same_content_is_the_same_build_whatever_its_tags_claim() -> None:
    before = environment(package("lightgbm", build="py3-none-manylinux_2_28_x86_64"))
    after = environment(package("lightgbm", build="py3-none-linux_x86_64"))
    assert compare(before, after).equal


def test_one_version_written_in_two_ways_is_one_version() -> None:
    assert compare(environment(package("a", "1.0")), environment(package("a", "1.0.0"))).equal


def test_a_local_version_is_another_version() -> None:
    found = only(
        environment(package("torch", "2.1.0+cu121")), environment(package("torch", "2.1.0"))
    )
    assert found.change is Change.VERSION


def test_depth_decides_how_deep() -> None:
    before, after = environment(package("a")), environment(package("a", content="b"))
    assert compare(before, after, depth=Depth.VERSION).equal
    assert compare(before, after, depth=Depth.BUILD).equal
    assert not compare(before, after, depth=Depth.CONTENT).equal


def test_content_that_one_side_does_not_know_is_a_gap_and_never_equal() -> None:
    result = compare(environment(package("a")), environment(package("a", content=None)))
    assert not result.findings
    assert [gap.subject for gap in result.gaps] == ["a 1.0"]
    assert not result.equal


def test_a_package_that_a_lock_names_without_pinning_it_is_a_gap_and_no_difference() -> None:
    gap = unpinned("requirements.in:2", "My_Lib>=1; extra")
    pinned_part = Section.partly((package("a"),), "does not pin every requirement")
    loose = environment(packages=pinned_part, gaps=(gap,))
    result = compare(loose, environment(package("a"), package("my-lib")))
    assert result.findings == ()
    assert "My_Lib>=1; extra" in [gap.subject for gap in result.gaps]


def test_two_locks_are_compared_by_their_archives() -> None:
    assert compare(environment(pinned("a")), environment(pinned("a"))).equal
    changed = only(environment(pinned("a")), environment(pinned("a", archive="b")))
    assert changed.change is Change.CONTENT


def test_a_file_changed_in_place_is_found_and_named() -> None:
    broken = package("a", content="b", modified=("lib/a/core.py",))
    found = only(environment(package("a")), environment(broken))
    assert found.change is Change.CONTENT
    assert found.details == ("lib/a/core.py",)


def test_a_changed_script_that_content_leaves_out_is_found_too() -> None:
    found = only(environment(package("a")), environment(package("a", modified=("scripts/a",))))
    assert found.details == ("scripts/a",)


@pytest.mark.parametrize(
    ("change", "subject", "severity"),
    [
        ({"version": "3.12.1"}, "python", Severity.ERROR),
        ({"version": "3.11.9"}, "python patch", Severity.WARNING),
        ({"implementation": "pypy"}, "implementation", Severity.ERROR),
        ({"free_threaded": True}, "build flags", Severity.WARNING),
    ],
)
def test_interpreters(change, subject, severity) -> None:
    other = environment(interpreter=Section.seen(replace(INTERPRETER, **change)))
    found = only(environment(), other)
    assert (found.area, found.subject, found.severity) == (Area.INTERPRETER, subject, severity)


def test_a_patch_version_that_is_not_stated_is_no_difference() -> None:
    vague = environment(interpreter=Section.seen(replace(INTERPRETER, version="3.11")))
    assert not compare(environment(), vague).findings


def test_platforms() -> None:
    other = environment(platform=Section.seen(replace(PLATFORM, machine="aarch64")))
    assert only(environment(), other).severity is Severity.ERROR


def test_a_section_seen_in_part_is_a_gap() -> None:
    reason = "two site folders could not be read"
    partial = environment(packages=Section.partly((package("a"),), reason))
    assert [gap.reason for gap in compare(environment(package("a")), partial).gaps] == [reason]


def test_an_unseen_section_is_not_compared_and_said_so() -> None:
    unseen = Section[Interpreter].unseen("a requirements file names no Python")
    result = compare(environment(package("a")), environment(package("a"), interpreter=unseen))
    assert (Area.INTERPRETER, "a requirements file names no Python") in [
        (left_out.area, left_out.reason) for left_out in result.not_compared
    ]
    assert result.equal


def test_nothing_against_nothing_is_never_equal() -> None:
    assert not compare(environment(), environment()).equal


def test_another_model_is_an_error_and_a_lacking_one_is_said() -> None:
    here = environment(package("a"))
    one, two = (ModelIdentity(name="m.pkl", digest=Digest.of(text)) for text in (b"1", b"2"))
    assert compare(here, here, models=(one, one)).equal
    (found,) = compare(here, here, models=(one, two)).findings
    assert (found.area, found.severity) == (Area.ARTIFACT, Severity.ERROR)
    lacking = compare(here, here, models=(one, None))
    assert lacking.equal
    assert Area.ARTIFACT in [left_out.area for left_out in lacking.not_compared]


def test_an_installer_that_one_side_alone_has_is_left_out_and_said_so() -> None:
    result = compare(environment(package("a")), environment(package("a"), package("pip", "23.2")))
    assert result.equal
    assert "pip 23.2" in [left_out.subject for left_out in result.not_compared]


def test_an_installer_that_something_requires_is_compared() -> None:
    needs_it = package("mlflow-skinny", requires=("setuptools<80",))
    found = only(environment(needs_it, package("setuptools")), environment(needs_it))
    assert (found.subject, found.change) == ("setuptools", Change.MISSING)


def test_installers_of_two_versions_are_compared() -> None:
    before, after = environment(package("pip", "23")), environment(package("pip", "24"))
    assert only(before, after).change is Change.VERSION


def test_unseen_packages_are_a_gap() -> None:
    blind = environment(package("a"), packages=Section.unseen("locked archive"))
    assert compare(environment(package("a")), blind).gaps


packages = st.lists(
    st.builds(
        package,
        st.sampled_from(["numpy", "scipy", "joblib", "pip"]),
        st.sampled_from(["1.0", "1.0.0", "2.0"]),
        st.sampled_from(["a", "b", None]),
    ),
    unique_by=lambda item: item.name,
).map(lambda items: environment(*items))


@given(packages)
def test_an_environment_differs_from_itself_in_nothing(here) -> None:
    assert not compare(here, here).findings


@given(packages, packages)
def test_both_directions_find_the_same_subjects(before, after) -> None:
    forth, back = compare(before, after), compare(after, before)
    assert {item.subject for item in forth.findings} == {item.subject for item in back.findings}
    assert {gap.subject.split()[0] for gap in forth.gaps} == {
        gap.subject.split()[0] for gap in back.gaps
    }


@given(packages, packages)
def test_equal_means_that_all_contents_are_known_and_the_same(before, after) -> None:
    if compare(before, after).equal:
        contents = [
            {p.name: p.content for p in side.packages.value or ()} for side in (before, after)
        ]
        for content in contents:
            content.pop("pip", None)
        assert contents[0] == contents[1]
        assert None not in contents[0].values()
