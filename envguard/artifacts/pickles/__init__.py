"""A strict, inert reader of pickles: it does what the loader does, with symbols for objects.

`machine` runs the opcodes as ``pickle.load`` would, but a global stays a name, a call makes a
symbol, and of strings, dicts and tuples only what can matter is kept. So nothing needs to be
guessed: the module and name of a ``STACK_GLOBAL`` are what lies on the stack at that moment, by
whatever detour they came there. (Listing opcodes is not enough: it misses imports that the loader
performs, and it fails on joblib's files, where the bytes of arrays lie between opcodes.)

* `source`: the bytes, with frames.
* `symbols`: what stands for objects.
* `literals`, `containers`, `objects`: the opcodes in three families; `machine` joins them.
* `names`: what a global means: renamed modules, and globals that no reader can see behind.
* `standard_library`: which of the standard library's globals are safe to call.
* `arrays`: how long joblib's raw arrays are.
* `stated_versions`: where libraries state the version that wrote a model.
* `reader`: facts -> `Reading`.

Where CPython's two loaders, their versions, and joblib's loader differ, the difference is
refused: the pickle is damaged. Known limit: what a *called* function of another library does is
not seen. Calls of computed things, of functions that run code or load further pickles, of all of
the standard library but plain data, and changes to globals themselves are therefore gaps, and
every global asked for is a `Loads`.

Sources: ``Lib/pickle.py``, ``Modules/_pickle.c``, PEP 307, PEP 3154, PEP 574, and joblib's
``numpy_pickle.py``.
"""
