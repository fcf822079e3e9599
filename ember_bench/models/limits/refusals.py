"""Waits for a provider that answers nothing but "too many requests"."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateLimitWait:
    """A wait for a rate limit.

    Attributes:
        model_id: The model that is waited for.
        seconds: Time since the first refusal after its last answer.
        left: Rest of the time that the provider asked to wait; 0 if it named none.
    """

    model_id: str
    seconds: float
    left: float


class Refusals:
    """Refusals of one endpoint since its last answer.

    Args:
        model_id: The model that is asked.
        clock: Seconds.
    """

    def __init__(self, model_id: str, clock: Callable[[], float]) -> None:
        self._model_id = model_id
        self._clock = clock
        self._since: float | None = None
        self._until = -math.inf

    def refused(self, retry_after: float | None) -> None:
        """Count a refusal; `retry_after` are the seconds that the provider asked to wait."""
        now = self._clock()
        self._since = now if self._since is None else self._since
        self._until = max(self._until, now + (retry_after or 0.0))

    def answered(self) -> None:
        """Count an answer, or any other sign that requests are let through."""
        self._since, self._until = None, -math.inf

    @property
    def wait(self) -> RateLimitWait | None:
        """The wait that is going on; None if the last request was let through."""
        if self._since is None:
            return None
        now = self._clock()
        return RateLimitWait(self._model_id, now - self._since, max(0.0, self._until - now))
