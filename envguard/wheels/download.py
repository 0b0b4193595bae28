"""Bytes from a web server: proxies, certificates, netrc and redirects as people expect of pip.

Credentials come from netrc alone and stay with the host they are for: after a redirect to
another host, port or scheme they are not sent again.
"""

import netrc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from envguard.formats.url import without_credentials
from envguard.model.errors import UnreadableError

if TYPE_CHECKING:
    from ssl import SSLContext

    from urllib3 import BaseHTTPResponse, PoolManager
    from urllib3.exceptions import HTTPError

_CHUNK_SIZE = 1 << 20
_REDIRECT_LIMIT = 5
_TIMEOUTS = {"connect": 20.0, "read": 60.0}
_SLOWEST = 1024
"""Bytes per second, on average, that a server must send after the first minute."""
_CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_TRY_AGAIN = (408, 425, 429)


_TRY_LATER = "try again later"
_NETWORK_HINT = (
    "look whether this machine reaches the index: the network, and the proxy in HTTPS_PROXY and"
    " NO_PROXY"
)


class Transient(Exception):
    """A failure that another attempt may not meet; *hint* says what a person can do."""

    def __init__(self, message: str, *, hint: str = _TRY_LATER) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of one file as they come; *length* in bytes where the server states it."""

    length: int | None
    chunks: Iterator[bytes]


class Client:
    """Keeps connections for as many threads as *connections*."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._pools: dict[str | None, PoolManager] = {}
        self._lock = threading.Lock()

    @contextmanager
    def get(self, url: str) -> Iterator[Body]:
        """The body at *url*.

        Raises `Transient` for what may be better next time, also while the body is read, and
        `UnreadableError` for what will not.
        """
        from urllib3.exceptions import HTTPError, SSLError

        try:
            response = self._follow(url)
            try:
                _check_status(response.status, url)
                length = response.headers.get("Content-Length", "")
                yield Body(int(length) if length.isdecimal() else None, _chunks(response))
            finally:
                response.close()
        except SSLError as error:
            raise UnreadableError(
                f"the connection cannot be trusted: {error}",
                where=without_credentials(url),
                hint="name the certificates that you trust in SSL_CERT_FILE",
            ) from error
        except HTTPError as error:
            raise _transient(error) from error

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.clear()

    def _follow(self, url: str) -> "BaseHTTPResponse":
        """The first answer that is no redirect."""
        target = checked(url)
        headers = self._headers(target)
        for _ in range(_REDIRECT_LIMIT + 1):
            response = self._request(target, headers)
            location = response.get_redirect_location()
            if not location:
                return response
            response.close()
            previous, target = target, checked(urljoin(target.geturl(), location))
            if previous.scheme == "https" and target.scheme != "https":
                raise UnreadableError(
                    "redirects from https to http", where=without_credentials(url)
                )
            if _origin(target) != _origin(previous):
                headers.pop("authorization", None)  # as make_headers spells it
        raise UnreadableError(
            f"redirects more than {_REDIRECT_LIMIT} times", where=without_credentials(url)
        )

    def _request(self, target: SplitResult, headers: dict[str, str]) -> "BaseHTTPResponse":
        from urllib3 import Timeout

        return self._pool(target).request(
            "GET",
            target._replace(fragment="").geturl(),
            headers=headers,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=Timeout(**_TIMEOUTS),
        )

    def _headers(self, target: SplitResult) -> dict[str, str]:
        from urllib3 import make_headers

        headers = {"Accept-Encoding": "identity", "User-Agent": "envguard"}
        # Only the entry of this host: netrc's "default" would go to everyone.
        user, _, password = self._netrc.get(target.hostname or "", ("", None, None))
        if user or password:
            headers |= make_headers(basic_auth=f"{user}:{password or ''}")
        return headers

    @cached_property
    def _netrc(self) -> dict[str, tuple[str, str | None, str | None]]:
        path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
        try:
            return dict(netrc.netrc(path).hosts)
        except (OSError, UnicodeDecodeError, netrc.NetrcParseError):
            return {}

    def _pool(self, target: SplitResult) -> "PoolManager":
        """Connections to the host of *target*, through the proxy that the environment names."""
        from urllib.request import getproxies, proxy_bypass

        host = target.hostname or ""
        proxy = None if proxy_bypass(host) else getproxies().get(target.scheme)
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = _new_pool(proxy, self._connections)
            return self._pools[proxy]


