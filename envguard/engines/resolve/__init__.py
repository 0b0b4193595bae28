"""Resolvers: requirements in, a lock document (PEP 751) out.

`RESOLVERS` lists them. One is added by writing a class with the one method of
`envguard.engines.resolve.request.Resolver` and naming it here. All of them leave the choice of
package indexes to the program they drive: its files, its environment variables.
"""

from envguard.engines.resolve.piptools import PipTools
from envguard.engines.resolve.request import Resolver
from envguard.engines.resolve.uv import Uv

RESOLVERS: dict[str, Resolver] = {"uv": Uv(), "pip-tools": PipTools()}
