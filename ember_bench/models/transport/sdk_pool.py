"""Connections of the SDKs, in a pool that does not check idle ones.

The pool of the library below the SDKs (httpx or httpx2) checks each idle connection with a system
call whenever it hands one out. Here each transport of that library has a pool of one connection,
and the transport that was used last is used next.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies

from ember_bench.models.transport.http import GRACE_SECONDS, PROBES, Listener

if TYPE_CHECKING:
    from types import ModuleType

_PROXIED: Final = ("http", "https", "all")


def connecting(library: ModuleType, size: int) -> dict[str, Any]:
    """Return what the client of an SDK is to be made with to have `size` connections at most.

    Args:
        library: Whose client it is: httpx or httpx2.
        size: Most connections, and so requests at once.
    """
    proxies = getproxies()
    if any(proxies.get(scheme) for scheme in _PROXIED):
        # Which servers go through which proxy is the library's to say, and with a transport that is
        # not its own it says nothing.
        every = library.Limits(max_connections=size, max_keepalive_connections=size)
        return {"limits": every}
    return {"transport": Lanes(library, size)}


async def listen(response: Any, listener: Listener) -> None:
    """Give the body of a response of httpx or httpx2 to a listener while it arrives; close it.

    Raises:
        Exception: the library's, if the body does not end as it should.
    """
    try:
        listener.feed(b"")
        parts = aiter(response.aiter_bytes())
        async for part in parts:
            if listener.feed(part):
                await _drain(parts, listener)
                break
    finally:
        await response.aclose()


async def _drain(parts: AsyncIterator[bytes], listener: Listener) -> None:
    """Read on after the end of an answer, or its connection could not be used again."""
    with suppress(Exception):  # whatever it is, it came after the answer
        async with asyncio.timeout(GRACE_SECONDS):
            async for part in parts:
                listener.feed(part)


class Lanes:
    """A transport for a client of httpx or httpx2: many transports with one connection each.

    A request waits for a free lane as long as it takes: how long that may be is the caller's to
    say. A lane is used again only if the answer on it was read to its end. After anything else, be
    it an error or a task that was cancelled, its connection is closed, whatever that is in the
    middle of.

    Args:
        library: Whose client it is for.
        size: Most lanes, and so requests at once.
    """

    def __init__(self, library: ModuleType, size: int) -> None:
        self._library = library
        self._limits = library.Limits(max_connections=1, max_keepalive_connections=1)
        # Made once for all: it reads every certificate that the system trusts.
        self._tls = library.create_ssl_context()
        # The client wants a subclass of the library's own.
        self._answer_class = type("Answer", (_Answer, library.AsyncByteStream), {})
        self._slots = asyncio.Semaphore(size)
        self._idle: deque[tuple[float, Any]] = deque()
        self._busy: set[Any] = set()
        self._is_closed = False

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request; return the response, whose body is still to be read."""
        await self._slots.acquire()
        lane = self._idle.pop()[1] if self._idle else self._new()
        self._busy.add(lane)
        try:
            await self._close_stale()
            response = await lane.handle_async_request(request)
        except BaseException:
            await self.take_back(lane, reusable=False)
            raise
        response.stream = self._answer_class(self, lane, response.stream)
        return response

    async def __aenter__(self) -> Lanes:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def take_back(self, lane: Any, *, reusable: bool) -> None:
        """Have a lane back from the request that was given it."""
        self._busy.discard(lane)
        self._slots.release()
        if reusable and not self._is_closed:
            self._idle.append((time.monotonic(), lane))
        else:
            await lane.aclose()

    async def aclose(self) -> None:
        """Close the connections; whoever waits for an answer is told so."""
        self._is_closed = True
        lanes = [*self._busy, *(lane for _, lane in self._idle)]
        self._idle.clear()
        for lane in lanes:
            await lane.aclose()

    async def _close_stale(self) -> None:
        """Close the connection that nobody used for longest, if it cannot be used any more.

        One for each request, so that none waits for many.
        """
        most = self._limits.keepalive_expiry
        if self._idle and most is not None and time.monotonic() - self._idle[0][0] > most:
            await self._idle.popleft()[1].aclose()

    def _new(self) -> Any:
        return self._library.AsyncHTTPTransport(
            verify=self._tls, limits=self._limits, socket_options=PROBES
        )


class _Answer:
    """The body of an answer, whose end or failure gives the lane back."""

    def __init__(self, lanes: Lanes, lane: Any, parts: Any) -> None:
        self._lanes = lanes
        self._lane = lane
        self._parts = parts
        self._is_whole = False
        self._is_done = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._parts:
            yield part
        self._is_whole = True

    async def aclose(self) -> None:
        if self._is_done:
            return
        self._is_done = True
        reusable = False
        try:
            await self._parts.aclose()
            reusable = self._is_whole
        finally:
            await self._lanes.take_back(self._lane, reusable=reusable)
