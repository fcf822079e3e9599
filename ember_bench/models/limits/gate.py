"""The queue into an endpoint: a request starts when the limits of one of its keys allow it."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ember_bench import bridge
from ember_bench.errors import CallGivenUpError, ProviderError
from ember_bench.models.info import ModelInfo
from ember_bench.models.limits.lane import Lane
from ember_bench.models.limits.progress import Ticket
from ember_bench.models.limits.window import WindowHistory
from ember_bench.models.retry import RATE_LIMITED
from ember_bench.models.under_way import EndpointNow

_GROWTH_SECONDS: Final = 0.02


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request that waits for its turn."""

    admitted: asyncio.Future[Ticket]
    tokens: float
    patience: float
    lane: Lane | None = None  # from whose buckets it has taken


class Gate:
    """Starts requests to one endpoint in the order in which they come.

    Each goes to the key that has most room for it.

    Args:
        model: Who is asked; says how much it allows.
        clock: Seconds; also that of the buckets which processes share.
        buckets: Whether requests and tokens per minute are counted here.

    Attributes:
        counts_tokens: Whether it matters how many tokens a request has.
    """

    def __init__(
        self,
        model: ModelInfo,
        *,
        clock: Callable[[], float] = time.monotonic,
        buckets: bool = True,
    ) -> None:
        self.model = model
        self.history = WindowHistory(model.model_id, clock)
        self.lanes: tuple[Lane, ...] = (Lane(model, 0, None, self.history, clock),)
        self._open: Sequence[Lane] = self.lanes
        self._clock = clock
        limit = model.rate_limit
        self.counts_tokens = limit.tokens_per_minute is not None
        limited = (limit.requests_per_minute, limit.tokens_per_minute) != (None, None)
        self._counted = buckets and limited
        self._queue: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._opened = asyncio.Event()
        self._closed = False

    def split(self, keys: Sequence[str]) -> None:
        """Keep the limits of each of several keys; call it before the first request.

        Args:
            keys: By which processes share buckets.
        """
        lanes = enumerate(keys)
        self.lanes = tuple(Lane(self.model, i, k, self.history, self._clock) for i, k in lanes)
        self._open = self.lanes

    @property
    def in_flight(self) -> int:
        """Requests on their way."""
        return sum(lane.in_flight for lane in self.lanes)

    @property
    def now(self) -> EndpointNow:
        """The limits now, of the keys that are used."""
        now, lanes = self._clock(), self._open
        paces = [lane.pace.rate(now) for lane in lanes]
        return EndpointNow(
            sum(lane.window.size(now) for lane in lanes),
            self.in_flight,
            sum(not waiting.admitted.done() for waiting in self._queue),
            None if None in paces else sum(pace or 0.0 for pace in paces),
            not all(lane.circuit.is_open for lane in lanes),
        )

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
            lane: Lane | None = self._open[0]
            if self._closed or len(self._open) > 1 or not self._open[0].is_free():
                lane = self._free(self._worth_waiting_for(tokens, patience), tokens)[0]
            if lane is not None:
                return lane.admit(tokens)
        future: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(future, tokens, patience)
        self._queue.append(waiting)
        if self._queue[0] is waiting:  # else whoever is first is seen to already
            self._let_in()
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled() and future.exception() is None:
                self.abandoned(future.result())
                self.leave(future.result())  # was let in and cancelled in the same moment
            elif future.cancelled():
                self._let_in()  # others no longer wait behind it
            raise

    def restart(self, ticket: Ticket) -> Ticket:
        """Let a request begin now that has waited since it was let in."""
        return self.lanes[ticket.lane].restart(ticket)

    def answered(self, ticket: Ticket) -> None:
        """Count an answer."""
        self._heard(ticket, is_answer=True)

    def declined(self, ticket: Ticket) -> None:
        """Count an error that is no fault of the endpoint's."""
        self._heard(ticket, is_answer=False)

    def failed(self, ticket: Ticket, call: bytes, error: ProviderError) -> None:
        """Count a failure that may pass, and slow down or stop where that is what it asks for."""
        lane = self.lanes[ticket.lane]
        if error.status == RATE_LIMITED and lane.circuit.is_open and not self._closed:
            self._opened.clear()
        if lane.failed(ticket, call, error):
            if all(other.circuit.is_open for other in self._open):
                self._opened.set()
            self._let_in()  # all are turned away

    def bar(self, ticket: Ticket, error: ProviderError) -> bool:
        """Use a key no more, as it was refused; False if there is no other."""
        lane = self.lanes[ticket.lane]
        others = tuple(other for other in self._open if other is not lane)
        if not others:
            return False
        if lane in self._open:
            self._open = others
            name = f"key {ticket.lane + 1} of {len(self.lanes)}"
            lane.note(f"{name} is not used any more: {error}")
        return True

    def has_other(self, ticket: Ticket) -> bool:
        """Whether a key that the provider does not let wait is left beside that of a request."""
        now, own = self._clock(), self.lanes[ticket.lane]
        return any(o is not own and o.stopped_until(1.0) <= now for o in self._open)

    def check(self) -> None:
        """See whether a request might be let through now.

        Raises:
            CircuitOpenError: if not; waiting would not help.
        """
        self._usable()

    def told(self, ticket: Ticket, headers: Mapping[str, str]) -> None:
        """Heed what the headers of a response say about the limits of its key."""
        lane = self.lanes[ticket.lane]
        lane.told(ticket, headers)
        self.counts_tokens = self.counts_tokens or lane.counts_tokens

    def turn(self, ticket: Ticket) -> float:
        """Return when the server began with a request, as far as is known."""
        return self.lanes[ticket.lane].progress.turn(ticket)

    def answered_at(self, ticket: Ticket) -> float:
        """Return when the key of a request was last answered, in seconds of the clock."""
        return self.lanes[ticket.lane].progress.answered_at

    def left(self, ticket: Ticket, seconds: float) -> float:
        """Return how much longer a request may take that has `seconds` from its turn on.

        One that has no time left counts as given up at once.
        """
        progress, now = self.lanes[ticket.lane].progress, self._clock()
        left = progress.turn(ticket) + seconds - now
        if left <= 0:
            progress.gave_up(ticket, now)
        return left

    def abandoned(self, ticket: Ticket) -> None:
        """Count a request that was given up and tells nothing."""
        self.lanes[ticket.lane].circuit.abandoned()

    def leave(self, ticket: Ticket) -> None:
        """Make room for the next request; call it when one has ended, however it ended."""
        self.lanes[ticket.lane].leave(ticket)
        self._let_in()

    def close(self) -> None:
        """Let no further request through; those who wait are turned away at once."""
        self._closed = True
        self._opened.set()
        self._let_in()

    async def rest(self, sleep: Awaitable[None]) -> None:
        """Await `sleep`, but not longer than until the circuit opens, or the gate is closed."""
        await bridge.until(self._opened, sleep)

    def settle(self, ticket: Ticket, estimated: float, used: float) -> None:
        """Correct the tokens that were taken by those that were used."""
        self.lanes[ticket.lane].settle(estimated, used)

    def _heard(self, ticket: Ticket, *, is_answer: bool) -> None:
        lane = self.lanes[ticket.lane]
        if lane.circuit.is_open and not self._closed:
            self._opened.clear()
        lane.answered(ticket, is_answer=is_answer, waiting=bool(self._queue))

    def _let_in(self) -> None:
        """Let in those whose turn it is, and see to it that the next one's is not missed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            first = self._queue[0]
            if not first.admitted.done():  # not cancelled
                try:
                    usable = self._worth_waiting_for(first.tokens, first.patience)
                    if (lane := self._lane_for(first, usable)) is None:
                        return
                    first.admitted.set_result(lane.admit(first.tokens))
                except Exception as error:  # raised where the request waits
                    first.admitted.set_exception(error)
            self._queue.popleft()

    def _lane_for(self, first: _Waiting, usable: Sequence[Lane]) -> Lane | None:
        """Return the key for the first in the queue; None if the time is to be looked at again."""
        if first.lane is None or first.lane not in usable:
            lane, seconds, waited = self._free(usable, first.tokens)
            if lane is None:
                if seconds < math.inf:
                    self._look_again(seconds, waited)
                return None
            if not self._counted:
                return lane
            first.lane = lane
            lane.take(first.tokens)
        lane = first.lane
        if not self._has_room(lane):
            if lane.grows():
                self._look_again(_GROWTH_SECONDS, None)
            return None
        if (seconds := lane.wait(first.tokens)) > 0:
            self._look_again(seconds, lane)
            return None
        return lane

    def _free(
        self, usable: Sequence[Lane], tokens: float
    ) -> tuple[Lane | None, float, Lane | None]:
        """Return the key with most room for a request that may begin now.

        Where there is none, return the seconds after which there may be one, and the key that is
        waited for if it is no window that grows.
        """
        best: Lane | None = None
        seconds = math.inf
        waited: Lane | None = None
        for lane in usable:
            if not self._has_room(lane):
                if lane.grows() and seconds > _GROWTH_SECONDS:
                    seconds, waited = _GROWTH_SECONDS, None
            elif (left := lane.wait(tokens)) > 0:
                if left < seconds:
                    seconds, waited = left, lane
            elif best is None or lane.free() > best.free():
                best = lane
        return best, seconds, waited

    def _has_room(self, lane: Lane) -> bool:
        return lane.has_room(alone=len(self._queue) <= 1)  # nobody waits but whoever asks

    def _look_again(self, seconds: float, paced: Lane | None) -> None:
        due = self._clock() + seconds

        def look() -> None:
            if paced is not None:
                paced.pace.woke(self._clock() - due)
            self._let_in()

        self._timer = asyncio.get_running_loop().call_later(seconds, look)

    def _usable(self) -> Sequence[Lane]:
        """Return the keys whose circuit lets a request through.

        Raises:
            CircuitOpenError: if there is none.
        """
        if len(self._open) == 1:
            self._open[0].circuit.check()
            return self._open
        usable = [lane for lane in self._open if lane.circuit.might_admit()]
        if not usable:
            self._open[0].circuit.check()
        return usable

    def _worth_waiting_for(self, tokens: float, patience: float) -> Sequence[Lane]:
        """Return the usable keys.

        Raises:
            CircuitOpenError: if there is none.
            CallGivenUpError: if the gate is closed.
            ProviderError: if the provider wants to wait longer than the request has `patience`.
        """
        if self._closed:
            raise CallGivenUpError(f"{self.model.model_id}: not asked, as the run is to stop")
        usable = self._usable()
        left = min(lane.stopped_until(tokens) for lane in usable) - self._clock()
        if left > patience:
            raise ProviderError(
                f"{self.model.model_id}: not asked, as the provider asked to wait {left:,.0f} s, "
                f"longer than the call may take (deadline_seconds)",
                status=RATE_LIMITED,
                retry_after=left,
            )
        return usable
