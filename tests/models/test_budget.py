"""Caps on spending: they hold at any concurrency, and turn nobody away without need."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.errors import BudgetExhaustedError, ConfigError
from ember_bench.models import Budget
from tests.support import virtual


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
            reservation = await self.budget.reserve(cents / 100, model, cell)
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

    def test_who_is_turned_away_is_told_which_cap_and_what_was_spent(self) -> None:
        async def main() -> None:
            budget = Budget(cells_usd={"cell": 0.1})
            (await budget.reserve(0.06, "m", "cell")).settle(0.06)
            with pytest.raises(BudgetExhaustedError, match=r"cell: \$0.060000 of \$0.1 spent"):
                await budget.reserve(0.05, "m", "cell")

        virtual.run(main())

    def test_a_call_that_no_budget_of_that_size_affords_is_told_so(self) -> None:
        async def main() -> None:
            said = r"one call reserves \$20\.0+, more than the budget \(the run: \$10\)"
            with pytest.raises(BudgetExhaustedError, match=said):
                await Budget(run_usd=10.0).reserve(20.0, "m")

        virtual.run(main())

    def test_caps_are_kept_apart(self) -> None:
        budget = Budget(models_usd={"a": 0.1}, cells_usd={"x": 0.1})

        async def main() -> None:
            for model, cell in (("a", "y"), ("b", "x")):
                with pytest.raises(BudgetExhaustedError):
                    await budget.reserve(0.2, model, cell)
            await budget.reserve(100.0, "b", "y")

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


@pytest.mark.parametrize(
    ("usd", "known", "said"),
    [
        (0.25, None, "$0.250000 of $1 spent"),
        (0.25, 0.25, "$0.250000 of $1 spent"),
        (0.25, 0.1, "$0.250000 of $1 spent, at most: $0.100000 is known"),
        (None, 0.1, "$0.500000 of $1 spent, at most: $0.100000 is known"),
        (None, None, "$0.500000 of $1 spent, at most: $0.000000 is known"),
    ],
)
def test_what_is_not_known_of_a_cost_is_told_beside_its_worst_case(
    usd: float | None, known: float | None, said: str
) -> None:
    budget = Budget(run_usd=1.0)
    virtual.run(budget.reserve(0.5, "m")).settle(usd, known=known)
    with pytest.raises(BudgetExhaustedError) as caught:
        virtual.run(budget.reserve(0.9, "m"))
    assert said in str(caught.value)
    assert ("is known" in said) == ("is known" in str(caught.value))


class TestMoneyKeptBack:
    def test_it_pays_for_no_call_until_it_is_given_back(self) -> None:
        budget = Budget(1.0)
        spending = Spending(budget)
        budget.keep(0.4)
        spending.run([(30, 1, 1, "a", "x")] * 3)
        assert (spending.total(), len(spending.refused)) == (60, 1)
        assert budget.exhausted
        assert budget.keeps
        budget.keep(0.0)
        assert not budget.exhausted
        spending.run([(30, 1, 1, "a", "x")] * 3)
        assert (spending.total(), len(spending.refused)) == (90, 3)
        assert budget.exhausted
        assert not budget.keeps

    def test_it_is_at_most_the_cap(self) -> None:
        budget = Budget(1.0)
        budget.keep(3.0)
        spending = Spending(budget)
        spending.run([(1, 1, 1, "a", "x")])
        assert spending.total() == 0

    def test_without_a_cap_there_is_none(self) -> None:
        budget = Budget()
        budget.keep(1.0)
        assert not budget.keeps
