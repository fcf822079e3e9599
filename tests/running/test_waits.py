"""Waits for rate limits are told while a run goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ember_bench.errors import ProviderError
from ember_bench.models import RetryPolicy
from ember_bench.models.call import Call, Request
from ember_bench.models.limits import RateLimitWait
from ember_bench.models.types import Message, SamplingParameters
from ember_bench.running.waits import told_of_waits
from tests.support import virtual
from tests.support.models import scripted, serve


def told(until: float, retry_after: float | None = None) -> list[Sequence[RateLimitWait]]:
    """Ask a model that refuses until some second; return what is told meanwhile, and later."""
    found: list[Sequence[RateLimitWait]] = []

    async def server(call: Call) -> str:
        if virtual.virtual_time() < until:
            raise ProviderError("slow down", retryable=True, status=429, retry_after=retry_after)
        return "answer"

    async def main() -> None:
        model = scripted(server, deadline_seconds=1_000)
        service = serve(model, retry=RetryPolicy(clock=virtual.virtual_time))
        request = Request(model, (Message("user", "?"),), SamplingParameters())
        async with told_of_waits(service, found.append):
            await service.ask(request)
            await asyncio.sleep(10)

    virtual.run(main())
    return found


def test_a_long_wait_is_told_every_second_and_its_end_once() -> None:
    found = told(30.0, retry_after=12.0)
    assert [len(waits) for waits in found] == [1] * (len(found) - 1) + [0]
    assert len(found) > 20
    (first,) = found[0]
    assert first.seconds == pytest.approx(3, abs=1.1)
    assert first.left == pytest.approx(12 - first.seconds, abs=0.1)


def test_a_short_wait_is_not() -> None:
    assert told(0.5) == []


def test_a_model_that_answers_is_not_waited_for() -> None:
    assert told(0.0) == []
