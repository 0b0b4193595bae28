"""The canary: reading hostile models imports, runs, writes and connects to nothing."""

import subprocess
import sys

SCRIPT = """
import gzip, io, pickle, sys
import joblib, numpy
from envguard.artifacts.limits import Limits
from envguard.artifacts.read import read
from tests.support import pickles
from tests.support.memory_files import MemoryFiles

stream = io.BytesIO()
joblib.dump(numpy.arange(3), stream, compress=3)
value = [1, "x", "x" * 300, 2.5]
benign = {str(p): pickle.dumps(value, p) for p in range(6)} | {"joblib": stream.getvalue()}
hostile = {name: data for name, (data, _) in pickles.hostile().items()}
hostile |= {f"broken {name}": data for name, data in pickles.broken().items()}
hostile |= {f"gap {name}": data for name, data in pickles.unforeseeable().items()}
hostile |= {f"packed {name}": gzip.compress(data) for name, data in hostile.items()}
hostile["marker"] = (
    b"\\x80\\x04" + pickles.stack_global("envguard_canary", "sing") + b")R."
)

def read_all(files):
    return read(MemoryFiles(files), "m", keep_damaged=True, limits=Limits(ratio_from=1 << 20))

read_all(benign | {"bomb": gzip.compress(bytes(2 << 20))})  # everything lazy is loaded now
before = set(sys.modules)
events = []
WATCHED = ("import", "exec", "compile", "open", "os.", "socket.", "subprocess.", "pickle.",
           "ctypes.", "marshal.", "shutil.", "builtins.", "cpython.run")

def hook(event, arguments):
    if event.startswith(WATCHED):
        events.append((event, repr(arguments)[:200]))

sys.addaudithook(hook)
artifact = read_all(hostile)
found, events = events, []
loads = len(artifact.needs)
pickle.loads(pickle.dumps(Limits))  # the canary itself sings
print(loads > 50, found, sorted(set(sys.modules) - before), bool(events))
"""


def test_nothing_happens_while_hostile_models_are_read():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "True [] [] True", done.stderr
