"""Caps on spending: they hold at any concurrency, and turn nobody away without need."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.errors import BudgetExhaustedError, ConfigError
from ember_bench.models import Budget, Image, LongPromptCost, Message, ModelCost, ModelInfo, Request
from ember_bench.models.budget import Purse, unbounded, worst_case_usd
from ember_bench.models.types import ResponseFormat, SamplingParameters, ToolDefinition
from tests.support import virtual
from tests.support.models import scripted, simulated

PRICE = ModelCost(input_cost_per_thousand=1.0, output_cost_per_thousand=2.0)


async def never(call: Any) -> str:
    raise AssertionError


@st.composite
def calls(draw: st.DrawFn) -> list[tuple[int, float, float, str, str]]:
    """(worst case in cents, share of it that is used, seconds, model, cell) of some calls."""
    one = st.tuples(
        st.integers(0, 60), st.floats(0, 1), st.floats(0, 5), st.sampled_from("ab"),
        st.sampled_from("xyz"),
    )  # fmt: skip
    return draw(st.lists(one, max_size=40))


class Spending:
    """Makes calls at the same time, each after a while, and adds up what they cost."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.paid: list[tuple[int, str, str]] = []
        self.refused: list[tuple[int, int]] = []
        self.most = 0

    def total(self, model: str = "", cell: str = "") -> int:
        return sum(
            units
            for units, its_model, its_cell in self.paid
            if model in ("", its_model) and cell in ("", its_cell)
        )

    async def call(
        self, cents: int, share: float, seconds: float, model: str, cell: str, delay: float
    ) -> None:
        await asyncio.sleep(delay)
        try:
            reservation = await self.budget.reserve(cents / 100, model, Purse(cell))
        except BudgetExhaustedError:
            self.refused.append((cents, self.total()))
            return
        try:
            await asyncio.sleep(seconds)
            used = int(cents * share)
            self.paid.append((used, model, cell))
            reservation.settle(used / 100)
        finally:
            reservation.settle(0.0)  # as an endpoint does with what was not asked

    def run(self, made: list[tuple[int, float, float, str, str]]) -> None:
        async def main() -> None:
            delays = [number % 3 for number in range(len(made))]
            await asyncio.gather(
                *(self.call(*call, delay) for call, delay in zip(made, delays, strict=True))
            )

        virtual.run(main())  # a deadlock raises


class TestLaws:
    @given(calls(), st.integers(0, 200), st.integers(0, 100), st.integers(0, 100))
    def test_no_cap_is_exceeded_and_every_call_ends(
        self, made: list[tuple[int, float, float, str, str]], run: int, model: int, cell: int
    ) -> None:
        spending = Spending(Budget(run / 100, {"a": model / 100}, {"x": cell / 100}))
        spending.run(made)
        assert spending.total() <= run
        assert spending.total(model="a") <= model
        assert spending.total(cell="x") <= cell
        assert len(spending.paid) + len(spending.refused) == len(made)

    @given(calls(), st.integers(0, 200))
    def test_a_call_is_turned_away_only_if_what_is_not_spent_is_too_little(
        self, made: list[tuple[int, float, float, str, str]], run: int
    ) -> None:
        spending = Spending(Budget(run / 100))
        spending.run(made)
        for cents, spent_then in spending.refused:
            assert spent_then + cents > run

    @given(calls())
    def test_with_money_for_all_nobody_is_turned_away(
        self, made: list[tuple[int, float, float, str, str]]
    ) -> None:
        spending = Spending(Budget(sum(call[0] for call in made) / 100))
        spending.run(made)
        assert not spending.refused

    @given(calls(), st.integers(1, 100), st.sets(st.integers(0, 39)))
    def test_a_call_that_is_cancelled_takes_no_money_with_it(
        self, made: list[tuple[int, float, float, str, str]], run: int, cancelled: set[int]
    ) -> None:
        spending = Spending(Budget(run / 100))

        async def main() -> None:
            tasks = [asyncio.create_task(spending.call(*call, 0.0)) for call in made]
            await asyncio.sleep(0)
            for number in cancelled & set(range(len(tasks))):
                tasks[number].cancel()
                await asyncio.sleep(0)
            done, _ = await asyncio.wait(tasks) if tasks else (set(), None)
            assert len(done) == len(tasks)

        virtual.run(main())

        async def rest() -> None:
            reservation = await spending.budget.reserve((run - spending.total()) / 100, "m")
            reservation.settle(0.0)

        virtual.run(rest())
        assert spending.total() <= run


