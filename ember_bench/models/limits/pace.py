"""The adaptive limit of requests per second to one endpoint.

A window alone cannot keep to a rate: with answers after 20 ms, one request in flight makes 50 a
second and two make 100. So the rate is estimated from refusals. A server that allows bursts has
accepted exactly its rate between two refusals, because its bucket was empty both times. A server
without bursts has accepted less if it was sometimes idle, and then the rate at which it refused is
the better estimate. Requests start a little slower than the estimate. After a while they start
faster and faster, until the next refusal or until the limit no longer matters.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from ember_bench.models.limits.progress import Ticket

MARGIN: Final = 0.97
# For how many seconds a pace is held: longer when it turns out to be what it was.
_HOLD_SECONDS: Final = 20.0
_LONGEST_HOLD_SECONDS: Final = 60.0
_LIKE_BEFORE: Final = 0.15
# In how many more it doubles the first time, and how often it has doubled when it is given up, as
# it limits nothing any more.
_ESTIMATED: Final = (15.0, 2.0)
_GUESSED: Final = (5.0, 10.0)

# An estimate from less than this says nothing.
_LEAST_SECONDS: Final = 1.0
# What was accepted lately: for so long at most, and of so many requests at most.
_LATELY_SECONDS: Final = 2.0
_LEAST_LATELY_SECONDS: Final = 0.5
_LATEST: Final = 1_000
# What is left of a pace that was refused, at least: soon after it was set, and later.
_SOON_SECONDS: Final = 10.0
_LEFT_SOON: Final = 0.9
_LEFT_LATER: Final = 0.97
_LEAST_ACCEPTED: Final = 10
# A window is spread over so long, where nothing else is known.
_GUESS_SECONDS: Final = 1.0
# Refusals come soon although nearly all is accepted at the pace, or frequently while what is
# accepted falls with the pace: they have another reason. After some of these the pace goes back to
# where it was, and refusals are not heeded for some time.
_FUTILE: Final = 3
_NEARLY_ALL: Final = 0.9
_FREQUENT: Final = 0.1
_LESS: Final = 0.95
_UNHEEDED_SECONDS: Final = 60.0
# How much lateness of a busy machine is made up for: more would come as a burst.
_LATEST_SECONDS: Final = 0.03


class Pace:
    """The rate at which requests may start."""

    def __init__(self) -> None:
        self._rate: float | None = None
        self._set_at = 0.0
        self._guessed = False
        self._hold = _HOLD_SECONDS
        self._next = -math.inf
        self._late = 0.0
        self._not_before = -math.inf
        self._from: Ticket | None = None
        self._latest: deque[Ticket] = deque(maxlen=_LATEST)
        self._refused = 0
        self._estimate: float | None = None
        self._before = 0.0
        self._futile = 0

    def rate(self, now: float) -> float | None:
        """Return the requests a second that may be begun now; None if any number."""
        if self._rate is None:
            return None
        hold = 0.0 if self._guessed else self._hold
        doubling, most = _GUESSED if self._guessed else _ESTIMATED
        # Slowly at first: just above the limit few are refused.
        doublings = (max(0.0, now - self._set_at - hold) / doubling) ** 2
        if doublings > most:
            self._rate = None
            return None
        return self._rate * 2**doublings

    def free_at(self) -> float:
        """Return when the next request may be begun."""
        return self._next if self._rate is not None else -math.inf

    def sent(self, ticket: Ticket) -> None:
        """Count a request that is begun."""
        if self._from is None:
            self._from = ticket
        self._latest.append(ticket)
        if (rate := self.rate(ticket.sent)) is not None:
            self._next = max(self._next, ticket.sent - self._late) + 1 / rate
            self._late = min(self._late, max(0.0, ticket.sent - self._next))

    def woke(self, late: float) -> None:
        """Hear by how many seconds a request was late that had waited: they are no idle time."""
        self._late = min(self._late + max(0.0, late), _LATEST_SECONDS)

    def refused(self, ticket: Ticket, half: int | None) -> None:
        """Learn from a refusal.

        Args:
            ticket: The request that was refused.
            half: The halved window; None if it is not the first of those requests that were under
                way, and are refused, together.
        """
        start = self._from
        if start is None or ticket.number <= start.number:
            return
        if half is not None and self._learn(start, ticket):
            self._from, self._refused = ticket, 0
            return
        self._refused += 1
        most = self._refused > (ticket.number - start.number) / 2
        if half is not None and most and self._rate is None and ticket.sent >= self._not_before:
            # Nothing is known yet; all at once is what was refused, so not all at once again.
            self._rate, self._set_at, self._guessed = half / _GUESS_SECONDS, ticket.sent, True

    def _learn(self, start: Ticket, ticket: Ticket) -> bool:
        """Set the pace by what was accepted from `start` to `ticket`; False if that is too few."""
        seconds, sent = ticket.sent - start.sent, ticket.number - start.number
        accepted = sent - self._refused
        if seconds < _LEAST_SECONDS or accepted < _LEAST_ACCEPTED:
            return False
        if ticket.sent < self._not_before:
            return True
        estimate, share = accepted / seconds, (self._refused + 1) / (sent + 1)
        if self._is_futile(estimate, share, ticket.sent):
            self._futile += 1
        else:
            self._futile, self._before = 0, estimate
        self._estimate = estimate
        if self._futile >= _FUTILE:
            self._rate, self._set_at, self._guessed = self._before, ticket.sent, False
            self._estimate, self._futile = None, 0
            self._not_before = ticket.sent + _UNHEEDED_SECONDS
        else:
            self._set(MARGIN * estimate, self._recently(start, ticket), ticket.sent)
        return True

    def _is_futile(self, estimate: float, share: float, now: float) -> bool:
        """Whether refusals have another cause than the pace, which was lowered a moment ago."""
        pace = self.rate(now)
        if pace is None or self._estimate is None or now - self._set_at > _SOON_SECONDS:
            return False
        return estimate > pace * _NEARLY_ALL or (
            share > _FREQUENT and estimate < self._estimate * _LESS
        )

    def _recently(self, start: Ticket, ticket: Ticket) -> float:
        """Return the requests a second that were accepted just before `ticket` was refused."""
        sent = [
            t.sent
            for t in self._latest
            if start.number < t.number <= ticket.number and ticket.sent - t.sent < _LATELY_SECONDS
        ]
        refused = self._refused if ticket.sent - start.sent < _LATELY_SECONDS else 0
        seconds = max(ticket.sent - sent[0], _LEAST_LATELY_SECONDS) if sent else math.inf
        return max(0, len(sent) - 1 - refused) / seconds

    def _set(self, saved_up: float, lately: float, now: float) -> None:
        """Set the pace to what is allowed.

        Args:
            saved_up: What is, if the server lets bursts through.
            lately: What was accepted just now: more than is allowed, if that was a burst.
            now: Seconds.
        """
        refused = self.rate(now)
        if refused is None:
            refused = lately
        soon = now - self._set_at < _SOON_SECONDS
        left = _LEFT_SOON if soon else _LEFT_LATER
        # It is not known which, so the pace falls towards the lower one in steps.
        rate = max(saved_up, min(MARGIN * lately, left * refused))
        held = self._rate if not (soon or self._guessed) else None
        if held is not None and abs(rate / held - 1) < _LIKE_BEFORE:
            self._hold = min(2 * self._hold, _LONGEST_HOLD_SECONDS)
        else:
            self._hold = _HOLD_SECONDS
        self._rate, self._set_at, self._guessed = rate, now, False
