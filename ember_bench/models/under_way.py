"""The state of limits and calls now, for those who look at a run."""

from __future__ import annotations

import time

import msgspec


class Unanswered(msgspec.Struct, gc=False):
    """The state of a call that is not answered yet.

    Attributes:
        sent: When its request was sent, in seconds of `time.monotonic`; None while it waits for
            limits or money, or between two attempts.
        attempts: Number of requests sent.
        error: The error of the last attempt that failed; "" without one.
    """

    sent: float | None = None
    attempts: int = 0
    error: str = ""

    def begin(self) -> None:
        """Note that a request is sent."""
        self.sent = time.monotonic()
        self.attempts += 1

    def fail(self, error: str) -> None:
        """Note that the request failed."""
        self.sent, self.error = None, error


class EndpointNow(msgspec.Struct, frozen=True, gc=False):
    """The limits of an endpoint now, those of all its keys together.

    Attributes:
        window: Requests that may be in flight.
        in_flight: Requests in flight.
        waiting: Requests that wait for their turn.
        pace: Requests a second that may be begun; None if any number.
        is_open: Whether requests are let through: False while the circuit is open.
    """

    window: int
    in_flight: int
    waiting: int
    pace: float | None
    is_open: bool
