"""Servers on loopback whose every byte is written by the test, and proxies."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.support.loopback import Asked, LoopbackServer

Serve = Callable[[Asked, asyncio.StreamWriter], Awaitable[bool]]


def response(body: Any, *, status: int = 200, **headers: str) -> bytes:
    """Return an answer as it goes over the wire; underscores in names are hyphens."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content_length": str(len(content)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items()]
    return f"HTTP/1.1 {status} -\r\n{''.join(lines)}\r\n".encode() + content


class RawServer(LoopbackServer):
    """Serves until it is left as a context manager.

    Args:
        serve: Called with each request and where the answer is to be written; returns whether the
            connection stays open.
        tls: Of a server that speaks TLS.
    """

    def __init__(self, serve: Serve, tls: ssl.SSLContext | None = None) -> None:
        super().__init__([])
        self._serve_one = serve
        self.tls = tls

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        asked = await self._read(reader)
        self.asked.append(asked)
        return await self._serve_one(asked, writer)


class Proxy(LoopbackServer):
    """Passes requests on, and opens tunnels (CONNECT).

    Args:
        refusal: What is said to every request in place of that.
    """

    def __init__(self, refusal: bytes | None = None) -> None:
        super().__init__([])
        self._refusal = refusal
        self.heads: list[tuple[str, Mapping[str, str]]] = []
        """The first line and the headers of each request to the proxy."""

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve_client(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        finally:
            writer.close()

    async def _serve_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        self.heads.append((first, headers))
        if self._refusal is not None:
            writer.write(self._refusal)
            await writer.drain()
            return
        method, target, version = first.split(" ")
        place = target.removeprefix("http://").partition("/")[0]
        host, _, port = place.partition(":")
        to_server, server = await asyncio.open_connection(host, int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = target.removeprefix(f"http://{place}")
            server.write(f"{method} {path} {version}".encode() + head[len(first) :])
        try:
            await asyncio.gather(_pipe(reader, server), _pipe(to_server, writer))
        finally:
            server.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
