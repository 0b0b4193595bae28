"""Will this model give the same answers in that environment?

The Python API is the commands' stories, loaded when they are first used::

    import envguard

    envguard.lock(...)         # inputs -> hashed lock
    envguard.fingerprint(...)  # model + lock -> fingerprint
    envguard.build(...)        # fingerprint or lock -> image
    envguard.diff(...)         # two environments -> comparison
    envguard.inspect(...)      # anything -> what is in it
"""

TYPE_CHECKING = False  # importing typing for it would double what `envguard --version` costs
if TYPE_CHECKING:
    from envguard.verbs.build import build
    from envguard.verbs.diff import diff
    from envguard.verbs.fingerprint import fingerprint
    from envguard.verbs.inspect import inspect
    from envguard.verbs.lock import lock

__version__ = "0.1.0"
__all__ = ["__version__", "build", "diff", "fingerprint", "inspect", "lock"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from importlib import import_module

        return getattr(import_module(f"envguard.verbs.{name}"), name)
    raise AttributeError(f"module 'envguard' has no attribute {name!r}")
