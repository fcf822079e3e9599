"""The order of requests and answers of one server: whose turn it is, and what was given up."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import msgspec

_LATEST: Final = 16


class Ticket(msgspec.Struct, frozen=True, gc=False):
    """A request on its way.

    Attributes:
        number: Index of the request at the server, from 1.
        sent: When it was begun, in seconds of the clock.
        generation: How often the window had been halved by then.
        ahead: Requests that were in flight then.
        moves: Moves of the server's queue by then (`Progress`).
        tokens: Tokens of it and of all requests before it, as far as they were estimated.
        expected: When the server is done with what was given up before; `sent` if there is none.
        lane: Index of the key that it is sent with.
    """

    number: int
    sent: float
    generation: int
    ahead: int = 0
    moves: int = 0
    tokens: float = 0.0
    expected: float = 0.0
    lane: int = 0


class Progress:
    """Requests and answers in the order of their numbers.

    Args:
        most: Most requests in flight.

    Attributes:
        moves: How often the server's queue is known to have moved: with each answer, and where
            none comes, with the first request that is given up. A server that stands still for good
            is so found out after twice the time limit of a request.
        answered_at: When an answer last came, in seconds of the clock.
        given_up: Numbers of the requests that were given up, and on which the server may still
            work: none with a higher number was answered since.
    """

    def __init__(self, most: int) -> None:
        self.moves = 0
        self.answered_at = -math.inf
        self.given_up: list[int] = []
        self._times: deque[float] = deque(maxlen=max(most, _LATEST))
        self._highest = 0
        self._stands_still = False

    def answered(self, ticket: Ticket, now: float) -> None:
        """Count an answer."""
        number = ticket.number
        self._move(now)
        self.answered_at = now
        self._stands_still = False
        self._highest = max(self._highest, number)
        if self.given_up:
            self.given_up = [other for other in self.given_up if other > number]

    def gave_up(self, ticket: Ticket, now: float) -> None:
        """Count a request that was given up unanswered, once."""
        if self.was_overtaken(ticket) or ticket.number in self.given_up:
            return
        self.given_up.append(ticket.number)
        if not self._stands_still:
            self._stands_still = True
            self._move(now)

    def was_overtaken(self, ticket: Ticket) -> bool:
        """Whether a later request was answered, so that this one did not wait in a queue."""
        return self._highest > ticket.number

    def seconds_given_up(self) -> float:
        """Return how long the server works on what was given up, if it does and is as fast as ever.

        0 as long as nothing was answered.
        """
        times, count = self._times, len(self._times)
        if not self.given_up or count < 2 or self.answered_at == -math.inf:
            return 0.0
        latest = min(count, _LATEST)
        return len(self.given_up) * (times[-1] - times[-latest]) / (latest - 1)

    def turn(self, ticket: Ticket) -> float:
        """Return when a server that works in order began with a request, as far as is known.

        That is when it had answered as many as were ahead; until then, when its queue last moved.
        """
        since = self.moves - ticket.moves
        count = min(since, ticket.ahead)
        if count <= 0:
            return ticket.expected
        times = self._times
        return max(ticket.expected, times[max(0, len(times) - 1 - (since - count))])

    def _move(self, now: float) -> None:
        self.moves += 1
        self._times.append(now)
