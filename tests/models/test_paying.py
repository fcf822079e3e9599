"""Money of calls whose answers cannot be used, have no tokens, or do not come."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ember_bench.errors import BudgetExhaustedError, ProviderError, StoreError
from ember_bench.models import (
    Budget,
    Completion,
    Message,
    ModelCost,
    ModelInfo,
    ModelRegistry,
    ModelService,
    ProviderInfo,
    Request,
    ResponseStore,
    RetryPolicy,
    SamplingParameters,
    Usage,
)
from ember_bench.models.call import Call
from ember_bench.models.paying import Tab, Unkept
from ember_bench.models.store.memory import MemoryStore
from ember_bench.models.store.payments import Accounts, Paid, Payment, Sums, sums_of
from ember_bench.models.store.writer import GroupCommit
from ember_bench.models.strand import Strand, TrialContext
from tests.support.openai_server import Answer, Fault, OpenAIServer

USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
ANSWER_USD = 0.01 * 1 + 0.02 * 2
NOTHING = Answer(None, usage=USAGE)
DONE = Answer("18", usage=USAGE)
UNCOUNTED = Answer("18", usage=None)
HALF_COUNTED = Answer("18", usage={"completion_tokens": None, "total_tokens": None})
GONE = Fault(0)


def service(
    server: OpenAIServer, store: Any = None, budget: Budget | None = None, attempts: int = 3
) -> ModelService:
    async def at_once(_: float) -> None:
        return None

    registry = ModelRegistry()
    registry.register_model(
        ModelInfo(
            model_id="openai:m",
            provider=ProviderInfo(name="openai", base_url=server.base_url),
            cost=ModelCost(input_cost_per_thousand=1.0, output_cost_per_thousand=2.0),
            context_tokens=100,
            api_key="k",
        )
    )
    retry = RetryPolicy(attempts=attempts, sleep=at_once)
    return ModelService(registry, store=store, budget=budget, retry=retry)


def ask_for_ever(asked: ModelService) -> None:
    for number in count():
        with suppress(ProviderError):
            asked("openai:m", f"Question {number}", max_tokens=50)


@pytest.fixture(params=["none", "memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    kinds = {"none": lambda: None, "memory": MemoryStore}
    return kinds.get(request.param, lambda: ResponseStore(tmp_path / "responses.db"))()


def paid(script: Sequence[Any], store: Any, attempts: int = 3) -> Paid:
    """Return the payments for one call whose requests are answered as `script` says."""
    with OpenAIServer(script) as server:
        asked = service(server, store, attempts=attempts)
        with suppress(ProviderError):
            asked("openai:m", "Hello", max_tokens=50)
        return asked.paid("")


class TestPayments:
    def test_are_for_every_answer_also_one_that_cannot_be_used(self, store: Any) -> None:
        found = paid([NOTHING, NOTHING, DONE], store)
        assert (found.requests, found.unpriced, found.unanswered) == (3, 0, 0)
        assert found.spend_usd == pytest.approx(3 * ANSWER_USD)

    def test_are_there_also_if_no_answer_can_be_used(self, store: Any) -> None:
        found = paid([NOTHING], store)
        assert (found.requests, found.spend_usd) == (3, pytest.approx(3 * ANSWER_USD))

    @pytest.mark.parametrize("answer", [UNCOUNTED, HALF_COUNTED])
    def test_are_unknown_where_the_tokens_are(self, store: Any, answer: Answer) -> None:
        assert paid([answer], store) == Paid(1, 0.0, unpriced=1)

    def test_of_requests_without_an_answer_are_counted_apart(self, store: Any) -> None:
        found = paid([GONE, GONE, DONE], store)
        assert (found.requests, found.unanswered) == (1, 2)
        assert found.spend_usd == pytest.approx(ANSWER_USD)
        assert found.unanswered_usd is not None
        assert 2 * 50 * 0.002 < found.unanswered_usd < 2 * (100 * 0.001 + 50 * 0.002) + 1e-9

    def test_are_none_for_requests_that_were_refused(self, store: Any) -> None:
        assert paid([Fault(503), Fault(429), DONE], store) == Paid(1, pytest.approx(ANSWER_USD))

    def test_outlive_the_process(self, tmp_path: Path) -> None:
        path = tmp_path / "responses.db"
        paid([NOTHING, GONE, UNCOUNTED], ResponseStore(path))
        found = ResponseStore(path).paid("")
        assert (found.requests, found.unpriced, found.unanswered) == (2, 1, 1)


class TestBudget:
    @pytest.mark.parametrize("answer", [NOTHING, DONE, UNCOUNTED, HALF_COUNTED])
    @pytest.mark.parametrize("cap", [0.2, 0.5, 1.0])
    def test_covers_the_worst_case_of_every_answer(self, answer: Answer, cap: float) -> None:
        budget = Budget(run_usd=cap)
        with OpenAIServer([answer]) as server:
            with pytest.raises(BudgetExhaustedError):
                ask_for_ever(service(server, budget=budget))
            charged = server.count * ANSWER_USD
        # An answer without a count had its 20 tokens all the same.
        assert 0 < charged <= cap

    def test_says_what_of_its_spending_is_not_known(self) -> None:
        budget = Budget(run_usd=0.25)
        with OpenAIServer([UNCOUNTED]) as server:
            asked = service(server, budget=budget)
            asked("openai:m", "One", max_tokens=50)
            with pytest.raises(BudgetExhaustedError, match=r"at most: \$0.000000 is known"):
                asked("openai:m", "Two", max_tokens=50)


class TestDay:
    def test_of_a_request_decides_its_price_and_what_is_reserved_for_it(self) -> None:
        """The price doubles at midnight, between two requests of one call."""
        days = iter([date(2026, 11, 30), date(2026, 12, 1)])
        rates = {"input_cost_per_thousand": 1.0, "output_cost_per_thousand": 2.0}
        dear = {"input_cost_per_thousand": 2.0, "output_cost_per_thousand": 4.0}
        cost = rates | {"changes": [dear | {"from": "2026-12-01"}]}
        model = ModelInfo.model_validate(
            {"model_id": "openai:m", "context_tokens": 100, "cost": cost}
        )
        budget = Budget(run_usd=0.5)

        async def main() -> None:
            request = Request(model, (Message("user", "q"),), SamplingParameters(max_tokens=50))
            call = Call.place(request, Strand(TrialContext()), "0", "")
            tab = Tab(call, budget, Unkept(), lambda: next(days))
            answer = Completion("ok", Usage(10, 20))
            await tab.begin()
            assert tab.charge(answer) == pytest.approx(0.05)
            await tab.begin()
            assert tab.charge(answer) == pytest.approx(0.10)
            tab.settle(msgspec.structs.replace(answer, cost_usd=0.10))
            tab.close()

        asyncio.run(main())
        # Nothing of the reservation at yesterday's price is left.
        asyncio.run(budget.reserve(0.4, "openai:m"))
        assert budget.reached == []


class TestFullDisk:
    def test_no_request_goes_out_after_an_answer_could_not_be_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full = sqlite3.OperationalError("database or disk is full")
        monkeypatch.setattr(GroupCommit, "_write", lambda *_: full)
        store = ResponseStore(tmp_path / "responses.db")
        with OpenAIServer([DONE]) as server:
            asked = service(server, store)
            for number in range(5):
                with pytest.raises(StoreError, match="disk is full"):
                    asked("openai:m", f"Question {number}")
            assert server.count == 1


class TestSums:
    PAYMENTS = (
        Payment("a", 0.25),
        Payment("a", None),
        Payment("a", None, 0.5, answered=False),
        Payment("b", None, None, answered=False),
    )

    def test_are_by_account(self) -> None:
        found = {account: sums.paid for account, sums in sums_of(self.PAYMENTS).items()}
        assert found == {
            "a": Paid(2, 0.25, unpriced=1, unanswered=1, unanswered_usd=0.5),
            "b": Paid(0, 0.0, unanswered=1, unanswered_usd=None),
        }

    def test_in_memory_are_the_same(self) -> None:
        accounts = Accounts()
        for payment in self.PAYMENTS:
            accounts.add(payment)
        assert accounts.paid("a") == sums_of(self.PAYMENTS)["a"].paid
        assert accounts.paid("nobody") == Sums().paid == Paid(0, 0.0)
