"""Which of the standard library's globals may be called without anything unseen happening.

The standard library can find any function by its name and call it (``pkgutil.resolve_name``,
``builtins.map``, ``cProfile.run``), in more ways than a list could forbid. So the list says what
is allowed: plain data, which real models hold, and whose making calls nothing but the methods of
what is put into it. Every other call of the standard library is a gap.

To allow another global, add it here; it must neither look up a name nor call an argument.
"""

import builtins
import sys
from functools import lru_cache

_REMOVED = frozenset(
    (
        # with 3.12
        *("asynchat", "asyncore", "distutils", "imp", "smtpd"),
        # with 3.13
        *("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap"),
        *("msilib", "nis", "nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau"),
        *("telnetlib", "uu", "xdrlib"),
        # added with 3.14 and later
        *("annotationlib", "compression", "_interpreters", "_zstd", "profiling"),
        "test",
    )
)
MODULES = sys.stdlib_module_names | _REMOVED
"""The top modules of every supported Python, not only of the one that runs this."""

_EXCEPTIONS = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)
_SAFE: dict[str, frozenset[str]] = {
    module: frozenset(names.split())
    for module, names in {
        "_codecs": "encode",  # how protocols 0 to 2 write bytes
        "_random": "Random",
        "argparse": "Namespace",
        "array": "array _array_reconstructor",
        "builtins": "bool bytearray bytes complex dict enumerate float frozenset getattr int list"
        " object range reversed set slice str tuple zip",
        "collections": "ChainMap Counter OrderedDict UserDict UserList UserString defaultdict"
        " deque",
        "copyreg": "_reconstructor __newobj__ __newobj_ex__",
        "datetime": "date datetime time timedelta timezone tzinfo",
        "decimal": "Context Decimal",
        "fractions": "Fraction",
        "functools": "partial",  # calls nothing until it is called, and that is a gap
        "http": "HTTPMethod HTTPStatus",
        "inspect": "Parameter Signature _ParameterKind",
        "io": "BytesIO StringIO",
        "_io": "BytesIO StringIO",
        "ipaddress": "IPv4Address IPv4Interface IPv4Network IPv6Address IPv6Interface IPv6Network",
        "itertools": "count repeat",
        "logging": "getLogger",
        "operator": "itemgetter",
        "os": "stat_result",
        "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
        "pathlib._local": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
        "random": "Random SystemRandom",
        "re": "RegexFlag _compile compile",
        "signal": "Handlers Signals Sigmasks",
        "socket": "AddressFamily SocketKind",
        "statistics": "NormalDist",
        "string": "Formatter Template",
        "time": "struct_time",
        "types": "GenericAlias SimpleNamespace",
        "urllib.parse": "DefragResult DefragResultBytes ParseResult ParseResultBytes SplitResult"
        " SplitResultBytes",
        "uuid": "SafeUUID UUID",
        "zoneinfo": "ZoneInfo ZoneInfo._unpickle",
        "zoneinfo._zoneinfo": "ZoneInfo ZoneInfo._unpickle",
    }.items()
}
_SAFE_WITH_ONE = frozenset((("builtins", "iter"), ("builtins", "type")))
"""With one argument ``type`` and ``iter`` look; with more they make a class and call things."""

_METHODS = frozenset(("__init__", "__new__", "__newobj__", "__newobj_ex__"))


@lru_cache(maxsize=4096)
def unseen_call(module: str, name: str, arguments: int | None) -> str | None:
    """Why nobody can tell what calling this global does, or ``None``.

    *arguments* is how many there are, ``None`` where that is not known. A global of another
    library is not judged, but for one that only leads back to the standard library or to the
    inside of Python (``helpers.os.system``, ``function.__globals__.get``).
    """
    if module.partition(".")[0] in MODULES:
        return None if _is_safe(module, name, arguments) else _reason(f"{module}.{name}")
    *owners, last = name.split(".")
    if not MODULES.isdisjoint(owners) or any(map(_is_inside, (*owners, last))):
        return f"calls {module}.{name} when loaded; what that leads to is not seen"
    return None


def _is_safe(module: str, name: str, arguments: int | None) -> bool:
    if module == "builtins" and name in _EXCEPTIONS:
        return True
    return name in _SAFE.get(module, ()) or ((module, name) in _SAFE_WITH_ONE and arguments == 1)


def _reason(called: str) -> str:
    return f"calls {called} of the standard library when loaded; what that leads to is not seen"


def _is_inside(part: str) -> bool:
    return part.startswith("__") and part.endswith("__") and part not in _METHODS
