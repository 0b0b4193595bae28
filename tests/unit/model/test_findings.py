import pytest

from envguard.model.errors import (
    EnvguardError,
    ExitCode,
    IntegrityError,
    LimitError,
    MismatchError,
    ToolError,
    UnreadableError,
    UsageError,
)
from envguard.model.findings import Area, Change, Finding, Severity, worst


def finding(severity: Severity) -> Finding:
    return Finding(
        area=Area.PACKAGES,
        change=Change.VERSION,
        subject="numpy",
        before="1",
        after="2",
        severity=severity,
        reason="differs",
    )


def test_severities_are_ordered():
    assert [severity.rank for severity in Severity] == [0, 1, 2]
    assert Severity.ERROR.lowered() is Severity.WARNING
    assert Severity.WARNING.lowered() is Severity.NOTE
    assert Severity.NOTE.lowered() is Severity.NOTE


def test_the_worst_of_findings():
    assert worst([]) is None
    assert worst(map(finding, [Severity.NOTE, Severity.ERROR, Severity.WARNING])) is Severity.ERROR


@pytest.mark.parametrize(
    ("codes", "winner"),
    [
        ((), ExitCode.OK),
        ((ExitCode.OK, ExitCode.UNREADABLE), ExitCode.UNREADABLE),
        ((ExitCode.UNREADABLE, ExitCode.MISMATCH), ExitCode.MISMATCH),
        ((ExitCode.INTEGRITY, ExitCode.MISMATCH, ExitCode.UNREADABLE), ExitCode.INTEGRITY),
    ],
)
def test_four_beats_one_beats_three_beats_zero(codes: tuple[ExitCode, ...], winner: ExitCode):
    assert ExitCode.worst(*codes) is winner


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, 2),
        (MismatchError, 1),
        (UnreadableError, 3),
        (LimitError, 3),
        (ToolError, 3),
        (IntegrityError, 4),
    ],
)
def test_errors_say_where_and_end_in_their_code(kind: type[EnvguardError], code: int):
    error = kind("is wrong", where="a.lock", expected="x", found="y", hint="z")
    assert error.exit_code == code
    assert str(error) == "a.lock: is wrong"
    assert (error.expected, error.found, error.hint) == ("x", "y", "z")
    assert str(kind("is wrong")) == "is wrong"
