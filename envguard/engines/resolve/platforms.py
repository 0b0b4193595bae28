"""The platforms that a lock can be limited to, by uv's names for them.

A name is ``x86_64-manylinux_2_28``, ``x86_64-unknown-linux-gnu``, ``x86_64-unknown-linux-musl``
(or with ``aarch64``), or ``linux``. envguard builds for Linux; a lock for everything else is the
universal one.
"""

import re
from dataclasses import dataclass

from envguard.model.environment import Interpreter, Libc, Platform
from envguard.model.errors import UsageError
from envguard.model.target import Target

_NAME = re.compile(
    r"(?P<machine>x86_64|aarch64)-(?:manylinux_(?P<glibc>\d+_\d+)|(?P<legacy>manylinux2014)"
    r"|unknown-linux-(?P<family>gnu|musl))"
)
_GNU, _MUSL, _LEGACY = "2.28", "1.2", "2.17"
"""The libc that uv takes for ``gnu`` and ``musl`` (its help on ``--python-platform``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockPlatform:
    """A platform with uv's *name* for it."""

    name: str
    platform: Platform

    @classmethod
    def parse(cls, name: str) -> "LockPlatform":
        """Read a name. Raises `UsageError` for one that is not known."""
        match = _NAME.fullmatch("x86_64-unknown-linux-gnu" if name == "linux" else name)
        if match is None:
            raise UsageError(
                f"is no platform to lock for: {name[:60]!r}",
                where="--target",
                expected="linux, x86_64-manylinux_2_28, aarch64-unknown-linux-musl, ...",
                hint="leave it out for a lock that holds on every platform",
            )
        if match["family"] == "musl":
            libc = Libc(family="musl", version=_MUSL)
        else:
            glibc = (match["glibc"] or "").replace("_", ".")
            libc = Libc(family="glibc", version=glibc or (_LEGACY if match["legacy"] else _GNU))
        return cls(name=name, platform=Platform(os="linux", machine=match["machine"], libc=libc))

    @property
    def marker(self) -> str:
        """The marker that holds on this platform (markers cannot tell libcs apart)."""
        machine = self.platform.machine
        return f"sys_platform == '{self.platform.os}' and platform_machine == '{machine}'"

    def target(self, python: str) -> Target:
        """This platform with CPython *python*."""
        interpreter = Interpreter(implementation="cpython", version=python)
        return Target(interpreter=interpreter, platform=self.platform)
