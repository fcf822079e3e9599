"""Messages about long waits while a run goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from ember_bench.models.limits import RateLimitWait
from ember_bench.models.service import ModelService

_LOOK_SECONDS: Final = 1.0
# Shorter waits are what finding a limit takes.
_LONG_SECONDS: Final = 3.0

Tell = Callable[[Sequence[RateLimitWait]], None]


@asynccontextmanager
async def told_of_waits(
    service: ModelService,
    tell: Tell,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Call `tell` every second while a model is waited for, and once more at the end of the wait.

    Args:
        service: Asks the models, on this loop.
        tell: Called with the waits for a rate limit that have taken some seconds.
        sleep: Waits for some seconds.
    """

    async def watch() -> None:
        told = False
        while True:
            await sleep(_LOOK_SECONDS)
            waits = [w for w in service.rate_limit_waits if w.seconds >= _LONG_SECONDS]
            if waits or told:
                tell(waits)
            told = bool(waits)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
