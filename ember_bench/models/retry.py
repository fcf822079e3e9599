"""Retries after errors that may pass."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ember_bench.errors import ProviderError
from ember_bench.models.info import ModelInfo

T = TypeVar("T")

RATE_LIMITED = 429


class Deadline:
    """The time limit of a call, from the start of its first request.

    Time in the queue before that does not count, nor does time in which the server answers others.

    Args:
        seconds: How long it may take.
        clock: Seconds.

    Attributes:
        has_begun: Whether its clock runs.
        failed_at: When the last request failed.
    """

    __slots__ = ("_clock", "_ends", "failed_at", "has_begun", "seconds")

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._ends = math.inf
        self.has_begun = False
        self.failed_at = -math.inf

    def begin(self) -> None:
        """Start the clock, if it is not started."""
        if not self.has_begun:
            self._ends = self._clock() + self.seconds
            self.has_begun = True

    def failed(self) -> None:
        """Note that a request failed."""
        self.failed_at = self._clock()

    def excuse(self, seconds: float) -> None:
        """Give back time that has passed, as it was the turn of others."""
        self._ends += seconds

    @property
    def left(self) -> float:
        """Seconds that are left; all of them before `begin`."""
        return min(self.seconds, self._ends - self._clock())


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter (Brooker 2015, "Exponential Backoff And Jitter").

    Being told to come later (429, or by a server that is busy) is no failure: such requests are not
    counted as attempts, and made again until the deadline.

    Attributes:
        attempts: How often a call may fail.
        base_seconds: Longest wait after the first failure; doubles with each.
        cap_seconds: Longest wait ever, but for a provider that asks for more.
        attempt_timeout_seconds: How long one request may take, where the model's card does not
            say.
        deadline_seconds: How long a call may take with all its requests and the waits between
            them, where the model's card does not say.
        sleep: Waits; injected in tests.
        uniform: Draws the jitter; injected in tests.
        clock: Seconds; injected in tests.
    """

    attempts: int = 8
    base_seconds: float = 0.5
    cap_seconds: float = 60.0
    attempt_timeout_seconds: float = 300.0
    deadline_seconds: float = 1800.0
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep, repr=False)
    uniform: Callable[[float, float], float] = field(default=random.uniform, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def of(self, model: ModelInfo) -> RetryPolicy:
        """Return the policy with the times that the model's card gives."""
        own = {
            name: seconds
            for name in ("attempt_timeout_seconds", "deadline_seconds")
            if (seconds := getattr(model, name)) is not None
        }
        return replace(self, **own) if own else self

    async def run(
        self,
        attempt: Callable[[Deadline], Awaitable[T]],
        rest: Callable[[Awaitable[None]], Awaitable[None]] | None = None,
    ) -> T:
        """Return what `attempt` returns, asking again after each retryable `ProviderError`.

        Args:
            attempt: Asks once.
            rest: Awaits the wait before the next attempt, or ends it early.

        Raises:
            ProviderError: the last one, or the first that cannot pass.
        """
        deadline = Deadline(self.deadline_seconds, self.clock)
        failures = refusals = 0
        while True:
            try:
                return await attempt(deadline)
            except ProviderError as error:
                if not error.retryable:
                    raise
                deadline.begin()
                if error.busy or error.status == RATE_LIMITED:
                    refusals += 1
                else:
                    failures += 1
                    if failures >= self.attempts:
                        raise
                seconds = self.delay(failures + refusals, error.retry_after)
                if seconds >= deadline.left:
                    raise self._too_late(error) from error
            wait = self.sleep(seconds)
            await (wait if rest is None else rest(wait))

    def delay(self, failures: int, retry_after: float | None) -> float:
        """Return the seconds to wait after the given number of failures."""
        # 2 to the 64th of anything is beyond the cap, and of too large a power there is no float.
        ceiling = min(self.cap_seconds, self.base_seconds * 2 ** min(failures - 1, 64))
        jitter = self.uniform(0.0, ceiling)
        # Everybody who was told the same time would come back at once without the jitter.
        return jitter if retry_after is None else retry_after + jitter

    def _too_late(self, error: ProviderError) -> ProviderError:
        return ProviderError(
            f"{error}; too late to ask again within {self.deadline_seconds:g} s (deadline_seconds)",
            status=error.status,
            retry_after=error.retry_after,
        )
