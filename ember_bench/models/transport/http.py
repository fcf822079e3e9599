"""HTTP/1.1 for models: one POST at a time on each of a few kept connections.

Not a general client: it follows no redirect to another server, keeps no cookies and sets no time
limit but for connecting; the caller has the others.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import quote, urlsplit

from httptools import HttpParserError, HttpResponseParser

from ember_bench.models.extras import with_headers
from ember_bench.models.transport.connecting import Connector, Origin, basic, on_same_server
from ember_bench.models.transport.reply import Reply, too_large

if TYPE_CHECKING:
    Answering = asyncio.Future[Reply]

# As long as the SDKs keep a connection that is not used.
_IDLE_SECONDS: Final = 5.0

# The same request again, somewhere else; every other redirect would make a GET of it.
_MOVED: Final = frozenset({307, 308})
_MOST_HOPS: Final = 5

# A model may think for minutes before its first byte, and what stands between forgets the
# connection; as often as Anthropic's SDK has it.
_PROBE_SECONDS: Final = 60
PROBES: Final = tuple(
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", _PROBE_SECONDS),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", _PROBE_SECONDS),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 5),
    )
    if hasattr(socket, name)  # not every system has each
)

_SAFE_IN_TARGETS: Final = "%/:=&?~+!$,;'@()*[]"


# Of one answer, all that is no body: status, headers, trailers. Servers send a few thousands.
_MOST_HEAD_BYTES: Final = 2**18
# A body in chunks of one byte comes with five more for each.
_MOST_AROUND_BYTE: Final = 16


# An answer that has ended is not kept from the caller by a body that does not end.
GRACE_SECONDS: Final = 0.5


class Listener(Protocol):
    """Reads the body of a success while it arrives."""

    def feed(self, part: bytes) -> bool:
        """Take the next bytes; return whether nothing that matters can follow."""


class NotSentError(ConnectionError):
    """A request that did not reach the server: there was no connection."""


class _Connection(asyncio.Protocol):
    """One connection: what is asked on it, and what comes back."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._size = 0
        self._received = 0
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._answer: Answering | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._status = 0
        self._keep = False
        self._arrived: Any = None
        self._listener: Listener | None = None
        self._listens = False
        self._ending: asyncio.TimerHandle | None = None
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if (connected := transport.get_extra_info("socket")) is not None:
            for option in PROBES:
                connected.setsockopt(*option)
            if hasattr(select, "poll"):
                self._arrived = select.poll()
                self._arrived.register(connected.fileno(), select.POLLIN)

    @property
    def is_fresh(self) -> bool:
        """Whether the next request may be sent on it.

        What has arrived by now was not asked for: the end of the connection, or an answer that is
        sent twice, which would be taken for the next one's.
        """
        if self._transport.is_closing() or time.monotonic() - self.idle_since > _IDLE_SECONDS:
            return False
        return self._arrived is None or not self._arrived.poll(0)

    @property
    def is_done(self) -> bool:
        """Whether the connection can be kept: the server keeps it, and took all that was sent."""
        transport = self._transport
        return self._keep and not transport.is_closing() and not transport.get_write_buffer_size()

    def ask(self, request: bytes, listener: Listener | None = None) -> Answering:
        """Send a request; the future is its answer, or a `ConnectionError`.

        Args:
            request: The whole of it.
            listener: Is given the body of a success that is not packed; the answer's is empty then.
        """
        self._listener, self._listens = listener, False
        self._headers, self._body, self._status = [], [], 0
        self._size = self._received = 0
        self._keep = False
        answer = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            answer.set_exception(NotSentError("closed before anything was asked"))
        else:
            self._answer = answer
            self._transport.write(request)
        return answer

    def abort(self) -> None:
        """Close it, whatever is under way."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self._transport.abort()  # nobody asked
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._break(ConnectionError(f"not HTTP: {error}"))
            return
        if self._received > _MOST_HEAD_BYTES + _MOST_AROUND_BYTE * self._size:
            self._break(_head_too_long())

    def on_message_begin(self) -> None:
        if self._answer is None:
            self._transport.abort()  # the beginning of an answer that nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._received > _MOST_HEAD_BYTES and self._is_head_too_long():
            return
        if self._listener is not None:
            self._listens = 200 <= self._status < 300 and not _is_packed(self._headers)
            self._listen(self._listener, b"")

    def _is_head_too_long(self) -> bool:
        """Break a connection whose headers came together with the body, if they are too long."""
        size = sum(len(name) + len(value) for name, value in self._headers)
        if size > _MOST_HEAD_BYTES:
            self._break(_head_too_long())
        return size > _MOST_HEAD_BYTES

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= self._most_bytes:
            if self._listens and self._listener is not None:
                self._listen(self._listener, body)
            else:
                self._body.append(body)
        else:
            self._body.clear()
            self._break(too_large(self._most_bytes))

    def _listen(self, listener: Listener, part: bytes) -> None:
        if listener.feed(part) and self._ending is None:
            self._ending = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._finish)

    def on_message_complete(self) -> None:
        if self._status < 200:  # "100 Continue" and the like: the answer is yet to come
            self._headers, self._body, self._status = [], [], 0
            return
        self._keep = self._parser.should_keep_alive()
        self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is None:
            return  # nobody waits, or there never was a connection: TLS failed within a tunnel
        if exc is None and self._ends_with_the_connection():
            self._finish()
        elif self._status or self._headers:
            self._break(ConnectionError(f"it broke in the middle of the answer{_why(exc)}"))
        else:
            self._break(ConnectionError(f"closed without an answer{_why(exc)}"))

    def _ends_with_the_connection(self) -> bool:
        """Whether a body of unknown length is under way (RFC 9112, 6.3)."""
        names = {name.lower() for name, _ in self._headers}
        return bool(self._status) and not names & {b"content-length", b"transfer-encoding"}

    def _finish(self) -> None:
        answer, self._answer = self._answer, None
        self._forget_listener()
        reply = Reply(self._status, self._headers, b"".join(self._body), self._most_bytes)
        self._headers, self._body = [], []  # whatever else comes is no part of it
        if answer is not None and not answer.done():
            answer.set_result(reply)

    def _break(self, error: ConnectionError) -> None:
        if self._ending is not None:
            self._transport.abort()
            self._finish()  # what broke came after the answer
            return
        answer, self._answer = self._answer, None
        self._forget_listener()
        self._transport.abort()
        if answer is not None and not answer.done():
            answer.set_exception(error)

    def _forget_listener(self) -> None:
        self._listener, self._listens = None, False
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None


def _head_too_long() -> ConnectionError:
    return ConnectionError(f"headers of more than {_MOST_HEAD_BYTES:,} bytes")


def _is_packed(headers: list[tuple[bytes, bytes]]) -> bool:
    encodings = (value.strip() for name, value in headers if name.lower() == b"content-encoding")
    return any(encoding.lower() not in (b"", b"identity") for encoding in encodings)


def _why(error: Exception | None) -> str:
    return f": {error}" if error is not None else ""


class Channel:
    """Asks one address.

    Args:
        url: Where requests are posted; a user and a password in it are sent as basic
            authentication, in place of any other.
        headers: Of every request.
        size: Most connections, and so requests at once.
        connect_seconds: How long connecting may take.
        most_bytes: No answer is read beyond it.

    Raises:
        ConfigError: if the environment has it go through a proxy that it cannot use.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        size: int,
        connect_seconds: float,
        most_bytes: int,
    ) -> None:
        self._url = url
        self._headers = headers
        self._connector = Connector(Origin.of(url), connect_seconds)
        self._most_bytes = most_bytes
        self._slots = asyncio.Semaphore(size)
        self._idle: deque[_Connection] = deque()
        self._busy: set[_Connection] = set()
        self._heads: dict[str, bytes] = {}

    async def post(
        self,
        body: bytes,
        listener: Listener | None = None,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a body of JSON; return what the server answers.

        Redirects are followed on the same server only: another would be told the key.

        Args:
            body: What is sent.
            listener: Is given the body of a success while it arrives, and then the reply has none.
                A packed body stays in the reply.
            url: Another address on the same server.
            headers: Of this request, beside those of every one.

        Raises:
            OSError: if there is no connection, or it breaks; `TimeoutError` if it takes too long.
        """
        url = url or self._url
        head = self._head_of(url, headers) if headers else self._heads.get(url)
        if head is None:
            head = self._heads[url] = self._head_of(url)
        reply = await self._exchange(head, body, listener)
        if reply.status not in _MOVED:
            return reply
        return await self._follow(url, reply, body, listener, headers)

    async def close(self) -> None:
        """Close the connections; whoever waits for an answer is told so."""
        for connection in (*self._idle, *self._busy):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # in which they are

    async def _exchange(self, head: bytes, body: bytes, listener: Listener | None) -> Reply:
        async with self._slots:
            connection = self._kept()
            if connection is None:
                connection = _Connection(self._most_bytes)
                await self._connect(connection)
            self._busy.add(connection)
            try:
                request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
                reply = await connection.ask(request, listener)
            except BaseException:
                # A late answer to this request must not be the next one's.
                connection.abort()
                raise
            finally:
                self._busy.discard(connection)
            if connection.is_done:
                connection.idle_since = time.monotonic()
                self._idle.append(connection)
            else:
                connection.abort()
            return reply

    async def _connect(self, connection: _Connection) -> None:
        try:
            await self._connector.connect(connection)
        except TimeoutError:
            raise
        except OSError as error:
            raise NotSentError(str(error)) from error

    def _kept(self) -> _Connection | None:
        """Return a connection that can be used again, the one that was used last."""
        while self._idle:
            if (connection := self._idle.pop()).is_fresh:
                return connection
            connection.abort()
        return None

    async def _follow(
        self,
        url: str,
        reply: Reply,
        body: bytes,
        listener: Listener | None,
        headers: Mapping[str, str] | None,
    ) -> Reply:
        for _ in range(_MOST_HOPS):
            where = on_same_server(url, reply.headers.get("location", ""))
            if reply.status not in _MOVED or where is None:
                break
            url = where
            reply = await self._exchange(self._head_of(url, headers), body, listener)
        return reply

    def _head_of(self, url: str, more: Mapping[str, str] | None = None) -> bytes:
        """Return a request up to the length of its body."""
        parts = urlsplit(url)
        target = quote(
            (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), _SAFE_IN_TARGETS
        )
        connector = self._connector
        headers = {
            "Host": connector.origin.netloc,
            "User-Agent": "ember-bench",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            **connector.headers,
            **self._headers,
        }
        headers = with_headers(headers, more or {})
        own = urlsplit(self._url)
        if own.username is not None or own.password is not None:
            headers["Authorization"] = basic(own.username, own.password)
        lines = [f"POST {connector.target(target)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "Content-Length: "]).encode()
