"""What runs whenever a Python starts: .pth files, sitecustomize, and the interpreter itself.

Source: the standard library's ``site``.
"""

import re

from envguard.model.digest import Digest
from envguard.model.environment import UnownedFile, UnownedKind
from envguard.model.errors import UnreadableError
from envguard.model.files import Files, Kind, join, read

HOOKS = ("sitecustomize", "usercustomize")
SCRIPT = "bin/python is a script"
_PROGRAM = re.compile(r"python(?:3(?:\.\d+t?)?)?")
_PROGRAM_HEADS = (
    b"\x7fELF",
    b"MZ",
    b"\xcf\xfa\xed\xfe",  # Mach-O, and its fat kind
    b"\xca\xfe\xba\xbe",
)
_PTH_LIMIT = 1 << 20
# setuptools writes these two lines around the paths of easy-install.pth.
_EASY_INSTALL = (
    "import sys; sys.__plen = len(sys.path)",
    "import sys; new=sys.path[sys.__plen:]; del sys.path[sys.__plen:]; "
    "p=getattr(sys,'__egginsert',0); sys.path[p:p]=new; sys.__egginsert = p+len(new)",
)
_VIRTUALENV_PTH = "import _virtualenv"
_VIRTUALENV = frozenset(
    {"07584d2a5d13e0811eb567d78ed2aca0fb60e7defff59a01ca7a48d907bdea51"}  # virtualenv 21
)


def runs_code(files: Files, path: str) -> bool:
    """Whether the .pth file *path* runs code that is not its maker's; so does an unreadable one."""
    try:
        text = read(files, path, limit=_PTH_LIMIT).decode("utf-8-sig", "replace")
    except UnreadableError:
        return True
    lines = [line.strip() for line in text.splitlines()]
    code = [line for line in lines if re.match(r"import[ \t]", line)]
    match path.rpartition("/")[2]:
        case "_virtualenv.pth":
            return code != [_VIRTUALENV_PTH]
        case "easy-install.pth":
            return any(line not in _EASY_INSTALL for line in code)
        case _:
            return bool(code)


def of_virtualenv(file: UnownedFile) -> UnownedFile | None:
    """A ``_virtualenv.py``: nothing where its bytes are known, else what it claims to be."""
    if file.digest is not None and file.digest.hex in _VIRTUALENV:
        return None
    return UnownedFile(
        path=file.path,
        kind=UnownedKind.MAKER,
        why="written by virtualenv or uv",
        digest=file.digest,
    )


def script_programs(files: Files, prefix: str) -> tuple[UnownedFile, ...]:
    """The interpreters of *prefix* that are a text to run and no program: wrappers, each once."""
    found: dict[Digest | None, UnownedFile] = {}
    folder = join(prefix, "bin")
    for entry in files.scan(folder):
        path = join(folder, entry.name)
        if _PROGRAM.fullmatch(entry.name) and _is_script(files, path, entry.kind):
            digest = digest_of(files, path)
            script = UnownedFile(
                path=f"scripts/{entry.name}", kind=UnownedKind.HOOK, why=SCRIPT, digest=digest
            )
            found.setdefault(digest, script)
    return tuple(found.values())


def digest_of(files: Files, path: str) -> Digest | None:
    """The digest of a file, or ``None`` where it cannot be read."""
    try:
        return files.digest(path)
    except UnreadableError:
        return None


def _is_script(files: Files, path: str, kind: Kind) -> bool:
    """Whether a file is no program, or a link leads to a text with ``#!``."""
    try:
        with files.open(path) as stream:
            head = stream.read(4)
    except UnreadableError:
        return False
    return head.startswith(b"#!") if kind is Kind.LINK else not head.startswith(_PROGRAM_HEADS)
