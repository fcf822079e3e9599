"""The adaptive limit of requests in flight to one endpoint.

It follows the congestion window of TCP (RFC 5681), in requests instead of bytes: slow start, then
one more request for each window of answers, and half the window after a refusal or a timeout. There
are three differences. After a refusal the window returns within a second to just below the refused
size. Slow start also grows with time: a refusal comes at once, but an answer may take a minute. And
a window can be bounded (`bound`) where more requests in flight only wait in the server's queue.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ember_bench.models.limits.progress import Ticket

LOGGER: Final = logging.getLogger("ember_bench.limits")

START: Final = 20
_RETURN: Final = 0.9
_RETURN_SECONDS: Final = 1.0
# Slow start doubles the window with each round of answers, and in this time if they are slower: at
# first in what a refusal takes to come, or a thousand slow requests would take seconds to begin.
_FIRST_DOUBLING_SECONDS: Final = 0.05
_DOUBLING_SECONDS: Final = 2.0
# More at once is no float any more.
_MOST_DOUBLINGS: Final = 64.0
# After so long without a refusal it starts again: what was refused may be allowed now.
_QUIET_SECONDS: Final = 10.0
# Growth with each answer after congestion: by a quarter in a round, so that latency shows in time.
_CAREFUL: Final = 0.25
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class WindowChange:
    """One entry of a `WindowHistory`.

    Attributes:
        seconds: When, since the endpoint was first asked.
        window: Requests that may be in flight.
        pace: Requests a second that may be begun; None if any number.
        reason: Why it changed.
    """

    seconds: float
    window: int
    pace: float | None
    reason: str


class WindowHistory:
    """The last 10,000 changes of an endpoint's window.

    Each is also logged under `ember_bench.limits`: growth as DEBUG, everything else as INFO.

    Args:
        model_id: Whose window it is.
        clock: Seconds.
    """

    def __init__(self, model_id: str, clock: Callable[[], float]) -> None:
        self.model_id = model_id
        self._clock = clock
        self._began: float | None = None
        self._changes: deque[WindowChange] = deque(maxlen=_REMEMBERED)

    def add(
        self, window: int, pace: float | None, reason: str, *, level: int = logging.INFO
    ) -> None:
        """Note a change."""
        now = self._clock()
        if self._began is None:
            self._began = now
        change = WindowChange(now - self._began, window, pace, reason)
        self._changes.append(change)
        LOGGER.log(
            level,
            "%s: %s; window %d, pace %s (at %.3f s)",
            self.model_id,
            reason,
            window,
            "free" if pace is None else f"{pace:.3g}/s",
            change.seconds,
        )

    def __iter__(self) -> Iterator[WindowChange]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)


class AdaptiveWindow:
    """The number of requests that may be in flight.

    Args:
        most: It never grows beyond this.
        start: Where slow start begins.
    """

    def __init__(self, most: int, *, start: int = START) -> None:
        self.most = most
        self.generation = 0
        self._size = float(min(start, most))
        self._bound = self._threshold = float(most)
        self._is_careful = False
        self._halved_at: float | None = None
        self._refused_at = -math.inf
        self._filled_at: float | None = None

    def size(self, now: float) -> int:
        """Return how many requests may be in flight: at least 1.

        Args:
            now: Seconds of the clock that tickets have.
        """
        return int(self._exactly(now))

    def grows(self, now: float) -> bool:
        """Whether it grows with time and not only with answers."""
        return self._halved_at is not None or (self._size < self._bound and self._starts(now))

    def filled(self, now: float) -> None:
        """Let it grow with time, as it is filled and a request waits; call it now and then."""
        if self._halved_at is None and self._filled_at is not None and self._starts(now):
            seconds = _DOUBLING_SECONDS if self.generation else _FIRST_DOUBLING_SECONDS
            doublings = min((now - self._filled_at) / seconds, _MOST_DOUBLINGS)
            self._size = min(self._size * 2**doublings, self._bound)
        self._filled_at = now

    def has_room(self) -> None:
        """Let it grow no more with time, as it is not filled."""
        self._filled_at = None

    def answered(self, in_flight: int, now: float, *, waiting: bool = False) -> None:
        """Count one answer; the window grows if the requests in flight fill it.

        Args:
            in_flight: Requests in flight, the answered one among them.
            now: Seconds.
            waiting: Whether there are more to come. Answers come in bursts, within which nobody
                can take the places of those before: in slow start, half a window is full then (as
                Linux has it for TCP, `tcp_is_cwnd_limited`).
        """
        size = self._exactly(now)
        if self._halved_at is not None or size >= self._bound:
            return
        starts = self._starts(now)
        if in_flight >= int(size) or (starts and waiting and 2 * in_flight >= size):
            self._size = min(size + self._growth(now), self._bound)
            self._is_careful = self._is_careful and self._size < self.most

    def refused(self, ticket: Ticket, in_flight: int, now: float) -> bool:
        """Halve the window, unless it was halved since the request was sent.

        Requests that were under way together are refused together, for one and the same reason.

        Args:
            ticket: The request that was refused.
            in_flight: Requests in flight, that one among them.
            now: Seconds.

        Returns:
            Whether it was halved.
        """
        if ticket.generation != self.generation:
            return False
        size = self._exactly(now)
        self.generation += 1
        if self._halved_at is None:
            # A window that was not filled is not what was refused.
            full = in_flight >= int(size)
            self._threshold = max(1.0, size * _RETURN if full else size)
        self._size = max(1.0, size / 2)
        self._halved_at = self._refused_at = now
        return True

    def timed_out(self, ticket: Ticket, now: float) -> bool:
        """Halve the window for good, unless it was halved since the request was sent.

        Args:
            ticket: The request that was not answered in time.
            now: Seconds.

        Returns:
            Whether it was halved.
        """
        if ticket.generation != self.generation:
            return False
        self.generation += 1
        self._shrink(self._exactly(now) / 2)
        return True

    def bound(self, most: int | None, now: float) -> bool:
        """Keep the window from growing beyond `most`; None is what the card allows.

        Returns:
            Whether the window was larger, and is smaller now.
        """
        self._bound = float(self.most if most is None else min(most, self.most))
        if self._exactly(now) <= self._bound:
            return False
        self._shrink(self._bound)
        return True

    def _shrink(self, size: float) -> None:
        self._size = self._threshold = max(1.0, size)
        self._halved_at = None
        self._is_careful = True

    def _growth(self, now: float) -> float:
        """Return how much the window grows with an answer."""
        if self._starts(now):
            return 1.0
        if self._is_careful and now - self._refused_at > _QUIET_SECONDS:
            return _CAREFUL
        return 1.0 / self._size

    def _starts(self, now: float) -> bool:
        if self._is_careful:
            return False  # an answer that takes long tells nothing for as long
        return self._size < self._threshold or now - self._refused_at > _QUIET_SECONDS

    def _exactly(self, now: float) -> float:
        if self._halved_at is None:
            return self._size
        share = (now - self._halved_at) / _RETURN_SECONDS
        if share < 1:
            return self._size + max(0.0, self._threshold - self._size) * max(0.0, share)
        self._size, self._halved_at = max(self._size, self._threshold), None
        return self._size
