"""Calls to one model: several that ask for the same make one request together."""

from __future__ import annotations

import asyncio

import pytest

from ember_bench.errors import BudgetExhaustedError, CallGivenUpError
from ember_bench.models import Budget, MemoryStore, ModelCost
from ember_bench.models.call import Call
from ember_bench.models.client import Client
from ember_bench.models.info import ModelInfo
from ember_bench.models.store.payments import Accounts
from ember_bench.models.strand import Purse, Strand, TrialContext
from ember_bench.models.types import Completion
from tests.support import virtual
from tests.support.limited import a_call, endpoint
from tests.support.models import scripted, simulated

PRICE = ModelCost(input_cost_per_thousand=1.0, output_cost_per_thousand=1.0)


def asked_by(model: ModelInfo, cell: str, usd: float) -> Call:
    """Return the one call of the trial of a cell that may spend so much."""
    purse = Purse(cell, budget=Budget(cells_usd={cell: usd}))
    request = a_call(model, "q", max_tokens=100).request
    return Call.place(request, Strand(TrialContext(purse=purse)), "0", "")


def answers(*usd: float) -> list[Completion | BaseException]:
    """Return how the same call of several cells ends, each with so much money."""

    async def server(call: Call) -> str:
        await asyncio.sleep(1)
        return "answer"

    async def main() -> list[Completion | BaseException]:
        model = scripted(server, cost=PRICE)
        client = Client(endpoint(model), MemoryStore(), Accounts(), offline=False)
        calls = [asked_by(model, f"cell {n}", amount) for n, amount in enumerate(usd)]
        assert len({call.key for call in calls}) == 1
        outcomes = await asyncio.gather(
            *(client.answer(call) for call in calls), return_exceptions=True
        )
        return [found if isinstance(found, BaseException) else found[0] for found in outcomes]

    return virtual.run(main())


def test_a_cell_without_money_takes_no_answer_from_one_that_waits_for_its_request() -> None:
    poor, rich, other = answers(0.01, 10.0, 10.0)
    assert isinstance(poor, BudgetExhaustedError)
    assert isinstance(rich, Completion)
    assert rich == other


def test_each_cell_without_money_is_told_of_its_own() -> None:
    first, second = answers(0.01, 0.02)
    assert isinstance(first, BudgetExhaustedError)
    assert isinstance(second, BudgetExhaustedError)
    assert "cell 0" in str(first)
    assert "cell 1" in str(second)


def test_a_call_that_is_given_up_is_given_up_by_all_who_wait_for_it() -> None:
    async def server(call: Call) -> str:
        raise AssertionError

    async def main() -> list[object]:
        model = scripted(server)
        client = Client(endpoint(model), MemoryStore(), Accounts(), offline=False)
        client.wind_down()
        calls = [a_call(model), a_call(model)]
        return [*await asyncio.gather(*map(client.answer, calls), return_exceptions=True)]

    assert [type(found) for found in virtual.run(main())] == [CallGivenUpError] * 2


@pytest.mark.parametrize("usd", [0.2, 10.0])
def test_one_request_answers_all(usd: float) -> None:
    requests = 0

    async def server(call: Call) -> str:
        nonlocal requests
        requests += 1
        await asyncio.sleep(1)
        return "answer"

    async def main() -> list[tuple[Completion, bool]]:
        model = scripted(server, cost=PRICE)
        client = Client(endpoint(model), MemoryStore(), Accounts(), offline=False)
        calls = [asked_by(model, "cell", usd) for _ in range(5)]
        return await asyncio.gather(*(client.answer(call) for call in calls))

    found = virtual.run(main())
    assert requests == 1
    assert [stored for _, stored in found] == [False, True, True, True, True]


def test_an_answer_is_new_money_unless_it_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(endpoint(simulated()), None, Accounts(), offline=False)
    answer = Completion("answer", cost_usd=0.5)
    assert client.spend(answer) == 0.5
    monkeypatch.setattr(type(client.provider), "replays", True)
    assert client.spend(answer) == 0.0
