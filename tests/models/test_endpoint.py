"""An endpoint: what becomes of a call between the response store and the provider."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ember_bench.errors import BudgetExhaustedError, ConfigError, ProviderError
from ember_bench.models import Budget, Completion, ModelCost, Usage
from ember_bench.models.call import Call
from ember_bench.models.limits import CircuitOpenError
from ember_bench.models.strand import Purse, Strand, TrialContext
from tests.support import virtual
from tests.support.limited import a_call, endpoint
from tests.support.models import scripted, simulated

PRICE = ModelCost(input_cost_per_thousand=1.0, output_cost_per_thousand=1.0)


def broken(text: str = "broken", **fields: Any) -> ProviderError:
    return ProviderError(text, **{"retryable": True, "status": 500} | fields)


class TestTimes:
    def test_a_request_that_hangs_is_given_up_and_made_again(self) -> None:
        begun: list[float] = []

        async def server(call: Call) -> str:
            begun.append(virtual.virtual_time())
            if len(begun) == 1:
                await asyncio.sleep(10_000)
            return "answer"

        async def main() -> str:
            model = scripted(server, attempt_timeout_seconds=30)
            return (await endpoint(model).complete(a_call(model))).text

        assert virtual.run(main()) == "answer"
        assert begun[1] - begun[0] == pytest.approx(30, abs=1)

    def test_a_call_ends_with_its_deadline_however_many_attempts_are_left(self) -> None:
        async def server(call: Call) -> str:
            await asyncio.sleep(10_000)
            return "never"

        async def main() -> float:
            model = scripted(server, attempt_timeout_seconds=30, deadline_seconds=100)
            with pytest.raises(ProviderError, match="no answer within"):
                await endpoint(model).complete(a_call(model))
            return virtual.virtual_time()

        assert 60 < virtual.run(main()) <= 100

    def test_waiting_for_others_does_not_count(self) -> None:
        async def server(call: Call) -> str:
            await asyncio.sleep(8)
            return "answer"

        async def main() -> int:
            model = scripted(server, max_concurrency=1, deadline_seconds=10)
            asked = endpoint(model)
            calls = (asked.complete(a_call(model, n)) for n in range(20))
            return len(await asyncio.gather(*calls))

        assert virtual.run(main()) == 20

    def test_a_timeout_of_the_providers_own_is_its_own(self) -> None:
        async def server(call: Call) -> str:
            raise TimeoutError("mine")

        async def main() -> None:
            model = scripted(server)
            with pytest.raises(TimeoutError, match="mine"):
                await endpoint(model).complete(a_call(model))

        virtual.run(main())


class TestFaults:
    def test_that_may_pass_are_asked_again(self) -> None:
        faults = [broken(), broken(status=429), broken(status=None), broken(status=409)]

        async def server(call: Call) -> str:
            if faults:
                raise faults.pop()
            return "answer"

        async def main() -> str:
            model = scripted(server)
            return (await endpoint(model).complete(a_call(model))).text

        assert virtual.run(main()) == "answer"

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
    def test_that_cannot_pass_are_not(self, status: int) -> None:
        asked = 0

        async def server(call: Call) -> str:
            nonlocal asked
            asked += 1
            raise ProviderError("no", status=status)

        async def main() -> None:
            model = scripted(server)
            with pytest.raises(ProviderError, match="no"):
                await endpoint(model).complete(a_call(model))

        virtual.run(main())
        assert asked == 1

    def test_a_call_that_waits_to_ask_again_takes_no_place(self) -> None:
        """One request may be in flight; a second call is answered while the first one waits."""
        order: list[str] = []

        async def server(call: Call) -> str:
            text = call.request.messages[0].content
            await asyncio.sleep(0.001)
            order.append(text)
            if order.count("first") < 3 and text == "first":
                raise broken()
            return "answer"

        async def main() -> None:
            model = scripted(server, max_concurrency=1)
            asked = endpoint(model, uniform=lambda low, high: high)
            await asyncio.gather(*(asked.complete(a_call(model, t)) for t in ("first", "second")))

        virtual.run(main())
        assert order.index("second") == 1

    def test_a_call_that_is_cancelled_leaves_its_place(self) -> None:
        async def server(call: Call) -> str:
            await asyncio.sleep(1 if call.request.messages[0].content == "quick" else 10_000)
            return "answer"

        async def main() -> str:
            model = scripted(server, max_concurrency=1)
            asked = endpoint(model)
            hanging = asyncio.create_task(asked.complete(a_call(model, "hang")))
            queued = asyncio.create_task(asked.complete(a_call(model, "queued")))
            await asyncio.sleep(1)
            for task in (queued, hanging):
                task.cancel()
            return (await asked.complete(a_call(model, "quick"))).text

        assert virtual.run(main()) == "answer"

    def test_a_dead_endpoint_says_so_with_the_last_cause(self) -> None:
        async def server(call: Call) -> str:
            raise broken("connection refused", status=None)

        async def main() -> list[Any]:
            model = scripted(server)
            asked = endpoint(model)
            calls = (asked.complete(a_call(model, n)) for n in range(50))
            await asyncio.gather(*calls, return_exceptions=True)
            late = asked.complete(a_call(model, "late"))
            return await asyncio.gather(late, return_exceptions=True)

        (error,) = virtual.run(main())
        assert isinstance(error, CircuitOpenError)
        assert "connection refused" in str(error)

    def test_a_key_that_is_refused_is_not_tried_with_every_call(self) -> None:
        asked = 0

        async def server(call: Call) -> str:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.1)
            if asked > 100:
                raise ProviderError("the key was revoked", status=401)
            return "answer"

        async def main() -> list[Any]:
            model = scripted(server, max_concurrency=10)
            one = endpoint(model)
            calls = (one.complete(a_call(model, n)) for n in range(5_000))
            return await asyncio.gather(*calls, return_exceptions=True)

        ends = virtual.run(main())
        assert sum(isinstance(end, Completion) for end in ends) == 100
        assert asked < 1_000  # ten every tenth of a second, for five seconds
        assert isinstance(ends[-1], CircuitOpenError)
        assert "the key was revoked" in str(ends[-1])

    def test_calls_that_come_too_late_do_not_speak_for_a_dead_endpoint(self) -> None:
        async def server(call: Call) -> str:
            await asyncio.sleep(3)
            raise broken()

        async def main() -> list[Any]:
            model = scripted(server, max_concurrency=1, deadline_seconds=10)
            asked = endpoint(model)

            ends: list[Any] = []

            async def worker(name: int) -> None:
                for n in range(10):
                    call = asked.complete(a_call(model, f"{name}/{n}"))
                    ends.extend(await asyncio.gather(call, return_exceptions=True))

            await asyncio.gather(*map(worker, range(4)))
            return ends

        ends = virtual.run(main())
        assert any("deadline_seconds" in str(end) for end in ends)
        assert any(isinstance(end, CircuitOpenError) for end in ends)


class TestBudget:
    def complete(self, budget: Budget, answer: Any, **fields: Any) -> Completion:
        async def server(call: Call) -> Completion:
            if isinstance(answer, Exception):
                raise answer
            return Completion("answer", answer)

        async def main() -> Completion:
            model = scripted(server, cost=PRICE, **fields)
            return await endpoint(model, budget).complete(a_call(model, "q", max_tokens=100))

        return virtual.run(main())

    def spent(self, budget: Budget) -> float:
        """What is spent, from what can still be reserved: to a thousandth of a cent."""
        low, high = 0.0, budget.run_usd or 0.0
        for _ in range(30):
            middle = (low + high) / 2
            try:
                reservation = virtual.run(budget.reserve(middle, "m"))
            except BudgetExhaustedError:
                high = middle
            else:
                reservation.settle(0.0)
                low = middle
        return (budget.run_usd or 0.0) - low

    def test_is_settled_by_what_the_call_cost(self) -> None:
        budget = Budget(run_usd=10.0)
        self.complete(budget, Usage(20, 30))
        assert self.spent(budget) == pytest.approx(0.05, abs=1e-6)

    def test_is_not_touched_by_a_call_that_fails(self) -> None:
        budget = Budget(run_usd=10.0)
        with pytest.raises(ProviderError):
            self.complete(budget, ProviderError("no", status=400))
        assert self.spent(budget) == pytest.approx(0.0, abs=1e-6)

    def test_reckons_with_the_worst_where_the_server_does_not_count(self) -> None:
        budget = Budget(run_usd=10.0)
        self.complete(budget, Usage())
        assert 0.1 < self.spent(budget) < 0.2

    def test_turns_away_what_could_exceed_it(self) -> None:
        asked = 0

        async def server(call: Call) -> str:
            nonlocal asked
            asked += 1
            return "answer"

        async def main() -> None:
            model = scripted(server, cost=PRICE)
            call = a_call(model, "q", max_tokens=100)
            with pytest.raises(BudgetExhaustedError, match="the run: "):
                await endpoint(model, Budget(run_usd=0.1)).complete(call)

        virtual.run(main())
        assert asked == 0

    @pytest.mark.parametrize("instant", [True, False])
    def test_of_a_trial_marks_the_trial_that_it_turns_away(self, instant: bool) -> None:
        async def main() -> Purse:
            model = simulated() if instant else scripted(broken)
            model = model.model_copy(update={"cost": PRICE})
            purse = Purse("cell", budget=Budget(cells_usd={"cell": 0.01}))
            request = a_call(model, max_tokens=100).request
            call = Call.place(request, Strand(TrialContext(purse=purse)), "0", "")
            with pytest.raises(BudgetExhaustedError, match="cell: "):
                await endpoint(model, Budget(run_usd=100.0)).complete(call)
            return purse

        assert virtual.run(main()).exhausted

    def test_cannot_be_kept_where_nothing_limits_an_answer(self) -> None:
        async def server(call: Call) -> str:
            return "answer"

        async def main() -> None:
            model = scripted(server, cost=PRICE)
            with pytest.raises(ConfigError, match="max_tokens"):
                await endpoint(model, Budget(run_usd=1)).complete(a_call(model))

        virtual.run(main())

    def test_holds_for_models_that_answer_at_once_too(self) -> None:
        async def main() -> None:
            model = simulated(output_tokens=100).model_copy(update={"cost": PRICE})
            with pytest.raises(BudgetExhaustedError):
                await endpoint(model, Budget(run_usd=0.01)).complete(a_call(model))

        virtual.run(main())
