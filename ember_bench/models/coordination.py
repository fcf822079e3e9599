"""What the processes of one run have in common: calls that are being made, and limits.

A service alone in its process needs none of it: it sees all calls, and keeps its limits itself.
"""

from __future__ import annotations

from typing import Protocol

from ember_bench.models.info import ModelInfo
from ember_bench.models.types import Completion


class Permit(Protocol):
    """Leave to have one request in flight."""

    def give_back(self, tokens: float) -> None:
        """End the request.

        Args:
            tokens: That it had; 0 if none were used.
        """


class Coordination(Protocol):
    """Coordinates the calls of a service with those of other processes."""

    async def claim(self, key: bytes, *, makes: bool) -> Completion | None:
        """Return the answer to a call, once some process has it; None if this one is to make it.

        After None, the answer must be stored, or the call released.

        Args:
            key: The call key.
            makes: Whether this process may make the call; else None says that nobody has it.

        Raises:
            EmberBenchError: why another process, which made the call, got no answer.
        """

    def release(self, key: bytes, error: BaseException) -> None:
        """Give up a call that was claimed: it has no answer."""

    async def permit(
        self, model: ModelInfo, lane: int, tokens: float, most_usd: float | None
    ) -> Permit:
        """Wait until the limits that the model's card states allow one more request.

        Args:
            model: Who is to be asked.
            lane: Index of the key among those of the model.
            tokens: That the request will have, as far as one can tell.
            most_usd: The most that it can cost; None if that is unknown.

        Raises:
            CallGivenUpError: if the run is to stop.
        """
