"""A Python, an operating system and a libc to select packages for, without running any of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envguard.model.environment import Environment, Interpreter, Libc, Platform
from envguard.model.errors import UsageError

if TYPE_CHECKING:
    from packaging.markers import Environment as MarkerEnvironment
    from packaging.tags import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a lock is selected for; a patch version that is not known counts as ``.0``."""

    interpreter: Interpreter
    platform: Platform

    @classmethod
    def of(cls, environment: Environment) -> "Target":
        """The target that *environment* itself is.

        Raises `UsageError` when it states no interpreter or platform.
        """
        interpreter, platform = environment.interpreter.value, environment.platform.value
        if interpreter is None or platform is None:
            raise UsageError(
                "does not say for which Python and platform it is",
                where=environment.source,
                hint="name an environment, or compare with something that states them",
            )
        return cls(interpreter=interpreter, platform=platform)

    @property
    def interpreter_tag(self) -> str:
        """The interpreter's part of the identity: ``cpython-3.11``.

        With ``t`` for a free-threaded and ``d`` for a debug build.
        """
        python = self.interpreter
        flags = ("t" if python.free_threaded else "") + ("d" if python.debug else "")
        return f"{python.implementation}-{python.minor}{flags}"

    @property
    def platform_tag(self) -> str:
        """The platform part of the identity: ``linux_x86_64``."""
        return f"{self.platform.os}_{self.platform.machine}"

    def marker_environment(self) -> "MarkerEnvironment":
        """The values of environment markers (dependency specifiers specification)."""
        version = self.interpreter.version
        full = version if version.count(".") >= 2 else f"{version}.0"
        names = {"linux": ("posix", "linux", "Linux"), "darwin": ("posix", "darwin", "Darwin")}
        os_name, sys_platform, system = names.get(self.platform.os, ("nt", "win32", "Windows"))
        implementation = self.interpreter.implementation
        return {
            "implementation_name": implementation,
            "implementation_version": full,
            "os_name": os_name,
            "platform_machine": self.platform.machine,
            "platform_python_implementation": {"cpython": "CPython", "pypy": "PyPy"}.get(
                implementation, implementation
            ),
            "platform_release": "",
            "platform_system": system,
            "platform_version": "",
            "python_full_version": full,
            "python_version": self.interpreter.minor,
            "sys_platform": sys_platform,
        }

    def tags(self) -> "Iterator[Tag]":
        """Compatible wheel tags, best first (platform compatibility tags specification)."""
        from packaging import tags

        if self.interpreter.implementation != "cpython":
            raise UsageError(
                f"wheels for {self.interpreter.implementation} cannot be selected",
                expected="cpython",
                found=self.interpreter.implementation,
            )
        major, minor = (int(part) for part in self.interpreter.minor.split("."))
        threading = "t" if self.interpreter.free_threaded else ""
        abi = f"cp{major}{minor}{threading}" + ("d" if self.interpreter.debug else "")
        platforms = list(self._platforms())
        yield from tags.cpython_tags((major, minor), [abi], platforms)
        yield from tags.compatible_tags((major, minor), f"cp{major}{minor}", platforms)

    def _platforms(self) -> Iterator[str]:
        """Platform tags, newest libc first (PEP 600, PEP 656)."""
        machine, libc = self.platform.machine, self.platform.libc
        if self.platform.os != "linux":
            yield f"{self.platform.os}_{machine}"
            return
        match libc:
            case Libc(family="glibc", version=version):
                major, minor = (int(part) for part in version.split(".")[:2])
                legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
                oldest = 5 if machine in ("x86_64", "i686") else 17
                for revision in range(minor, oldest - 1, -1):
                    yield f"manylinux_{major}_{revision}_{machine}"
                    if revision in legacy:
                        yield f"{legacy[revision]}_{machine}"
            case Libc(family="musl", version=version):
                major, minor = (int(part) for part in version.split(".")[:2])
                for revision in range(minor, -1, -1):
                    yield f"musllinux_{major}_{revision}_{machine}"
        yield f"linux_{machine}"
