"""A model as it is asked over a network: how many requests at once, and when again."""

from __future__ import annotations

import asyncio
import time

import msgspec

from ember_bench.models.call import Call
from ember_bench.models.providers.base import Provider
from ember_bench.models.retry import RetryPolicy
from ember_bench.models.types import Completion


class Endpoint:
    """One model's provider on one loop.

    Args:
        provider: What asks the model.
        retry: When and how to ask again.
    """

    def __init__(self, provider: Provider, retry: RetryPolicy) -> None:
        self.provider = provider
        self._retry = retry
        self._slots = asyncio.Semaphore(provider.model.max_concurrency)

    async def complete(self, call: Call) -> Completion:
        """Return the model's answer, its cost and latency filled in as far as they are known.

        Raises:
            ProviderError: if there is none.
        """
        if self.provider.instant:
            completion = await self.provider.complete(call)
        else:
            async with self._slots:
                completion = await self._retry.run(lambda: self._timed(call))
        model, cost = call.request.model, completion.cost_usd
        if cost is None and model.cost is not None:
            cost = model.cost.of(completion.usage)
        return msgspec.structs.replace(completion, text=_storable(completion.text), cost_usd=cost)

    async def close(self) -> None:
        """Let go of connections."""
        await self.provider.close()

    async def _timed(self, call: Call) -> Completion:
        started = time.perf_counter()
        completion = await self.provider.complete(call)
        if completion.latency_seconds is not None:
            return completion
        elapsed = time.perf_counter() - started
        return msgspec.structs.replace(completion, latency_seconds=elapsed)


def _storable(text: str) -> str:
    """Return `text` without lone surrogates, which JSON may bring and no database takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
