"""The limits of a model's card, as the driver keeps them for all workers."""

from __future__ import annotations

import asyncio

import pytest

from ember_bench.engines.allowance import Allowance
from ember_bench.models import ModelInfo, RateLimit
from ember_bench.models.limits import SharedBucket


class Clock:
    """Time that passes when it is slept."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def test_no_more_requests_are_in_flight_than_the_card_says() -> None:
    async def main() -> None:
        allowance = Allowance(2)
        assert allowance.take_now()
        assert allowance.take_now()
        assert not allowance.take_now()
        third = asyncio.create_task(allowance.take(0.0))
        await asyncio.sleep(0)
        assert not third.done()
        allowance.give_back(0.0, 0.0)
        await third
        assert not allowance.take_now()

    asyncio.run(main())


def test_who_waits_comes_before_who_asks_later() -> None:
    async def main() -> None:
        allowance, order = Allowance(1), list[int]()

        async def one(number: int) -> None:
            await allowance.take(0.0)
            order.append(number)

        assert allowance.take_now()
        tasks = [asyncio.create_task(one(number)) for number in range(3)]
        await asyncio.sleep(0)
        for _ in tasks:
            allowance.give_back(0.0, 0.0)
            assert not allowance.take_now() or order == [0, 1, 2]
            await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2]

    asyncio.run(main())


def test_requests_a_minute_are_counted() -> None:
    async def main() -> float:
        clock = Clock()
        requests = SharedBucket(60, clock=clock, zero=lambda: 0.0)
        allowance = Allowance(1_000, requests, sleep=clock.sleep)
        assert not allowance.take_now()  # there may be something to wait for
        for _ in range(31):
            await allowance.take(0.0)
        return clock.now

    assert asyncio.run(main()) == pytest.approx(30, rel=0.05)


def test_tokens_that_were_not_used_are_given_back() -> None:
    async def seconds(used: float) -> float:
        clock = Clock()
        tokens = SharedBucket(6_000, clock=clock, zero=lambda: 0.0)
        allowance = Allowance(1_000, None, tokens, sleep=clock.sleep)
        for _ in range(20):
            await allowance.take(500.0)
            allowance.give_back(500.0, used)
        return clock.now

    assert asyncio.run(seconds(100.0)) < 0.85 * asyncio.run(seconds(500.0))


def test_a_wait_that_is_cancelled_takes_no_room() -> None:
    async def main() -> None:
        clock = Clock()
        never = asyncio.Event()
        requests = SharedBucket(1, clock=clock, zero=lambda: 0.0)

        async def sleep(_: float) -> None:
            await never.wait()

        allowance = Allowance(2, requests, sleep=sleep)
        await allowance.take(0.0)
        waiting = asyncio.create_task(allowance.take(0.0))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert allowance._left == 1

    asyncio.run(main())


def test_a_model_without_rates_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    allowance = Allowance.of(ModelInfo(model_id="openai:m", max_concurrency=1), 0)
    assert allowance.take_now()
    assert not allowance.take_now()


def test_the_rates_of_a_card_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("EMBER_BENCH_STATE", str(tmp_path_factory.mktemp("state")))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    model = ModelInfo(model_id="openai:m", rate_limit=RateLimit(requests_per_minute=60))
    assert not Allowance.of(model, 0).take_now()
