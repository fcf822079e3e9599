"""What-ifs: combinations of cells from their stored trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ember_bench import stats
from ember_bench.decisions.pool import Pool
from ember_bench.decisions.what_if import Combination, WhatIf, evaluate
from ember_bench.errors import ConfigError
from ember_bench.experiment.results.cells import CellResults
from ember_bench.experiment.results.items import AskedItem, AskedItems
from tests.experiment.results.test_comparison import cell, dataset


def member(scores: str | Sequence[float | None], answers: Sequence[str | None] | None = None,
           **changes: Any) -> CellResults:  # fmt: skip
    """Return a cell; by default all of its wrong answers are the same."""
    if answers is not None:
        changes["read_answers"] = lambda: list(answers)
    return cell(scores, **changes)


def found(made: Combination) -> WhatIf:
    return evaluate(Pool(made.everyone), made, "it")


def test_a_vote_has_the_answer_of_most_members() -> None:
    row = found(Combination("vote", (member("1100"), member("1010"), member("1001"))))
    assert row.accuracy.value == pytest.approx(1 / 4)  # alone, each is right on two
    assert row.cost_per_item.value == 3.0
    different = [member(s, [f"{n}{i}" for i in range(4)])
                 for n, s in enumerate(["1100", "1010", "1001"])]  # fmt: skip
    shared = found(Combination("vote", tuple(different)))
    assert shared.accuracy.value == pytest.approx((1 + 3 * 1 / 3) / 4)


def test_right_answers_are_one_however_they_are_written() -> None:
    made = Combination("vote", (member("1", ["4"]), member("1", ["4.0"]), member("0", ["5"])))
    assert found(made).accuracy.value == 1.0


def test_a_failed_trial_does_not_vote() -> None:
    row = found(Combination("vote", (member([None, 1.0]), member("11"))))
    assert row.accuracy.value == 1.0


def test_a_failed_trial_costs_what_others_of_its_system_do() -> None:
    failing = member([None, 1.0, 1.0], cost=[0.0, 2.0, 4.0])
    row = found(Combination("vote", (failing, member("111", cost=1.0))))
    assert row.cost_per_item.value == pytest.approx((3 + 2 + 4) / 3 + 1)


def test_a_system_that_never_answered_is_to_be_run_and_does_not_count_as_wrong() -> None:
    row = found(Combination("vote", (member([None, None], cost=0.0), member("11"))))
    assert (row.items, row.accuracy, row.cost_per_item) == (0, None, None)
    assert (row.missing.trials, row.missing.usd) == (2, None)


def test_an_oracle_is_right_if_one_is_and_is_marked() -> None:
    row = found(Combination("oracle", (member("1100"), member("1010"))))
    assert (row.accuracy.value, row.oracle) == (0.75, True)


class TestCascade:
    FIRST = (member("1100", ["4", "4", "5", "6"]), member("1000", ["4", "7", "5", "8"]))
    THEN = (member("1111", cost=10.0),)

    def test_it_goes_on_where_too_few_agree(self) -> None:
        row = found(Combination("cascade", self.FIRST, self.THEN, agreement=1.0))
        assert row.accuracy.value == pytest.approx(3 / 4)  # both are wrong alike on the third
        assert row.cost_per_item.value == pytest.approx(2 + 10 * 2 / 4)

    def test_a_second_stage_need_not_have_been_run_where_it_is_not_asked(self) -> None:
        asks = [f"i{number}" for number in range(4)]
        then = (member("11", ids=[1, 3], asks=asks, cost=10.0),)
        row = found(Combination("cascade", self.FIRST, then, agreement=1.0))
        assert (row.items, row.missing.trials) == (4, 0)
        assert row.accuracy.value == pytest.approx(3 / 4)

    def test_what_was_not_run_is_counted_and_priced(self) -> None:
        asks = [f"i{number}" for number in range(4)]
        then = (member("1", ids=[1], asks=asks, cost=10.0),)
        row = found(Combination("cascade", self.FIRST, then, agreement=1.0))
        assert (row.items, row.missing.trials, row.missing.usd) == (3, 1, 10.0)
        all_of_it = found(Combination("vote", (*self.FIRST, *then)))
        assert (all_of_it.items, all_of_it.missing.trials) == (1, 3)

    def test_a_threshold_is_tuned_without_the_items_that_it_is_scored_on(self) -> None:
        rng = np.random.default_rng(0)
        bits = (rng.random((3, 200)) < [[0.7], [0.7], [0.9]]).astype(float)
        first = (member(bits[0].tolist()), member(bits[1].tolist()))
        row = found(Combination("cascade", first, (member(bits[2].tolist(), cost=9.0),)))
        assert row.tuned in ("agreement 1", "always goes on")
        assert row.optimistic >= row.accuracy.value


class TestTuned:
    def test_the_best_of_equal_members_gains_nothing(self) -> None:
        rng = np.random.default_rng(0)
        gains = []
        for _ in range(40):
            members = tuple(member((rng.random(60) < 0.7).astype(float).tolist())
                            for _ in range(8))  # fmt: skip
            row = found(Combination("best", members))
            gains.append((row.accuracy.value - 0.7, row.optimistic - 0.7))
        honest, flattering = np.mean(gains, axis=0)
        assert abs(honest) < 0.02
        assert flattering > 0.05

    def test_weights_let_the_better_member_decide(self) -> None:
        good, bad = member("1" * 38 + "00"), member("10" * 20)
        other = member("01" * 20)
        row = found(Combination("weighted", (good, bad, other)))
        assert row.accuracy.value == pytest.approx(0.95)
        assert row.tuned.startswith("single 2.6")

    def test_a_router_takes_the_best_of_each_category(self) -> None:
        items = AskedItems.of([AskedItem(f"i{n}", "x", "ab"[n % 2], None, "", "")
                               for n in range(80)])  # fmt: skip
        odd, even = member("01" * 40, items=items), member("10" * 40, items=items)
        row = found(Combination("router", (odd, even)))
        assert row.accuracy.value == 1.0
        assert row.difference.value == pytest.approx(0.5, abs=0.15)

    def test_a_router_takes_categories_and_tuning_takes_items(self) -> None:
        with pytest.raises(ConfigError, match="categories"):
            found(Combination("router", (member("10"), member("01"))))
        with pytest.raises(ConfigError, match="at least 20 items"):
            found(Combination("weighted", (member("10"), member("01"))))


class TestEpochs:
    def test_epochs_are_averaged_and_those_that_not_all_have_are_left_aside(self) -> None:
        two = member([1.0, 0.0, 1.0, 1.0], ["4", "5", "4", "4"], epochs=2)
        row = found(Combination("vote", (two, two, member([0.0, 0.0], ["6", "7"]))))
        assert (row.items, row.accuracy.value) == (2, 1.0)
        both = found(Combination("oracle", (two, member([0.0] * 4, epochs=2))))
        assert both.accuracy.value == pytest.approx(0.75)


class TestPredictions:
    def test_missing_answers_are_predicted_for_votes_and_fixed_cascades(self) -> None:
        rng = np.random.default_rng(0)
        bits = [(rng.random(100) < p).astype(float).tolist() for p in (0.7, 0.8, 0.9)]
        asks = [f"i{number}" for number in range(100)]
        last = member(bits[2][:30], ids=range(30), asks=asks)
        row = found(Combination("vote", (member(bits[0]), member(bits[1]), last)))
        pool = Pool([member(bits[0]), member(bits[1]), last])
        expected = stats.predict_policy(
            pool.answers, pool.scores, lambda c, s: stats.combine_votes(c, s).credit
        )
        assert (row.items, row.missing.trials) == (30, 70)
        assert row.predicted.value == pytest.approx(expected.value)
        assert found(Combination("oracle", (member(bits[0]), last))).predicted is None


def test_a_gain_lies_between_its_bounds_however_few_the_items() -> None:
    row = found(Combination("oracle", (member("1"), member("1"))))
    assert -1.0 <= row.difference.low <= row.difference.high <= 1.0


def test_members_are_on_one_dataset() -> None:
    with pytest.raises(ConfigError, match="on one dataset"):
        Pool([member("1"), member("1", asked=dataset(name="other"))])
