"""The script that a live interpreter runs to say what it is: `SCRIPT`, and the `Facts` it tells.

It is run with ``-I -S``: no site folder is imported from, no .pth file and no sitecustomize is
executed. Because ``site`` has not run, the script itself looks for pyvenv.cfg, as ``site`` would.
It must run on every Python from 3.6 on.
"""

import msgspec

SCRIPT = r"""
import json, os, platform, sys, sysconfig

def venv_prefix():
    folder = os.path.dirname(os.path.abspath(sys.executable))
    for candidate in (os.path.dirname(folder), folder):
        if os.path.isfile(os.path.join(candidate, "pyvenv.cfg")):
            return candidate
    return None

def uses_system_sites(prefix):
    value = "true"
    with open(os.path.join(prefix, "pyvenv.cfg"), encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, equals, text = line.partition("=")
            if equals and name.strip().lower() == "include-system-site-packages":
                value = text.strip().lower()
    return value == "true"

def site_folders(prefix):
    import site
    base = sys.base_prefix
    folders = []
    if prefix is not None:
        sys.prefix = sys.exec_prefix = prefix
        folders += site.getsitepackages([prefix])
        sys.prefix = sys.exec_prefix = base
    if prefix is None or uses_system_sites(prefix):
        if os.getuid() == os.geteuid() and os.getgid() == os.getegid():
            folders.append(site.getusersitepackages())
        folders += site.getsitepackages([base, sys.base_exec_prefix])
    known = {}
    for folder in folders:
        if os.path.isdir(folder):
            known.setdefault(os.path.realpath(folder), folder)
    return list(known.values())

def libc():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, OSError, ValueError):
        return None

prefix = venv_prefix()
sys.stdout.write(json.dumps({
    "implementation": sys.implementation.name,
    "version": platform.python_version(),
    "abi": sysconfig.get_config_var("SOABI"),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "debug": hasattr(sys, "gettotalrefcount"),
    "executable": os.path.abspath(sys.executable),
    "prefix": prefix or sys.base_prefix,
    "base_prefix": sys.base_prefix,
    "sites": site_folders(prefix),
    "os": sys.platform,
    "machine": platform.machine(),
    "bits": 64 if sys.maxsize > 2 ** 32 else 32,
    "libc": libc(),
}))
"""


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an interpreter said of itself. Paths are absolute; *libc* is ``glibc 2.36`` or nothing.

    *prefix* is a virtual environment's own where it is one, *sites* are in the order of sys.path.
    """

    implementation: str
    version: str
    abi: str | None
    free_threaded: bool
    debug: bool
    executable: str
    prefix: str
    base_prefix: str
    sites: tuple[str, ...]
    os: str
    machine: str
    bits: int
    libc: str | None
