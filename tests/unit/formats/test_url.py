import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.formats.url import has_credentials, redacted, without_credentials

WORDS = st.text("abcXYZ019-._~!$&'()*+,;=:%", min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://u:p@index.example/simple/", "https://index.example/simple/"),
        ("https://token@index.example/simple/", "https://index.example/simple/"),
        ("https://u:p@w@index.example/", "https://index.example/"),
        ("git+ssh://git@code.example/a/b.git@v1", "git+ssh://git@code.example/a/b.git@v1"),
        ("git+ssh://git:secret@code.example/a.git", "git+ssh://code.example/a.git"),
        ("git+https://code.example/a.git@main", "git+https://code.example/a.git@main"),
        ("https://index.example/a.whl?token=abc", "https://index.example/a.whl"),
        ("https://index.example/a?x=1&X-Amz-Signature=s#f", "https://index.example/a?x=1#f"),
        ("https://${USER}:${TOKEN}@index.example/", "https://index.example/"),
        ("./a@b/c.whl", "./a@b/c.whl"),
    ],
)
def test_credentials_are_removed(url: str, clean: str):
    assert without_credentials(url) == clean
    assert not has_credentials(clean)
    assert "secret" not in redacted(f"see {url} and more")


@given(WORDS, WORDS, st.sampled_from(["https", "git+https", "ftp", "ssh"]))
def test_no_user_information_survives(user: str, password: str, scheme: str):
    url = f"{scheme}://{user}:{password}@index.example/simple/"
    assert without_credentials(url) == f"{scheme}://index.example/simple/"
    assert redacted(f"x {url} y") == f"x {scheme}://***@index.example/simple/ y"
    assert has_credentials(url)


def test_long_text_is_linear():
    assert not has_credentials("https://" * 40_000)
    assert redacted("a" * 1_000_000) == "a" * 1_000_000
