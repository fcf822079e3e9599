"""The time limit of a request: the longest silence of a stream, else the whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Final


def _nobody() -> None:
    """Hear of arriving bytes where no limit rests on them."""


_listener: Final[ContextVar[Callable[[], None]]] = ContextVar("listener", default=_nobody)


class TextListener:
    """Who reads the text of an answer while it arrives."""

    def begin(self) -> None:
        """Hear that an answer begins, perhaps anew."""
        raise NotImplementedError

    def hear(self, piece: str) -> None:
        """Take the next piece of the text."""
        raise NotImplementedError


TEXT: Final[ContextVar[TextListener | None]] = ContextVar("TEXT", default=None)
"""Reads the text of the current request's answer; with one, the answer is asked for as a stream."""


def listener() -> Callable[[], None]:
    """Return what is to be called whenever bytes of a stream arrive for the current request."""
    return _listener.get()


class Silence:
    """A time limit for a block, which begins anew whenever bytes of a stream arrive.

    Every byte of events counts, those of keep-alive comments too. `patience` sees to it that a
    server that sends nothing else for ever comes to an end.

    Args:
        patience: Returns the seconds for which nothing may arrive from now on.
        more: Returns the seconds by which the limit is too early if nothing has arrived yet: the
            server may not have begun. No more than 0 ends the block.

    Attributes:
        was_broken: Whether anything arrived.

    Raises:
        TimeoutError: if it is exceeded.
    """

    def __init__(
        self, patience: Callable[[], float], more: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._patience = patience
        self._more = more
        self._loop = asyncio.get_running_loop()
        self._seconds = patience()
        self._heard = self._loop.time()
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._token: Token[Callable[[], None]] | None = None
        self.was_broken = False

    @property
    def seconds(self) -> float:
        """The seconds that were allowed last."""
        return self._seconds

    @property
    def is_exceeded(self) -> bool:
        """Whether the limit ended the block."""
        return self._limit.expired()

    async def __aenter__(self) -> Silence:
        self._token = _listener.set(self._hear)
        await self._limit.__aenter__()
        self._timer = self._loop.call_later(self._seconds, self._look)
        return self

    async def __aexit__(self, *raised: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None  # its context refers to this: a cycle, for the collector to find
        if self._token is not None:
            _listener.reset(self._token)
            self._token = None
        await self._limit.__aexit__(*raised)

    def _hear(self) -> None:
        if self._token is None or self._limit.expired():
            return  # the block is over
        self.was_broken = True
        self._seconds = self._patience()
        self._heard = self._loop.time()

    def _look(self) -> None:
        """End the block if it was silent for too long; else look again when it may have been."""
        left = self._heard + self._seconds - self._loop.time()
        if left <= 0 and not self.was_broken:
            left = self._more()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._limit.reschedule(self._loop.time())
