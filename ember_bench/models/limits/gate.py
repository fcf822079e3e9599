"""The queue into an endpoint: a request starts when all limits allow it."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ember_bench import bridge
from ember_bench.errors import CallGivenUpError, ProviderError
from ember_bench.models.info import ModelInfo
from ember_bench.models.limits.circuit import Circuit
from ember_bench.models.limits.pace import Pace
from ember_bench.models.limits.shared import SharedBucket, shared_path
from ember_bench.models.limits.window import AdaptiveWindow, Ticket, WindowHistory
from ember_bench.models.retry import RATE_LIMITED

# Beside 429: 503 "service unavailable", and 529, Anthropic's "overloaded".
_OVERLOADED: Final = frozenset({RATE_LIMITED, 503, 529})

# Growth is worth a line in the history when the window has grown by a quarter.
_WORTH_NOTING: Final = 1.25
_GROWTH_SECONDS: Final = 0.02


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request that waits for its turn."""

    admitted: asyncio.Future[Ticket]
    tokens: float
    patience: float
    has_taken: bool = False  # from the buckets


class Gate:
    """Starts requests to one endpoint in the order in which they come.

    Args:
        model: Who is asked; says how much it allows.
        clock: Seconds; also that of the buckets which processes share.
    """

    def __init__(self, model: ModelInfo, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.model = model
        self.window = AdaptiveWindow(model.max_concurrency)
        self.pace = Pace()
        self.circuit = Circuit(model.model_id, clock)
        self.history = WindowHistory(model.model_id, clock)
        self.in_flight = 0
        self._clock = clock
        limit = model.rate_limit
        self._counted = (limit.requests_per_minute, limit.tokens_per_minute) != (None, None)
        self._queue: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._opened = asyncio.Event()
        self._paused_until = -math.inf
        # When the request whose turn it is may use what it took from the buckets.
        self._requests_at = self._tokens_at = -math.inf
        self._number = 0
        self._noted = 0
        self._closed = False

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters how many tokens a request has."""
        return self.model.rate_limit.tokens_per_minute is not None

    @cached_property
    def _requests(self) -> SharedBucket | None:
        return self._bucket(self.model.rate_limit.requests_per_minute, "requests")

    @cached_property
    def _tokens(self) -> SharedBucket | None:
        return self._bucket(self.model.rate_limit.tokens_per_minute, "tokens")

    async def enter(self, tokens: float, patience: float) -> Ticket:
        """Wait until a request may be begun; `leave` must follow.

        Args:
            tokens: That it will have, as far as one can tell.
            patience: Seconds it may be told to wait by the provider.

        Raises:
            CallGivenUpError: if the gate is closed.
            CircuitOpenError: if the model is not asked for the time being.
            ProviderError: if the provider asked to wait longer than `patience`.
        """
        if not self._queue and not self._counted:  # most find nothing to wait for
            self._refuse(patience)
            if self._has_room() and self._wait() <= 0:
                return self._admit()
        future: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(future, tokens, patience)
        self._queue.append(waiting)
        if self._queue[0] is waiting:  # else whoever is first is seen to already
            self._let_in()
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled() and future.exception() is None:
                self.abandoned()
                self.leave()  # was let in and cancelled in the same moment
            elif future.cancelled():
                self._let_in()  # others no longer wait behind it
            raise

    def answered(self) -> None:
        """Count an answer, or an error that is no fault of the endpoint's."""
        self._close_circuit()
        now = self._clock()
        self.window.answered(self.in_flight, now, waiting=bool(self._queue))
        size = self.window.size(now)
        if size >= self._noted * _WORTH_NOTING or size == self.window.most != self._noted:
            self._note("grew", logging.DEBUG)

    def failed(self, ticket: Ticket, call: bytes, error: ProviderError) -> None:
        """Count a failure that may pass, and slow down or stop where that is what it asks for."""
        if error.status in _OVERLOADED:
            first = self.window.refused(ticket, self.in_flight, self._clock())
            if error.status == RATE_LIMITED:
                half = self.window.size(self._clock())
                self.pace.refused(ticket, half if first else None)
            if first:
                self._note(f"refused with {error.status}")
        if error.retry_after is not None:
            self._pause(error.retry_after)
        if error.status == RATE_LIMITED:
            self._close_circuit()
        elif self.circuit.failed(call, error):
            self._note(f"circuit opened: {error}")
            self._opened.set()
            self._let_in()  # all are turned away

    def abandoned(self) -> None:
        """Count a request that was given up and tells nothing."""
        self.circuit.abandoned()

    def leave(self) -> None:
        """Make room for the next request; call it when one has ended, however it ended."""
        self.in_flight -= 1
        self._let_in()

    def close(self) -> None:
        """Let no further request through; those who wait are turned away at once."""
        self._closed = True
        self._opened.set()
        self._let_in()

    async def rest(self, sleep: Awaitable[None]) -> None:
        """Await `sleep`, but not longer than until the circuit opens, or the gate is closed."""
        await bridge.until(self._opened, sleep)

    def settle(self, estimated: float, used: float) -> None:
        """Correct the tokens that were taken by those that were used."""
        if self._tokens is not None:
            self._tokens_at -= self._tokens.settle(estimated, used)

    def _let_in(self) -> None:
        """Let in those whose turn it is, and see to it that the next one's is not missed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            first = self._queue[0]
            if not first.admitted.done():  # not cancelled
                try:
                    self._refuse(first.patience)
                    if not self._may_enter(first):
                        return
                    first.admitted.set_result(self._admit())
                except Exception as error:  # raised where the request waits
                    first.admitted.set_exception(error)
            self._queue.popleft()

    def _may_enter(self, first: _Waiting) -> bool:
        """Whether it is the turn of the first in the queue; else the time is looked at again."""
        if not self._has_room():
            if self.window.grows(self._clock()):
                self._look_again(_GROWTH_SECONDS)
            return False
        if self._wait() <= 0 and not first.has_taken:
            first.has_taken = True
            self._take(first.tokens)
        if (seconds := self._wait()) > 0:
            self._look_again(seconds, paced=True)
            return False
        return True

    def _look_again(self, seconds: float, *, paced: bool = False) -> None:
        due = self._clock() + seconds

        def look() -> None:
            if paced:
                self.pace.woke(self._clock() - due)
            self._let_in()

        self._timer = asyncio.get_running_loop().call_later(seconds, look)

    def _admit(self) -> Ticket:
        self.circuit.admit()
        self._number += 1
        self.in_flight += 1
        ticket = Ticket(self._number, self._clock(), self.window.generation)
        self.pace.sent(ticket)
        if not len(self.history):
            self._note("first request", logging.DEBUG)
        return ticket

    def _close_circuit(self) -> None:
        if self.circuit.is_open:
            self._note("answers again")
            if not self._closed:
                self._opened.clear()
        self.circuit.answered()

    def _refuse(self, patience: float) -> None:
        """Raise if the request had better not wait."""
        if self._closed:
            raise CallGivenUpError(f"{self.model.model_id}: not asked, as the run is to stop")
        self.circuit.check()
        left = self._paused_until - self._clock()
        if left > patience:
            raise ProviderError(
                f"{self.model.model_id}: not asked, as the provider asked to wait {left:,.0f} s, "
                f"longer than the call may take (deadline_seconds)",
                status=RATE_LIMITED,
                retry_after=left,
            )

    def _has_room(self) -> bool:
        now = self._clock()
        if self.in_flight >= self.window.size(now):
            self.window.filled(now)
        room = self.in_flight < self.window.size(now)
        if room and len(self._queue) <= 1:  # nobody waits but whoever asks
            self.window.has_room()
        return room

    def _wait(self) -> float:
        """Return the seconds to wait for the end of a pause, for the pace, and for the buckets."""
        at = max(self._paused_until, self.pace.free_at(), self._requests_at, self._tokens_at)
        return at - self._clock()

    def _take(self, tokens: float) -> None:
        """Take from the buckets."""
        if self._requests is not None:
            self._requests_at = self._clock() + self._requests.take(1)
        if self._tokens is not None:
            self._tokens_at = self._clock() + self._tokens.take(tokens)

    def _pause(self, seconds: float) -> None:
        """Let no request begin for some time."""
        now = self._clock()
        more = now + seconds - max(self._paused_until, now)
        if more > 0:
            self._paused_until = now + seconds
            if more > seconds / 2:  # those that were under way together say so one by one
                self._note(f"told to wait {seconds:.3g} s")

    def _note(self, reason: str, level: int = logging.INFO) -> None:
        now = self._clock()
        self._noted = self.window.size(now)
        self.history.add(self._noted, self.pace.rate(now), reason, level=level)

    def _bucket(self, per_minute: int | None, unit: str) -> SharedBucket | None:
        if per_minute is None:
            return None
        return SharedBucket(per_minute, shared_path(self.model, unit), clock=self._clock)
