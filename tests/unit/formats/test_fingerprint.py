"""Fingerprint files: round trip, integrity, schema, and the golden sample kept for ever."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.formats import fingerprint as file
from envguard.model.artifact import Artifact, Loads, ManifestEntry, Revision, Where, WrittenBy
from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, UnreadableError
from envguard.model.findings import Area, Gap
from envguard.model.fingerprint import Fingerprint, GitState, Identity, Provenance
from tests.support.packages import environment, package, pinned

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "fingerprint.schema.json"


def sample() -> Fingerprint:
    """One fingerprint with a value in every field."""
    where = Where(path="tickets.joblib", offset=42)
    identity = Identity(
        artifact=Digest.of(b"artifact"),
        lock=Digest.of(b"lock"),
        interpreter="cpython-3.11",
        platform="linux_x86_64",
    )
    artifact = Artifact(
        name="tickets.joblib",
        digest=identity.artifact,
        manifest=(ManifestEntry(path="tickets.joblib", size=7, digest=Digest.of(b"content")),),
        kinds=("joblib",),
        needs=(
            WrittenBy(distribution="scikit-learn", version="1.4.2", where=where),
            Loads(module="sklearn.pipeline", name="Pipeline", where=where),
            Revision(format="pickle", revision="4", where=Where(path="a.zip", member="b.pkl")),
        ),
        gaps=(Gap(area=Area.ARTIFACT, subject="x.bin", reason="not understood", fix="none"),),
    )
    wheel = replace(pinned("numpy", "1.26.4"), content=Digest.of(b"numpy"), requires=("x>1",))
    return Fingerprint(
        id=file.identify(identity),
        name="tickets",
        identity=identity,
        artifact=artifact,
        environment=environment(wheel, package("joblib"), source="pylock.tickets.toml"),
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
        file.identify(replace(identity, interpreter="cpython-3.12")),
        file.identify(replace(identity, platform="linux_aarch64")),
    }
    assert len(changed | {sample().id}) == 5


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
