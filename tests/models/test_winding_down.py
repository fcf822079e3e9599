"""What becomes of calls when no further request is sent: the first Ctrl-C of a run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ember_bench.errors import CallGivenUpError, ProviderError
from ember_bench.models import Budget, Completion, ModelCost
from ember_bench.models.call import Call
from ember_bench.models.strand import Purse, Strand, TrialContext
from tests.support import virtual
from tests.support.limited import a_call, endpoint
from tests.support.models import scripted, simulated

PRICE = ModelCost(input_cost_per_thousand=1.0, output_cost_per_thousand=1.0)


def busy(status: int = 503, retry_after: float | None = None) -> ProviderError:
    return ProviderError("busy", retryable=True, status=status, retry_after=retry_after)


async def never(call: Call) -> str:
    raise AssertionError("it was asked")


class TestEndpoint:
    """An endpoint that sends no further request, from five seconds on."""

    def ends(
        self, server: Any, calls: int = 1, **fields: Any
    ) -> tuple[list[Completion | BaseException], float]:
        """Return what became of calls that began before, and when all of them had ended."""

        async def main() -> tuple[list[Completion | BaseException], float]:
            model = scripted(server, **fields)
            asked = endpoint(model)
            asyncio.get_running_loop().call_later(5, asked.wind_down)
            made = (asked.complete(a_call(model, number)) for number in range(calls))
            ended = await asyncio.gather(*made, return_exceptions=True)
            return ended, virtual.virtual_time()

        return virtual.run(main())

    def test_finishes_what_is_in_flight(self) -> None:
        async def server(call: Call) -> str:
            await asyncio.sleep(60)
            return "answer"

        ((end,), when) = self.ends(server)
        assert isinstance(end, Completion)
        assert when == pytest.approx(60)

    @pytest.mark.parametrize("retry_after", [None, 600.0])
    def test_gives_up_at_once_what_waits_to_ask_again(self, retry_after: float | None) -> None:
        async def server(call: Call) -> str:
            raise busy(status=429, retry_after=retry_after)

        ends, when = self.ends(server, calls=30)
        assert {type(end) for end in ends} == {CallGivenUpError}
        assert when == pytest.approx(5, abs=0.1)

    def test_gives_up_at_once_what_a_pause_holds_back(self) -> None:
        asked = 0

        async def server(call: Call) -> str:
            nonlocal asked
            asked += 1
            await asyncio.sleep(1)
            raise busy(status=503, retry_after=600)

        ends, when = self.ends(server, calls=50, max_concurrency=1)
        assert {type(end) for end in ends} == {CallGivenUpError}
        assert when == pytest.approx(5, abs=0.1)
        assert asked == 1

    def test_gives_up_what_waits_for_its_turn_while_others_are_answered(self) -> None:
        async def server(call: Call) -> str:
            await asyncio.sleep(60)
            return "answer"

        ends, when = self.ends(server, calls=50, max_concurrency=2)
        answered = [end for end in ends if isinstance(end, Completion)]
        assert len(answered) == 2
        assert {type(end) for end in ends if end not in answered} == {CallGivenUpError}
        assert when == pytest.approx(60)

    def test_asks_no_second_time_when_what_was_in_flight_fails(self) -> None:
        asked = 0

        async def server(call: Call) -> str:
            nonlocal asked
            asked += 1
            await asyncio.sleep(60)
            raise busy()

        ends, when = self.ends(server, calls=10)
        assert {type(end) for end in ends} == {CallGivenUpError}
        assert when == pytest.approx(60, abs=0.1)
        assert asked == 10

    def test_asks_no_second_time_though_a_dead_endpoint_comes_back_meanwhile(self) -> None:
        """The probe of an open circuit is answered, another request in flight fails later."""
        asked: list[float] = []

        async def server(call: Call) -> str:
            asked.append(virtual.virtual_time())
            if call.request.messages[0].content == "slow":
                await asyncio.sleep(100)
                raise busy()
            if call.request.messages[0].content == "probe":
                await asyncio.sleep(20)
                return "answer"
            await asyncio.sleep(1)
            raise busy()

        async def main() -> tuple[Any, ...]:
            model = scripted(server, attempt_timeout_seconds=200)
            one = endpoint(model)
            slow = asyncio.create_task(one.complete(a_call(model, "slow")))
            failing = (one.complete(a_call(model, n)) for n in range(20))
            await asyncio.gather(*failing, return_exceptions=True)
            await asyncio.sleep(15)
            probe = asyncio.create_task(one.complete(a_call(model, "probe")))
            await asyncio.sleep(1)
            one.wind_down()
            ended = await asyncio.gather(slow, probe, return_exceptions=True)
            return *ended, virtual.virtual_time()

        slow, probe, when = virtual.run(main())
        assert isinstance(probe, Completion)
        assert isinstance(slow, CallGivenUpError)
        assert when == pytest.approx(100, abs=0.1)

    def test_gives_up_what_comes_later_and_tells_its_trial(self) -> None:
        async def main() -> Purse:
            model = scripted(never)
            one = endpoint(model)
            one.wind_down()
            purse = Purse("cell")
            call = Call.place(a_call(model).request, Strand(TrialContext(purse=purse)), "0", "")
            with pytest.raises(CallGivenUpError, match=f"{model.model_id}: not asked"):
                await one.complete(call)
            return purse

        assert virtual.run(main()).exhausted

    def test_frees_the_money_of_what_it_gives_up(self) -> None:
        async def server(call: Call) -> str:
            raise busy(status=429, retry_after=600)

        async def main() -> None:
            model = scripted(server, cost=PRICE)
            budget = Budget(run_usd=10.0)
            one = endpoint(model, budget)
            waiting = asyncio.create_task(one.complete(a_call(model, max_tokens=9_000)))
            await asyncio.sleep(5)
            one.wind_down()
            with pytest.raises(CallGivenUpError):
                await waiting
            await budget.reserve(9.9, model.model_id)

        virtual.run(main())

    def test_lets_answers_through_that_take_no_time(self) -> None:
        async def main() -> Completion:
            model = simulated()
            one = endpoint(model)
            one.wind_down()
            return await one.complete(a_call(model))

        assert virtual.run(main()).text