def checked(url: str) -> SplitResult:
    """*url* in its parts; `UnreadableError` for credentials in it and for other schemes."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError
    except ValueError as error:
        raise UnreadableError("is no URL", where=without_credentials(url)) from error
    if parts.username is not None or parts.password is not None:
        raise UnreadableError(
            "the URL carries credentials",
            where=without_credentials(url),
            hint="remove them from the lock, change them, and put them into ~/.netrc",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnreadableError(
            "cannot be fetched",
            where=without_credentials(url),
            expected="an https, http or file URL",
        )
    return parts


def _origin(target: SplitResult) -> tuple[str, str | None, int]:
    default = 443 if target.scheme == "https" else 80
    return target.scheme, target.hostname, target.port or default


def _new_pool(proxy: str | None, connections: int) -> "PoolManager":
    from urllib3 import PoolManager, ProxyManager, make_headers

    if proxy is None:
        return PoolManager(maxsize=connections, ssl_context=_trust())
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https"):
        raise UnreadableError(
            f"proxies of scheme {parts.scheme} are not supported", expected="http or https"
        )
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return ProxyManager(
        parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
        proxy_headers=make_headers(proxy_basic_auth=user) if parts.username else None,
        maxsize=connections,
        ssl_context=_trust(),
        proxy_ssl_context=_trust(),
    )


def _trust() -> "SSLContext":
    """The certificates that the environment names, else those of the system."""
    import ssl

    bundle = next((os.environ[name] for name in _CERTIFICATES if os.environ.get(name)), None)
    try:
        if bundle and Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise UnreadableError(f"holds no certificates: {error}", where=bundle) from error


def _check_status(status: int, url: str) -> None:
    if status == 200:
        return
    if status >= 500 or status in _TRY_AGAIN:
        raise Transient(f"the server answered {status}")
    hints = {
        401: "the host's user and password are taken from ~/.netrc",
        403: "the host's user and password are taken from ~/.netrc",
        404: "the index no longer has the file there: lock again",
        410: "the index no longer has the file there: lock again",
    }
    raise UnreadableError(
        f"the server answered {status}", where=without_credentials(url), hint=hints.get(status)
    )


def _transient(error: "HTTPError") -> Transient:
    """What went wrong, in words that are the same for every file of one host."""
    from urllib3 import exceptions

    match error:
        case exceptions.ProxyError():
            return Transient("the proxy cannot be used", hint=_NETWORK_HINT)
        case exceptions.NameResolutionError():
            return Transient("name resolution failed", hint=_NETWORK_HINT)
        case exceptions.ConnectTimeoutError() | exceptions.NewConnectionError():
            return Transient("no connection", hint=_NETWORK_HINT)
        case exceptions.TimeoutError():
            return Transient("no answer in time", hint=_NETWORK_HINT)
        case _:
            return Transient(without_credentials(str(error)), hint=_NETWORK_HINT)


def _chunks(response: "BaseHTTPResponse") -> Iterator[bytes]:
    """The body as it arrives. `Transient` from a server that all but stands still."""
    start, done = time.monotonic(), 0
    while data := response.read1(_CHUNK_SIZE, decode_content=False):
        yield data
        done += len(data)
        elapsed = time.monotonic() - start
        if elapsed > 60 and done < _SLOWEST * elapsed:
            raise Transient(f"only {done} bytes came in {elapsed:.0f} s")
