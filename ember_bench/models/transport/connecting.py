"""Connections to a server: over TLS where its address says so, through the environment's proxy."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple, cast
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from ember_bench.errors import ConfigError
from ember_bench.secrets import redacted

_PORTS: Final = {"http": 80, "https": 443}
_LONGEST_HEAD: Final = 2**16
_LONGEST_STATUS: Final = 100
_CONNECTED: Final = re.compile(rb"HTTP/1\.\d 2\d\d")


class Origin(NamedTuple):
    """A server: what its address has before the path."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the server of an address."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not host.isascii():
            host = host.encode("idna").decode()
        return cls(parts.scheme, host, parts.port or _PORTS.get(parts.scheme, 0))

    @property
    def netloc(self) -> str:
        """Host and port as a `Host` header has them."""
        usual = self.port == _PORTS.get(self.scheme)
        return self.authority.rpartition(":")[0] if usual else self.authority

    @property
    def authority(self) -> str:
        """Host and port, as a proxy is told them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def basic(user: str | None, password: str | None) -> str:
    """Return the credentials of an address as a header has them (RFC 7617)."""
    both = f"{unquote(user or '')}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(both.encode()).decode()}"


class Connector:
    """Makes connections to one server.

    Args:
        origin: The server.
        seconds: How long making one may take.

    Attributes:
        headers: What the proxy, if it sees the requests, wants to have with each.

    Raises:
        ConfigError: if the environment names a proxy of a kind that cannot be used.
    """

    def __init__(self, origin: Origin, seconds: float) -> None:
        self.origin = origin
        self._seconds = seconds
        self._proxy, self._credentials = _proxy(origin)
        self._tls = ssl.create_default_context() if self._needs_tls() else None
        if self._tls is not None:
            self._tls.set_alpn_protocols(["http/1.1"])

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request."""
        return self._credentials if self._relays() else {}

    def target(self, path: str) -> str:
        """Return what is asked for: a proxy that passes requests on wants the whole address."""
        return f"http://{self.origin.netloc}{path}" if self._relays() else path

    async def connect(self, protocol: asyncio.Protocol) -> None:
        """Make a connection that speaks `protocol`.

        Raises:
            OSError: if it cannot be made; `TimeoutError` if it takes too long.
        """
        async with asyncio.timeout(self._seconds):
            if self._proxy is not None and not self._relays():
                await self._tunnel(self._proxy, protocol)
                return
            place = self._proxy or self.origin
            await asyncio.get_running_loop().create_connection(
                lambda: protocol, place.host, place.port, ssl=self._tls_for(place)
            )

    async def _tunnel(self, proxy: Origin, protocol: asyncio.Protocol) -> None:
        """Connect through a proxy that sees nothing of what goes through it (RFC 9110, 9.3.6)."""
        loop, server = asyncio.get_running_loop(), self.origin.authority
        transport, tunnel = await loop.create_connection(
            _Tunnel, proxy.host, proxy.port, ssl=self._tls_for(proxy)
        )
        try:
            lines = [f"CONNECT {server} HTTP/1.1", f"Host: {server}"]
            lines += [f"{name}: {value}" for name, value in self._credentials.items()]
            transport.write("\r\n".join([*lines, "", ""]).encode())
            await tunnel.open
            secure = await loop.start_tls(
                transport,
                protocol,
                cast("ssl.SSLContext", self._tls),
                server_hostname=self.origin.host,
            )
        except BaseException:
            transport.abort()
            raise
        protocol.connection_made(cast("asyncio.BaseTransport", secure))

    def _relays(self) -> bool:
        """Whether a proxy sees the requests and passes them on."""
        return self._proxy is not None and self.origin.scheme == "http"

    def _needs_tls(self) -> bool:
        return "https" in (self.origin.scheme, self._proxy and self._proxy.scheme)

    def _tls_for(self, place: Origin) -> ssl.SSLContext | None:
        return self._tls if place.scheme == "https" else None


class _Tunnel(asyncio.Protocol):
    """Waits for a proxy to say that it has connected."""

    def __init__(self) -> None:
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        whole = b"\r\n\r\n" in self._head or len(self._head) > _LONGEST_HEAD
        if self.open.done() or not whole:
            return
        if _CONNECTED.match(self._head):
            self.open.set_result(None)
        else:
            status = self._head.split(b"\r\n", 1)[0][:_LONGEST_STATUS].decode("latin-1")
            self.open.set_exception(ConnectionError(f"the proxy says: {status}"))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.open.done():
            self.open.set_exception(ConnectionError("the proxy closed the connection"))


def _proxy(origin: Origin) -> tuple[Origin | None, Mapping[str, str]]:
    """Return the proxy that the environment names for a server, and the credentials for it."""
    named = getproxies()
    url = named.get(origin.scheme) or named.get("all")
    if not url or proxy_bypass(f"{origin.host}:{origin.port}"):
        return None, {}
    url = url if "://" in url else f"http://{url}"
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigError(
            f"the proxy {redacted(url)} for {origin.netloc} is none of http or https: "
            "`transport: sdk` in the model's card may know how to use it"
        )
    given = parts.username is not None or parts.password is not None
    credentials = {"Proxy-Authorization": basic(parts.username, parts.password)} if given else {}
    return Origin.of(url), credentials


def on_same_server(url: str, location: str) -> str | None:
    """Return where a redirect leads; None if that is another server, or nowhere."""
    try:
        where = urljoin(url, location)
        return where if Origin.of(where) == Origin.of(url) else None
    except ValueError:  # no address at all
        return None
