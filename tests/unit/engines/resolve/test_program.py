import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from envguard.engines.resolve import program
from envguard.engines.resolve.program import run
from envguard.model.errors import ToolError

CHILD = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
PARENT = (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', sys.argv[2], sys.argv[1]]); time.sleep(60)"
)


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_what_it_said_is_shown_without_secrets():
    code = (
        "import sys; print('not here'); "
        "sys.exit('error: \\x1b[31mno https://u:s3cret@index.example/simple\\n\\n  because')"
    )
    with pytest.raises(ToolError) as caught:
        run(python(code), name="uv", where="a.in", hints={"never said": "do that", "": "do this"})
    assert caught.value.message == (
        "uv found no lock:\n  error: [31mno https://***@index.example/simple\n    because"
    )
    assert (caught.value.where, caught.value.hint) == ("a.in", "do this")


def test_success_is_silent(capfd: pytest.CaptureFixture[str]):
    run(python("import sys; print('x'); print('y', file=sys.stderr)"), name="uv", where="a.in")
    assert capfd.readouterr() == ("", "")


def test_no_input_is_waited_for():
    run(python("import sys; assert sys.stdin.read() == ''"), name="uv", where="a.in")


def test_time_out_kills_the_children_too(tmp_path: Path):
    note = tmp_path / "pid"
    with pytest.raises(ToolError, match="longer than 1 s"):
        run(python(PARENT, note, CHILD), name="uv", where="a.in", seconds=1)
    assert_dead(int(note.read_text()))


def test_an_interrupt_kills_the_children_too(tmp_path: Path):
    note = tmp_path / "pid"

    def interrupt() -> None:
        while not (note.exists() and note.read_text()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    # A shell's background jobs are started with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(python(PARENT, note, CHILD), name="uv", where="a.in")
    finally:
        signal.signal(signal.SIGINT, before)
    assert_dead(int(note.read_text()))


def assert_dead(pid: int) -> None:
    for _ in range(200):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    pytest.fail(f"{pid} still runs")


def test_long_explanations_keep_their_end(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ToolError) as caught:
        run(python("import sys; sys.exit('x' * 100000 + 'end')"), name="uv", where="a.in")
    assert caught.value.message.endswith("xend")
    assert len(caught.value.message) < program._SHOWN + 100
