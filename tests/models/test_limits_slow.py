"""Servers that refuse nobody and answer a few at a time, in virtual time, with all defaults."""

from __future__ import annotations

import asyncio

import pytest

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call
from ember_bench.models.limits import CircuitOpenError
from tests.support import virtual
from tests.support.limited import a_call, endpoint
from tests.support.models import scripted
from tests.support.slots import LATENCIES, Slots, ask_all

pytestmark = pytest.mark.slow

CALLS = 500


class TestAServerWithFewSlots:
    """Every call is answered, and 90 % of what the server can do is used."""

    @pytest.mark.parametrize("keeps", [False, True], ids=["drops", "keeps"])
    @pytest.mark.parametrize("latency", LATENCIES)
    @pytest.mark.parametrize("slots", [1, 2, 8])
    def test_answers_all_at_full_speed(self, slots: int, latency: str, keeps: bool) -> None:
        server = Slots(slots, latency, 5.0, keeps)
        outcome = ask_all(server, CALLS)
        assert outcome.errors == []
        assert outcome.throughput >= 0.9

    @pytest.mark.parametrize("mean", [0.5, 20.0, 60.0])
    @pytest.mark.parametrize("slots", [1, 3, 24])
    def test_does_so_whatever_an_answer_takes(self, slots: int, mean: float) -> None:
        outcome = ask_all(Slots(slots, "random", mean, keeps=True, seed=2), CALLS)
        assert outcome.errors == []
        assert outcome.throughput >= 0.9

    def test_does_so_where_a_request_has_little_time(self) -> None:
        outcome = ask_all(Slots(1, mean=5.0, keeps=True), CALLS, attempt_timeout_seconds=8)
        assert outcome.errors == []
        assert outcome.throughput >= 0.9

    def test_is_asked_no_more_than_it_has_use_for(self) -> None:
        server = Slots(1, mean=5.0)
        windows = [(c.seconds, c.window) for c in ask_all(server, CALLS).endpoint.window_history]
        assert max(window for seconds, window in windows if seconds > 60) <= 16

    def test_is_asked_for_nothing_twice(self) -> None:
        server = Slots(1, mean=5.0, keeps=True)
        ask_all(server, CALLS)
        assert len(server.draws) == CALLS
        assert server.wasted == 0.0


class TestAServerWithAFullQueue:
    """It refuses with 503 what its queue has no room for, while it answers others."""

    @pytest.mark.parametrize(("slots", "queue"), [(1, 16), (2, 4), (8, 16)])
    def test_answers_all_at_full_speed(self, slots: int, queue: int) -> None:
        outcome = ask_all(Slots(slots, "random", 5.0, keeps=True, queue=queue), CALLS)
        assert outcome.errors == []
        assert outcome.throughput >= 0.9

    def test_does_so_where_the_card_allows_more_than_the_queue(self) -> None:
        outcome = ask_all(Slots(1, "random", 5.0, queue=512), 3 * CALLS, max_concurrency=1000)
        assert outcome.errors == []
        assert outcome.throughput >= 0.9

    def test_that_works_on_nothing_is_down(self) -> None:
        async def server(call: Call) -> str:
            await asyncio.sleep(0.05)
            raise ProviderError("unavailable", retryable=True, status=503)

        async def main() -> tuple[list[object], float]:
            asked = endpoint(model := scripted(server))
            calls = (asked.complete(a_call(model, n)) for n in range(CALLS))
            return list(
                await asyncio.gather(*calls, return_exceptions=True)
            ), virtual.virtual_time()

        ends, seconds = virtual.run(main())
        assert all(isinstance(end, CircuitOpenError) for end in ends[-100:])
        assert seconds < 60


class TestAServerThatAnswersAllAtOnce:
    @pytest.mark.parametrize("latency", LATENCIES)
    @pytest.mark.parametrize("mean", [2.0, 20.0])
    def test_is_asked_as_much_as_the_card_allows(self, mean: float, latency: str) -> None:
        outcome = ask_all(Slots(1000, latency, mean, seed=4), 2 * CALLS)
        windows = [change.window for change in outcome.endpoint.window_history]
        assert windows == sorted(windows)
        assert windows[-1] == 100


class TestAServerThatStandsStill:
    def test_opens_the_circuit_after_twice_the_time_of_a_request(self) -> None:
        async def server(call: Call) -> str:
            await asyncio.sleep(1e6)
            return "never"

        async def main() -> tuple[float, int, str]:
            model = scripted(server, attempt_timeout_seconds=30)
            asked = endpoint(model)
            calls = (asked.complete(a_call(model, n)) for n in range(CALLS))
            ends = await asyncio.gather(*calls, return_exceptions=True)
            failed = sum(isinstance(end, ProviderError) for end in ends)
            return virtual.virtual_time(), failed, str(ends[-1])

        seconds, failed, last = virtual.run(main())
        assert failed == CALLS
        assert "no answer within 30 s" in last
        assert seconds < 4 * 30

    def test_for_some_calls_only_answers_the_others(self) -> None:
        """A tenth of the calls hangs, each for good."""

        async def server(call: Call) -> str:
            hangs = int(call.request.messages[0].content) % 10 == 0
            await asyncio.sleep(1e6 if hangs else 1.0)
            return "answer"

        async def main() -> list[object]:
            model = scripted(server, attempt_timeout_seconds=30)
            asked = endpoint(model)
            calls = (asked.complete(a_call(model, n)) for n in range(CALLS))
            return list(await asyncio.gather(*calls, return_exceptions=True))

        ends = virtual.run(main())
        assert sum(isinstance(end, ProviderError) for end in ends) == CALLS / 10

    def test_for_a_moment_is_not_flooded_when_it_goes_on(self) -> None:
        """It keeps what was given up, and one request took ten minutes of its time."""

        class Stuck(Slots):
            async def __call__(self, call: Call) -> str:
                self.mean = 600.0 if len(self.draws) == 10 else 5.0
                return await super().__call__(call)

        server = Stuck(1, keeps=True)
        outcome = ask_all(server, 200, max_concurrency=16)
        assert outcome.errors == []
        assert len(server.draws) < 200 + 40
