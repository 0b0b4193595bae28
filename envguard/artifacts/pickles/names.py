"""What a global means to the loader and to a reader."""

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

from envguard.artifacts.pickles.symbols import Role

_ROLES = {
    ("copyreg", "_reconstructor"): Role.CONSTRUCTOR,
    ("copyreg", "__newobj__"): Role.CONSTRUCTOR,
    ("copyreg", "__newobj_ex__"): Role.CONSTRUCTOR,
    ("builtins", "bytearray"): Role.CONVERTER,
    ("builtins", "bytes"): Role.CONVERTER,
    ("_codecs", "encode"): Role.CONVERTER,
    ("builtins", "getattr"): Role.GETATTR,
    ("numpy", "dtype"): Role.DTYPE,
}
# joblib has lived inside other packages (sklearn.externals.joblib), so the class alone counts.
_ARRAY_ROLES = {
    "NumpyArrayWrapper": Role.ARRAY,
    "NDArrayWrapper": Role.OLD_ARRAY,
    "ZNDArrayWrapper": Role.OLD_ARRAY,
}

# Looked up by the parts of a global's full name: all but the last, and the last.
_PICKLING = frozenset(
    (
        *("pickle", "_pickle", "joblib", "dill", "cloudpickle", "pandas", "numpy", "torch"),
        *("shelve", "ForkingPickler", "_ForkingPickler", "pickle_compat"),
    )
)
_LOADERS = frozenset(
    (
        *("load", "loads", "_load", "_loads", "Unpickler", "_Unpickler", "open"),
        *("read_pickle", "_load_from_bytes"),
    )
)
# Looked up by the last two parts, since cloudpickle also lives inside joblib.
_RUNNERS = {
    "builtins": {"exec", "eval", "compile", "__import__", "setattr", "delattr"},
    "importlib": {"import_module", "__import__", "reload"},
    "_bootstrap": {"_gcd_import", "__import__"},
    "runpy": {"run_path", "run_module", "_run_code", "_run_module_code"},
    "types": {"CodeType", "FunctionType"},
    "marshal": {"load", "loads"},
    "cloudpickle": {
        *("_make_function", "_make_skel_func", "_make_skeleton_class", "_make_skeleton_enum"),
        *("subimport", "dynamic_subimport"),
    },
    "_dill": {"_create_function", "_create_code", "_create_type", "_import_module"},
}


def resolve(module: str, name: str, protocol: int) -> tuple[str, str]:
    """The module and name that Python 3 asks for.

    ``Unpickler.find_class``: up to protocol 2 the names of Python 2 are mapped to those of
    Python 3.
    """
    if protocol >= 3:
        return module, name
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    return IMPORT_MAPPING.get(module, module), name


def role(module: str, name: str) -> Role:
    """What the global does to the reading of the pickle."""
    known = _ROLES.get((module, name))
    return known or _ARRAY_ROLES.get(name.rpartition(".")[2], Role.ORDINARY)


def hidden(module: str, name: str) -> str | None:
    """Why no reader can see what this global leads to, or ``None``."""
    *owners, last = f"{module}.{name}".split(".")
    if last in _LOADERS and not _PICKLING.isdisjoint(owners):
        return f"{module}.{name} loads another pickle at run time"
    if last in _RUNNERS.get(owners[-1], ()):
        return f"{module}.{name} runs code that no reader can foresee"
    return None
