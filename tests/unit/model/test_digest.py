import copy
import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.model.digest import Digest

DIGESTS = st.builds(
    lambda algorithm, data: Digest(algorithm, hashlib.new(algorithm, data).hexdigest()),
    st.sampled_from(["sha256", "sha384", "sha512"]),
    st.binary(max_size=8),
)


@given(DIGESTS)
def test_round_trip(digest: Digest):
    assert Digest.parse(str(digest)) == digest
    assert pickle.loads(pickle.dumps(digest)) == digest
    assert copy.deepcopy(digest) == digest
    assert hash(Digest.parse(str(digest))) == hash(digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:00",
        "md5:" + "0" * 32,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha512:" + "0" * 64,
        " sha256:" + "0" * 64,
        "sha256:" + "0" * 64 + "\n",
    ],
)
def test_what_is_no_digest(text: str):
    with pytest.raises(ValueError, match="not a digest"):
        Digest.parse(text)


def test_of_bytes():
    assert str(Digest.of(b"")) == f"sha256:{hashlib.sha256(b'').hexdigest()}"
    assert Digest.of(b"").short == "e3b0c44298fc"


def test_it_cannot_be_changed():
    with pytest.raises(AttributeError):
        Digest.of(b"").hex = "0"


@given(st.lists(DIGESTS, max_size=5))
def test_order_is_that_of_the_text(digests: list[Digest]):
    assert [str(digest) for digest in sorted(digests)] == sorted(map(str, digests))


def test_it_equals_no_text():
    assert Digest.of(b"") != str(Digest.of(b""))
