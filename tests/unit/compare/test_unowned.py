"""Files that no package owns, compared: what differs, and how bad it is."""

import pytest

from envguard.compare.unowned import compare_unowned
from envguard.model.digest import Digest
from envguard.model.environment import UnownedFile, UnownedKind
from envguard.model.findings import Change, Severity


def file(
    path: str = "lib/x.py", data: bytes | None = b"1", kind: UnownedKind = UnownedKind.MODULE
) -> UnownedFile:
    digest = None if data is None else Digest.of(data)
    return UnownedFile(path=path, kind=kind, why=f"a {kind}", digest=digest)


def test_the_same_on_both_sides_is_no_difference() -> None:
    both = (file(), file("lib/y.py"))
    assert list(compare_unowned(both, both[::-1])) == []


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ((), (file(),), (None, "content")),
        ((file(),), (), ("content", None)),
        ((file(),), (file(data=b"2"),), ("content", "content")),
        ((file(data=None),), (file(data=None),), ("cannot", "cannot")),
    ],
)
def test_what_differs_is_one_finding_naming_the_file(before, after, shown) -> None:
    (finding,) = compare_unowned(before, after)
    assert (finding.change, finding.subject) == (Change.UNOWNED, "lib/x.py")
    texts = [text and text.split()[0] for text in (finding.before, finding.after)]
    assert tuple(texts) == shown
    assert "a module" in finding.reason
    assert "remove lib/x.py" in (finding.fix or "")


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        (UnownedKind.HOOK, Severity.ERROR),
        (UnownedKind.SHADOW, Severity.ERROR),
        (UnownedKind.MODULE, Severity.WARNING),
        (UnownedKind.BYTECODE, Severity.WARNING),
        (UnownedKind.MAKER, Severity.NOTE),
        (UnownedKind.OTHER, Severity.NOTE),
    ],
)
def test_severity_follows_the_worse_side(kind, severity) -> None:
    (finding,) = compare_unowned((), (file(kind=kind),))
    assert finding.severity is severity
    harmless = file(data=b"2", kind=UnownedKind.OTHER)
    (changed,) = compare_unowned((file(kind=kind),), (harmless,))
    assert changed.severity is severity
