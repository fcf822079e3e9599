"""Servers that refuse what is too much, in virtual time, and an endpoint that asks them."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ember_bench.errors import ProviderError
from ember_bench.models import RetryPolicy
from ember_bench.models.budget import Budget
from ember_bench.models.call import Call, Request
from ember_bench.models.endpoint import Endpoint
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import provider_class
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import Message, SamplingParameters
from tests.support import virtual
from tests.support.models import scripted

REFUSAL_SECONDS = 0.02


@dataclass
class Limited:
    """A server that allows `rate` requests a second and answers the rest with 429.

    Attributes:
        kind: How it counts: `bucket` (with `burst`), `fixed` seconds or a `sliding` second.
        latency: Seconds that an answer takes, give or take 30 %.
        retry_after: What a refusal says.
        requests: (when, whether it was accepted) of each request.
    """

    rate: int = 50
    kind: str = "bucket"
    burst: int = 50
    latency: float = 0.2
    retry_after: float | None = None
    requests: list[tuple[float, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(1)
        self._tokens, self._at = float(self.burst), 0.0
        self._last: deque[float] = deque()

    async def __call__(self, call: Call) -> str:
        now = virtual.virtual_time()
        accepted = self._accepts(now)
        self.requests.append((now, accepted))
        if not accepted:
            await asyncio.sleep(REFUSAL_SECONDS)
            raise ProviderError(
                "too many", retryable=True, status=429, retry_after=self.retry_after
            )
        await asyncio.sleep(self.latency * self._random.uniform(0.7, 1.3))
        return "answer"

    def _accepts(self, now: float) -> bool:
        if self.kind == "bucket":
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
        start = float(int(now)) if self.kind == "fixed" else now - 1
        while self._last and self._last[0] < start:
            self._last.popleft()
        if len(self._last) >= self.rate:
            return False
        self._last.append(now)
        return True

    def between(self, begin: float, end: float) -> tuple[float, float]:
        """Return the share of the allowed rate that was reached, and that of refused requests."""
        window = [accepted for at, accepted in self.requests if begin <= at < end]
        accepted = sum(window)
        return accepted / (end - begin) / self.rate, 1 - accepted / len(window)


def endpoint(model: ModelInfo, budget: Budget | None = None, **policy: Any) -> Endpoint:
    """Return an endpoint that lives in virtual time."""
    options = {
        "clock": virtual.virtual_time,
        "sleep": asyncio.sleep,
        "uniform": random.Random(3).uniform,
    }
    return Endpoint(
        provider_class(model.provider_name)(model), RetryPolicy(**options | policy), budget
    )


def a_call(model: ModelInfo, text: object = "q", **parameters: Any) -> Call:
    request = Request(model, (Message("user", str(text)),), SamplingParameters(**parameters))
    return Call.place(request, Strand(TrialContext()), "0", "")


def ask_for(
    server: Callable[[Call], Any], seconds: float, *, callers: int, **fields: Any
) -> Endpoint:
    """Have so many callers ask a server without a break for so long; return their endpoint."""

    async def main() -> Endpoint:
        model = scripted(server, max_concurrency=1000, **fields)
        asked = endpoint(model)

        async def caller(name: int) -> None:
            number = 0
            while virtual.virtual_time() < seconds:
                number += 1
                await asked.complete(a_call(model, f"{name}/{number}"))

        await asyncio.gather(*(caller(name) for name in range(callers)))
        return asked

    return virtual.run(main())
