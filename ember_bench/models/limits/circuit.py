"""A circuit breaker: no requests for a while to a model that always fails (Nygard 2007)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ember_bench.errors import ProviderError

# Failures further apart than this are no row.
_GAP_SECONDS: Final = 120.0


class CircuitOpenError(ProviderError):
    """The model was not asked, as it has failed again and again; the message has the last cause."""


class Circuit:
    """Opens after failures in a row that nothing interrupted; lets a probe through now and then.

    Rate limits are no failures: a server that refuses is there. Nor is an error that only the
    request is to blame for.

    Args:
        model_id: Who is asked.
        clock: Seconds.
        failures: So many in a row, of at least two different calls,
        seconds: over so long a time, open it.
        cooldown: Seconds until the first probe; doubles with each that fails.
        longest: Longest cooldown.
    """

    def __init__(
        self,
        model_id: str,
        clock: Callable[[], float],
        *,
        failures: int = 8,
        seconds: float = 5.0,
        cooldown: float = 10.0,
        longest: float = 60.0,
    ) -> None:
        self._model_id = model_id
        self._clock = clock
        self._failures = failures
        self._seconds = seconds
        self._first_cooldown = self._cooldown = cooldown
        self._longest = longest
        self._count = 0
        self._since = self._latest = 0.0
        self._callers: set[bytes] = set()
        self._last: ProviderError | None = None
        self._opened: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether calls are turned away."""
        return self._opened is not None

    def might_admit(self) -> bool:
        """Whether `check` would let a request through now."""
        if self._opened is None:
            return True
        return not self._probing and self._opened + self._cooldown <= self._clock()

    def check(self) -> None:
        """See whether a request might be let through now.

        Raises:
            CircuitOpenError: if not; waiting would not help.
        """
        if self._opened is not None and not self.might_admit():
            left = self._opened + self._cooldown - self._clock()
            when = f"it is tried again in {left:.0f} s" if left > 0 else "it is just tried again"
            raise CircuitOpenError(
                f"{self._model_id}: not asked, as it failed {self._count} times in a row; {when};"
                f" the last failure: {self._last}",
                status=self._last.status if self._last else None,
            ) from self._last

    def admit(self) -> None:
        """Let a request through: any if the circuit is closed, else one probe at a time.

        Raises:
            CircuitOpenError: as `check` does.
        """
        self.check()
        self._probing = self.is_open

    def answered(self) -> None:
        """Note that the model is there; closes the circuit."""
        if not self._count:
            return
        self._count = 0
        self._callers.clear()
        self._opened, self._probing = None, False
        self._cooldown = self._first_cooldown

    def failed(self, call: bytes, error: ProviderError) -> bool:
        """Note a failure that may pass.

        Args:
            call: The key of the call.
            error: What went wrong.

        Returns:
            Whether the circuit opened, or opened again after a probe.
        """
        now = self._clock()
        if self._opened is None and now - self._latest > _GAP_SECONDS:
            self._count = 0
        if not self._count:
            self._since = now
            self._callers.clear()
        self._count += 1
        self._latest = now
        if len(self._callers) < 2:
            self._callers.add(call)
        self._last = error
        if self._opened is not None:
            if not self._probing:
                return False  # was under way when it opened
            self._probing = False
            self._opened, self._cooldown = now, min(self._cooldown * 2, self._longest)
            return True
        if (
            self._count < self._failures
            or now - self._since < self._seconds
            or len(self._callers) < 2
        ):
            return False
        self._opened = now
        return True

    def abandoned(self) -> None:
        """Note that a request ended without telling anything: it was cancelled."""
        self._probing = False
