"""An HTTP server on loopback that answers as it is told, with faults where it is told.

It remembers what it was asked, and runs on a loop of its own in a thread, so synchronous and
asynchronous code can ask it. `openai_server` makes it speak OpenAI's chat completions.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True)
class Asked:
    """One request as it came: the how-manieth (from 0), its path, headers (lower case), body."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def prompt(self) -> str:
        """The last message's text."""
        return str(self.body["messages"][-1]["content"])


RESET = -1


@dataclass(frozen=True)
class Fault:
    """Anything but a completion.

    Attributes:
        status: The HTTP status; 0 closes the connection without a word, `RESET` resets it.
        body: Sent as it is if text or bytes; else OpenAI's error envelope around it, or as JSON
            if `raw`.
        cut: Close the connection after so many bytes of the body.
        delay: Seconds to wait before answering.
        trickle: Seconds between the bytes of the body.
    """

    status: int = 500
    body: Any = "something broke"
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bool = False
    cut: int | None = None
    delay: float = 0.0
    trickle: float = 0.0

    def sent(self, asked: Asked) -> Fault:
        return self

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        if self.raw:
            return self.body.encode() if isinstance(self.body, str) else _json(self.body)
        error = self.body if isinstance(self.body, dict) else {"message": self.body}
        return _json({"error": {"type": "error", "param": None, "code": None, **error}})


def json_reply(body: Any, **more: Any) -> Fault:
    """Return a reply of status 200 with `body` as JSON."""
    return Fault(200, body, raw=True, **more)


class Reply(Protocol):
    """What a server can be told to answer."""

    @property
    def delay(self) -> float:
        """Seconds to wait before answering."""

    def sent(self, asked: Asked) -> Fault:
        """Return what goes over the wire."""


Script = Sequence[Reply] | Callable[[Asked], Reply]


class LoopbackServer:
    """Serves until it is left as a context manager.

    Args:
        script: The replies in order, the last one for ever; or a function of what was asked,
            called on the server's thread.
    """

    def __init__(self, script: Script) -> None:
        self._reply = script if callable(script) else _in_order(script)
        self._thread = threading.Thread(target=self._run, name="loopback-server", daemon=True)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.port = 0
        self.tls: ssl.SSLContext | None = None
        self.asked: list[Asked] = []
        """Every request, in order of arrival."""
        self.connections = 0
        self.in_flight = 0
        self.most_in_flight = 0

    @property
    def url(self) -> str:
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def count(self) -> int:
        """How many requests came."""
        return len(self.asked)

    def __enter__(self) -> LoopbackServer:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the server did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        handlers: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._connection(reader, writer))
            handlers.add(task)
            task.add_done_callback(handlers.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=4096, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; return whether the connection stays open."""
        asked = await self._read(reader)
        self.asked.append(asked)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            reply = self._reply(asked)
            if reply.delay:
                await asyncio.sleep(reply.delay)
        finally:
            self.in_flight -= 1
        sent = reply.sent(asked)
        if sent.status == RESET:
            _reset(writer)
            return False
        if sent.status == 0:
            return False
        content = sent.content()
        if sent.trickle:
            _write(writer, sent.status, content, sent.headers, 0)
            for byte in content:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(sent.trickle)
            return True
        _write(writer, sent.status, content, sent.headers, sent.cut)
        await writer.drain()
        return sent.cut is None

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        path = head[0].split(" ")[1]
        if "form-urlencoded" in headers.get("content-type", ""):
            return Asked(len(self.asked), path, headers, dict(parse_qsl(content.decode())))
        return Asked(len(self.asked), path, headers, json.loads(content or b"{}"))


def _in_order(script: Sequence[Reply]) -> Callable[[Asked], Reply]:
    return lambda asked: script[min(asked.number, len(script) - 1)]


def _reset(writer: asyncio.StreamWriter) -> None:
    """Have the connection closed with RST: nobody lingers for what was not sent."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _write(
    writer: asyncio.StreamWriter,
    status: int,
    content: bytes,
    headers: Mapping[str, str],
    cut: int | None = None,
) -> None:
    sent = {"content-type": "application/json", **headers, "content-length": str(len(content))}
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in sent.items())]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content[:cut])


def _json(data: Any) -> bytes:
    return json.dumps(data).encode()