class TestBudget:
    def test_a_call_waits_for_money_that_may_be_freed(self) -> None:
        budget = Budget(1.0)

        async def main() -> float:
            first = await budget.reserve(0.9, "m")
            second = asyncio.create_task(budget.reserve(0.9, "m"))
            await asyncio.sleep(5)
            assert not second.done()
            first.settle(0.1)
            await second
            return virtual.virtual_time()

        assert virtual.run(main()) == 5

    def test_a_large_call_is_not_starved_by_small_ones(self) -> None:
        budget, order = Budget(1.0), list[str]()

        async def call(name: str, usd: float) -> None:
            reservation = await budget.reserve(usd, "m")
            order.append(name)
            await asyncio.sleep(1)
            reservation.settle(0.0)

        async def main() -> None:
            small = [call("small", 0.3) for _ in range(3)]
            later = [call("small", 0.3) for _ in range(30)]
            await asyncio.gather(*small, call("large", 1.0), *later)

        virtual.run(main())
        assert order.index("large") == 3

    def test_a_trial_without_money_is_marked_whatever_is_made_of_the_error(self) -> None:
        purse = Purse("cell")

        async def main() -> None:
            with pytest.raises(BudgetExhaustedError, match=r"cell: \$0.000000 of \$0.1 spent"):
                await Budget(cells_usd={"cell": 0.1}).reserve(0.2, "m", purse)

        virtual.run(main())
        assert purse.exhausted

    def test_caps_are_kept_apart(self) -> None:
        budget = Budget(models_usd={"a": 0.1}, cells_usd={"x": 0.1})

        async def main() -> None:
            for model, cell in (("a", "y"), ("b", "x")):
                with pytest.raises(BudgetExhaustedError):
                    await budget.reserve(0.2, model, Purse(cell))
            await budget.reserve(100.0, "b", Purse("y"))

        virtual.run(main())
        assert budget.may_begin("y", ["b"])
        assert not budget.may_begin("y", ["a", "b"])
        assert not budget.may_begin("x", ["b"])
        assert not budget.exhausted
        assert [line.split(":")[0] for line in budget.reached] == ["a", "x"]

    def test_what_cost_more_than_it_could_is_spent_and_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        budget = Budget(1.0)

        async def main() -> None:
            (await budget.reserve(0.1, "m")).settle(0.95)
            with pytest.raises(BudgetExhaustedError):
                await budget.reserve(0.1, "m")

        virtual.run(main())
        assert "more than" in caplog.text

    def test_settling_twice_counts_once(self) -> None:
        budget = Budget(1.0)

        async def main() -> None:
            reservation = await budget.reserve(0.5, "m")
            reservation.settle(0.5)
            reservation.settle(0.5)
            await budget.reserve(0.5, "m")

        virtual.run(main())

    def test_threads_with_loops_of_their_own_share_it(self) -> None:
        budget, spent, lock = Budget(1.0), list[int](), threading.Lock()

        async def caller() -> None:
            while True:
                try:
                    reservation = await budget.reserve(0.02, "m")
                except BudgetExhaustedError:
                    return
                await asyncio.sleep(0)
                with lock:
                    spent.append(1)
                reservation.settle(0.01)

        async def callers() -> None:
            await asyncio.gather(*(caller() for _ in range(20)))

        threads = [threading.Thread(target=asyncio.run, args=(callers(),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        assert len(spent) == 99  # after 99 cents, a call of up to 2 is one too much

    @pytest.mark.parametrize("usd", [-1.0, float("nan"), float("inf")])
    def test_a_cap_is_a_number_of_dollars(self, usd: float) -> None:
        with pytest.raises(ConfigError, match="budget_usd"):
            Budget(usd)


class TestWorstCase:
    MODEL = scripted(never, cost=PRICE, context_tokens=10_000)

    def worst(self, text: str = "", model: ModelInfo = MODEL, **fields: Any) -> float | None:
        parameters = SamplingParameters(max_tokens=fields.pop("max_tokens", 100))
        message = Message("user", text, fields.pop("images", ()))
        return worst_case_usd(Request(model, (message,), parameters, **fields))

    @given(st.text(max_size=300))
    def test_has_a_token_for_every_byte_and_the_longest_answer(self, text: str) -> None:
        worst = self.worst(text)
        assert worst is not None
        assert worst >= (len(text.encode("utf-8", "replace")) * 1.0 + 100 * 2.0) / 1000

    def test_has_the_whole_context_where_max_tokens_is_not_given(self) -> None:
        worst = self.worst("q", max_tokens=None)
        assert worst is not None
        assert worst >= 10_000 * 2.0 / 1000

    def test_is_limited_by_the_context(self) -> None:
        assert self.worst("q" * 100_000) == pytest.approx((10_000 * 1.0 + 100 * 2.0) / 1000)

    def test_has_the_dearest_price_that_the_prompt_can_reach(self) -> None:
        dear = LongPromptCost(
            input_tokens=5_000, input_cost_per_thousand=3.0, output_cost_per_thousand=4.0
        )
        model = scripted(
            never, cost=PRICE.model_copy(update={"above": (dear,)}), context_tokens=10_000
        )
        assert self.worst("q", model=model) == self.worst("q")
        assert self.worst("q" * 9_999, model=model) == pytest.approx(
            (10_000 * 3.0 + 100 * 4.0) / 1000
        )

    def test_counts_tools_and_schemas(self) -> None:
        plain = self.worst("q")
        schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
        tool = ToolDefinition("t", "description", schema)
        with_schema = self.worst("q", response_format=ResponseFormat("r", schema))
        with_tools = self.worst("q", tools=(tool,))
        assert plain is not None
        assert with_schema is not None
        assert with_tools is not None
        assert min(with_schema, with_tools) > plain

    def test_has_the_whole_context_for_an_image(self) -> None:
        worst = self.worst("q", images=(Image("image/png", "AAAA"),))
        assert worst == pytest.approx((10_000 * 1.0 + 100 * 2.0) / 1000)

    def test_is_unknown_without_a_price_or_a_limit(self) -> None:
        assert self.worst(model=scripted(never)) is None
        assert self.worst(model=scripted(never, cost=PRICE), max_tokens=None) is None

    def test_is_nothing_for_what_costs_nothing(self) -> None:
        free = ModelCost(input_cost_per_thousand=0, output_cost_per_thousand=0)
        assert self.worst(model=scripted(never, cost=free), max_tokens=None) == 0

    def test_of_a_simulated_model_is_that_of_the_longest_answer_it_can_draw(self) -> None:
        model = simulated(output_tokens=10, spread=0.0).model_copy(update={"cost": PRICE})
        worst = self.worst("q", model=model)
        assert worst is not None
        assert 10 * 2.0 / 1000 <= worst <= (10 * 2.0 + 200) / 1000

    def test_why_it_is_unknown_is_said(self) -> None:
        assert unbounded(self.MODEL, None) is None
        price, length = unbounded(scripted(never), 5), unbounded(scripted(never, cost=PRICE), None)
        assert "price" in (price or "")
        assert "max_tokens" in (length or "")
