"""Fingerprint files: round trip, integrity, schema, and the golden sample kept for ever."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.formats import fingerprint as file
from envguard.formats import manifest_digest, packages_digest
from envguard.formats.canonical import dumps
from envguard.model.artifact import Artifact, Loads, ManifestEntry, Revision, Where, WrittenBy
from envguard.model.digest import Digest
from envguard.model.environment import (
    Coverage,
    Environment,
    Interpreter,
    Section,
    UnownedFile,
    UnownedKind,
)
from envguard.model.errors import IntegrityError, UnreadableError
from envguard.model.findings import Area, Gap
from envguard.model.fingerprint import Fingerprint, GitState, Provenance
from envguard.model.package import Archive, DirectUrl, Ecosystem, Package, Vcs
from tests.support.packages import INTERPRETER, environment, package, pinned

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "fingerprint.schema.json"


def sample() -> Fingerprint:
    """One fingerprint with a value in every field."""
    where = Where(path="tickets.joblib", offset=42)
    manifest = (ManifestEntry(path="tickets.joblib", size=7, digest=Digest.of(b"content")),)
    artifact = Artifact(
        name="tickets.joblib",
        digest=manifest_digest.digest(manifest),
        manifest=manifest,
        kinds=("joblib",),
        needs=(
            WrittenBy(distribution="scikit-learn", version="1.4.2", where=where),
            Loads(module="sklearn.pipeline", name="Pipeline", where=where),
            Revision(format="pickle", revision="4", where=Where(path="a.zip", member="b.pkl")),
        ),
        gaps=(Gap(area=Area.ARTIFACT, subject="x.bin", reason="not understood", fix="none"),),
    )
    wheel = replace(pinned("numpy", "1.26.4"), content=Digest.of(b"numpy"), requires=("x>1",))
    stray = UnownedFile(
        path="lib/x.pth", kind=UnownedKind.HOOK, why="start-up hook", digest=Digest.of(b"import x")
    )
    locked = environment(wheel, package("joblib"), source="pylock.tickets.toml", unowned=(stray,))
    return made(artifact, locked)


def made(artifact: Artifact, locked: Environment) -> Fingerprint:
    """A fingerprint of *artifact* and *locked* whose parts agree."""
    identity = file.identity_of(artifact, Digest.of(b"lock"), locked)
    return Fingerprint(
        id=file.identify(identity),
        name="tickets",
        identity=identity,
        artifact=artifact,
        environment=locked,
        provenance=Provenance(
            git=GitState(commit="0" * 40, branch="main", dirty=True, remote="https://git.example/x")
        ),
        observations={"kernel": "6.1.0", "model": "tickets.joblib"},
    )


def test_round_trip() -> None:
    assert file.read(file.write(sample()), "here") == sample()


def test_the_golden_sample_of_every_released_version_is_still_read() -> None:
    samples = sorted(GOLDEN.glob("*.fingerprint.json"))
    assert samples
    for path in samples:
        assert file.read(path.read_bytes(), str(path)).name == "tickets"


def test_the_golden_sample_is_written_to_the_byte() -> None:
    assert file.write(sample()) == (GOLDEN / "1.fingerprint.json").read_bytes()


def test_the_published_schema_is_the_code_and_accepts_the_sample() -> None:
    published = json.loads(SCHEMA.read_text())
    assert published == json.loads(json.dumps(file.json_schema()))
    jsonschema.validate(json.loads(file.write(sample())), published)


def test_the_same_identity_has_the_same_id_whatever_was_observed() -> None:
    other = replace(sample(), observations={"kernel": "5.10"})
    assert file.identify(other.identity) == sample().id
    assert file.write(other) != file.write(sample())


def test_every_part_of_the_identity_decides() -> None:
    identity, other = sample().identity, Digest.of(b"other")
    changed = {
        file.identify(replace(identity, artifact=other)),
        file.identify(replace(identity, lock=other)),
        file.identify(replace(identity, packages=other)),
        file.identify(replace(identity, interpreter="cpython-3.12")),
        file.identify(replace(identity, platform="linux_aarch64")),
    }
    assert len(changed | {sample().id}) == 6


def test_an_edited_file_is_an_integrity_failure() -> None:
    edited = file.write(sample()).replace(b"1.26.4", b"1.26.5")
    with pytest.raises(IntegrityError, match="was changed after it was written"):
        file.read(edited, "here")


def test_an_id_that_is_not_the_identity_s_is_an_integrity_failure() -> None:
    forged = replace(sample(), id=Digest.of(b"other"))
    with pytest.raises(IntegrityError, match="id is not that of its identity"):
        file.read(file.write(forged), "here")


def test_a_newer_schema_is_not_read_and_says_what_to_do() -> None:
    newer = file.write(sample()).replace(b"fingerprint/1", b"fingerprint/2")
    with pytest.raises(UnreadableError) as raised:
        file.read(newer, "here")
    assert raised.value.hint == "a newer envguard wrote it: upgrade"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_typed_error(data) -> None:
    with pytest.raises((UnreadableError, IntegrityError)):
        file.read(data, "here")


@given(st.data())
def test_a_cut_or_flipped_file_is_a_typed_error(data) -> None:
    whole = file.write(sample())
    at = data.draw(st.integers(0, len(whole) - 2))
    flipped = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    for broken in (whole[:at], flipped):
        try:
            result = file.read(broken, "here")
        except (UnreadableError, IntegrityError):
            continue
        assert result == sample()  # only white space between tokens may change


ARTIFACT, LOCKED = sample().artifact, sample().environment


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("artifact", Digest.of(b"other"), "identity.artifact is not artifact.digest"),
        ("packages", Digest.of(b"other"), "identity.packages is not the digest of"),
        ("interpreter", "cpython-3.12", "identity.interpreter is not cpython-3.11"),
        ("platform", "linux_aarch64", "identity.platform is not linux_x86_64"),
    ],
)
def test_an_identity_of_something_else_is_an_integrity_failure(part, value, message) -> None:
    identity = replace(sample().identity, **{part: value})
    forged = replace(sample(), identity=identity, id=file.identify(identity))
    with pytest.raises(IntegrityError, match=message):
        file.read(file.write(forged), "here")


def test_a_manifest_of_another_model_is_an_integrity_failure() -> None:
    (entry,) = ARTIFACT.manifest
    other = replace(ARTIFACT, manifest=(replace(entry, digest=Digest.of(b"other")),))
    with pytest.raises(IntegrityError, match=r"artifact\.digest is not that of artifact\.manifest"):
        file.read(file.write(made(other, LOCKED)), "here")


@pytest.mark.parametrize("change", [{"version": "1.26.5"}, {"archives": ()}])
def test_other_packages_than_those_of_the_identity_are_an_integrity_failure(change) -> None:
    joblib, numpy = LOCKED.packages.value or ()
    packages = Section[tuple[Package, ...]].seen((joblib, replace(numpy, **change)))
    forged = replace(sample(), environment=replace(LOCKED, packages=packages))
    with pytest.raises(IntegrityError, match=r"identity\.packages is not"):
        file.read(file.write(forged), "here")


def refused(fingerprint: Fingerprint) -> str:
    with pytest.raises(UnreadableError) as raised:
        file.read(file.write(fingerprint), "here")
    return str(raised.value)


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a\0b"]
)
def test_manifest_paths_stay_in_the_model(path) -> None:
    (entry,) = ARTIFACT.manifest
    forged = replace(ARTIFACT, manifest=(replace(entry, path=path),))
    assert "path that leaves the model" in refused(replace(sample(), artifact=forged))


def test_a_manifest_names_no_file_twice() -> None:
    twice = replace(ARTIFACT, manifest=ARTIFACT.manifest * 2)
    assert "'tickets.joblib' twice" in refused(replace(sample(), artifact=twice))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\nb", "\x1b[2J", "a\0"])
def test_names_are_plain(name) -> None:
    assert "name is no plain name" in refused(replace(sample(), name=name))
    renamed = replace(ARTIFACT, name=name)
    assert "artifact.name is no plain name" in refused(replace(sample(), artifact=renamed))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "NumPy"}, "not a normalised name"),
        ({"name": "../numpy"}, "not a normalised name"),
        ({"name": "num--py"}, "not a normalised name"),
        ({"version": "1.0/../2"}, "version is malformed"),
        ({"version": "1.0\n"}, "version is malformed"),
        ({"build": "py3 none any"}, "build is malformed"),
        ({"requires": ("x\x1b[2J",)}, "control characters"),
        ({"modules": ("a\nb",)}, "control characters"),
        ({"origin": DirectUrl(url="https://index.example/\r\n")}, "control characters"),
        ({"archives": (Archive(filename="../numpy-1-py3-none-any.whl"),)}, "no plain name"),
        ({"archives": (Archive(filename="numpy.whl"),)}, "Invalid wheel filename"),
        ({"archives": (Archive(filename="evil-1-py3-none-any.whl"),)}, "is a wheel of evil"),
        ({"archives": (Archive(size=-1),)}, "-1 bytes"),
        ({"archives": (Archive(url="https://index.example/\0"),)}, "control characters"),
    ],
)
def test_package_fields_match_their_grammar(change, message) -> None:
    joblib, numpy = LOCKED.packages.value or ()
    packages = Section[tuple[Package, ...]].seen((joblib, replace(numpy, **change)))
    assert message in refused(made(ARTIFACT, replace(LOCKED, packages=packages)))


def test_packages_of_other_ecosystems_have_other_names() -> None:
    deb = Package(ecosystem=Ecosystem.DEB, name="libstdc++6", version="1:12.2.0-14+deb12u1~1")
    numpy = Package(ecosystem=Ecosystem.CONDA, name="numpy", version="1.26.4", build="py311h_0")
    locked = environment(deb, numpy, package("numpy"))
    assert file.read(file.write(made(ARTIFACT, locked)), "here").environment == locked


def test_a_package_stands_there_once() -> None:
    twice = environment(package("numpy"), package("numpy", "2.0"))
    assert "'numpy' of pypi stands there twice" in refused(made(ARTIFACT, twice))


@pytest.mark.parametrize(
    "section",
    [
        Section(value=None, coverage=Coverage.ALL),
        Section(value=None, coverage=Coverage.PART),
        Section(value=(), coverage=Coverage.NONE),
    ],
)
def test_coverage_agrees_with_the_value(section) -> None:
    forged = made(ARTIFACT, replace(LOCKED, packages=section))
    assert "environment.packages has" in refused(forged)


def test_an_environment_states_its_python() -> None:
    blind = replace(sample(), environment=replace(LOCKED, interpreter=Section.unseen("x")))
    assert "states no interpreter or platform" in refused(blind)


def test_a_python_version_is_one() -> None:
    odd = replace(INTERPRETER, version="3")
    forged = made(ARTIFACT, replace(LOCKED, interpreter=Section[Interpreter].seen(odd)))
    assert "environment.interpreter.version is malformed" in refused(forged)


def test_many_problems_are_a_few_words() -> None:
    many = environment(*(package(f"A{number}") for number in range(1000)))
    message = refused(made(ARTIFACT, many))
    assert "and 995 more" in message
    assert len(message) < 1000


def test_a_key_stands_there_once() -> None:
    twice = file.write(sample()).replace(b'"name": "tickets",', b'"name": "x", "name": "tickets",')
    with pytest.raises(UnreadableError, match="'name' stands there twice"):
        file.read(twice, "here")


@pytest.mark.parametrize("value", [1, None, [], {}, True, "md5:1", "sha256:"])
def test_a_digest_of_another_type_is_a_typed_error(value) -> None:
    document = json.loads(file.write(sample()))
    del document["digest"]
    document["artifact"]["digest"] = value
    document["digest"] = str(Digest.of(dumps(document)))
    with pytest.raises(UnreadableError, match="is no fingerprint"):
        file.read(json.dumps(document).encode(), "here")


@given(st.permutations(["a", "b", "c"]))
def test_the_order_of_packages_and_their_addresses_do_not_count(names) -> None:
    packages = [pinned(name, archive=name) for name in sorted(names)]
    mirrored = [
        replace(one, content=Digest.of(b"known"), archives=(replace(one.archives[0], url=None),))
        for one in (pinned(name, archive=name) for name in names)
    ]
    assert packages_digest.digest(packages) == packages_digest.digest(mirrored)


def test_every_package_field_that_is_installed_counts() -> None:
    commit = Vcs(system="git", url="https://git.example/x", commit="0" * 40)
    one = replace(pinned("numpy"), origin=commit)
    others = [
        one,
        replace(one, name="numpy2"),
        replace(one, version="2.0"),
        replace(one, version=None),
        replace(one, archives=()),
        replace(one, ecosystem=Ecosystem.CONDA),
        replace(one, origin=replace_commit(commit)),
    ]
    assert len({packages_digest.digest([other]) for other in others}) == len(others)


def replace_commit(origin: Vcs) -> Vcs:
    return Vcs(system=origin.system, url=origin.url, commit="1" * 40)
