"""A way to a server on loopback that can be switched off, as if the server were down."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable
from types import TracebackType

_REQUEST = re.compile(rb"(?:GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n")

Rule = Callable[[int, str], bool]


class Switch:
    """Passes HTTP on to a port as long as it is up; nobody listens, and nobody is heard, if not.

    Args:
        port: Of the server.
        up: Asked at every request: (how many came before, its path) -> whether the server is there
            for it; False breaks all connections.
    """

    def __init__(self, port: int, up: Rule = lambda *_: True) -> None:
        self._to = port
        self.up = up
        self.requests = 0
        """How many came, those that were not heard among them."""
        self._thread = threading.Thread(target=self._run, name="switch", daemon=True)
        self._ready = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Switch:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, sock=self._socket)
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._break()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._open.add(server)
        back = asyncio.create_task(_pass_on(answers, writer))
        try:
            while data := await reader.read(2**16):
                for request in _REQUEST.finditer(data):
                    heard = self.up(self.requests, request[1].decode())
                    self.requests += 1
                    if not heard:
                        self._break()
                        return
                server.write(data)
                await server.drain()
        except OSError:
            pass  # one of the two went away
        finally:
            back.cancel()
            for end in (writer, server):
                end.transport.abort()
                self._open.discard(end)

    def _break(self) -> None:
        while self._open:
            self._open.pop().transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
    writer.close()
