"""Names of images."""

import pytest

from envguard.images.reference import check_reference
from envguard.model.errors import UsageError


@pytest.mark.parametrize(
    "text",
    ["churn", "churn:1", "team/churn:1.4-rc.1", "localhost:5000/a/b_c:v1", "registry.example/x"],
)
def test_names(text: str) -> None:
    assert check_reference(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "Churn", "bad tag", "a:b:c", "a//b", "-a", "a:", "a:-x", "a\n", "BAD:::x", "a" * 256, "ä"],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        check_reference(text)
