"""Gates: what holds, what is broken, what is not shown, and how often a gate errs."""

from __future__ import annotations

import numpy as np
import pytest

from ember_bench import stats
from ember_bench.decisions.gate import Gone, Judged, Verdict, judge, matched, passed, unfinished
from ember_bench.decisions.rules import read_rule
from ember_bench.errors import ConfigError
from ember_bench.experiment.results.cells import CellResults
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import CellSummary
from tests.experiment.results.test_comparison import cell

ALL = "1" * 400


def verdict(rule: str, change: CellResults, before: CellResults | None = None) -> Verdict:
    (found,) = judge([Judged(change, before)], [read_rule(rule)])
    return found


class TestAccuracy:
    def test_equal_scores_hold_with_enough_items(self) -> None:
        found = verdict("no worse than 1 point, 95 %", cell(ALL), cell(ALL))
        assert (found.result, found.value, found.items) == ("holds", 0.0, 400)

    def test_the_bound_is_that_of_the_test_of_the_margin(self) -> None:
        change, before = cell("1" * 180 + "0" * 20), cell("0" * 15 + "1" * 185)
        differences = np.repeat([1, 0, -1], [15, 165, 20])
        for margin in (1, 3, 8, 9, 10):
            found = verdict(f"no worse than {margin} points, 95 %", change, before)
            test = stats.equivalence(differences, margin / 100)
            assert (found.result == "holds") == (test.p_worse <= 0.05)

    def test_too_few_items_are_not_shown_and_say_how_many_would(self) -> None:
        found = verdict("no worse than 1 point, 95 %", cell("1" * 50), cell("1" * 50))
        assert found.result == "not shown"
        # The error of one item won and one lost, by the formula for a difference of 0.
        error = (2 / 52) ** 0.5 / 52**0.5
        assert found.items_to_show == np.ceil(50 * (error * (1.6449 + 0.8416) / 0.01) ** 2)

    def test_clearly_worse_is_broken(self) -> None:
        found = verdict("no worse than 1 point, 95 %", cell("1" * 300 + "0" * 100), cell(ALL))
        assert found.result == "broken"
        assert found.high is not None
        assert found.high < -0.01

    def test_without_a_confidence_the_measured_value_decides(self) -> None:
        change = cell("0" + "1" * 49)
        assert verdict("no worse than 2 points", change, cell("1" * 50)).result == "holds"
        found = verdict("no worse than 1 point", change, cell("1" * 50))
        assert (found.result, found.low, found.level) == ("broken", None, None)

    def test_failed_trials_count_in_the_least_favourable_way(self) -> None:
        broken = cell([1.0] * 390 + [None] * 10)
        assert verdict("no worse than 3 points, 95 %", cell(ALL), cell(ALL)).result == "holds"
        assert verdict("no worse than 3 points, 95 %", broken, cell(ALL)).result == "not shown"
        assert verdict("accuracy at least 97 %, 95 %", broken).result == "not shown"

    def test_a_system_may_have_to_reach_an_accuracy(self) -> None:
        assert verdict("accuracy at least 98 %, 95 %", cell(ALL)).result == "holds"
        half = cell("10" * 200)
        assert verdict("accuracy at least 60 %, 95 %", half).result == "broken"
        assert verdict("accuracy at least 50 %, 95 %", half).result == "not shown"


class TestAmounts:
    def test_costs_in_proportion_are_known_without_error(self) -> None:
        before, costs = cell(ALL, cost=np.arange(1, 401) / 400), np.arange(1, 401) / 400
        found = verdict("cost/item at most +5 %, 95 %", cell(ALL, cost=costs * 1.04), before)
        assert (found.result, found.high) == ("holds", pytest.approx(1.04))
        more = cell(ALL, cost=costs * 1.06)
        assert verdict("cost/item at most +5 %, 95 %", more, before).result == "broken"

    def test_the_interval_of_a_cost_decides(self) -> None:
        rng = np.random.default_rng(0)
        before, after = rng.lognormal(0, 0.5, (2, 400))
        change, base = cell(ALL, cost=after), cell(ALL, cost=before)
        ratio = stats.cost_ratio(after, before, level=0.9).interval
        for limit in (-20, -5, 0, 5, 20):
            found = verdict(f"cost/item at most {limit} %, 95 %", change, base)
            expected = (
                "holds" if ratio.high <= 1 + limit / 100
                else "broken" if ratio.low > 1 + limit / 100 else "not shown"
            )  # fmt: skip
            assert found.result == expected

    def test_an_unknown_price_is_not_shown(self) -> None:
        found = verdict("cost/item at most +5 %", cell("11", cost=float("nan")), cell("11"))
        assert (found.result, found.value) == ("not shown", None)

    def test_dollars_seconds_and_failures_take_no_baseline(self) -> None:
        change = cell([1.0] * 95 + [None] * 5, cost=0.01)
        assert verdict("cost/item at most $0.01, 95 %", change).result == "holds"
        assert verdict("latency at most 0.5 s", change).result == "broken"
        assert verdict("failures at most 5 %", change).result == "holds"
        assert verdict("failures at most 5 %, 95 %", change).result == "not shown"


class TestSystems:
    def test_a_rule_for_no_system_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'single'"):
            verdict("singel: accuracy at least 5 %", cell("11"))

    def test_a_rule_that_takes_a_baseline_is_refused_without_one(self) -> None:
        with pytest.raises(ConfigError, match="--baseline"):
            verdict("no worse than 1 point", cell("11"))

    def test_rules_that_are_not_shown_pass_only_if_told(self) -> None:
        found = [verdict("no worse than 1 point, 95 %", cell("11"), cell("11"))]
        assert not passed(found, pass_unclear=False)
        assert passed(found, pass_unclear=True)
        broken = [verdict("no worse than 1 point", cell("10"), cell("11"))]
        assert not passed(broken, pass_unclear=True)

    def test_items_without_a_trial_are_counted(self) -> None:
        asked = [f"i{number}" for number in range(5)]
        assert unfinished([cell("111", ids=[0, 1, 2], asks=asked), cell("11")]) == 2


class TestSummaries:
    BEFORE = CellSummary(
        "sums/single", "single", "sums", "single", {}, [], simulated=False, oracle=False,
        scheduled=400, accuracy=Quantity(0.9, 0.867, 0.926, "wilson"),
        cost_per_item=Quantity(1.0, 0.9, 1.1, "t"),
    )  # fmt: skip

    def test_they_are_compared_as_if_other_items_had_been_asked(self) -> None:
        change = cell("1" * 360 + "0" * 40)
        (system,), gone = matched([change], [self.BEFORE], 0.95)
        (found,) = judge([system], [read_rule("no worse than 5 points, 95 %")])
        before = stats.Estimate(0.9, stats.Interval(0.867, 0.926, 0.95), None, 400, "wilson")
        expected = stats.difference_of(stats.proportion(360, 400, level=0.9), before, level=0.9)
        assert (found.low, found.result, gone) == (pytest.approx(expected.low), "holds", [])

    def test_ratios_of_costs_too(self) -> None:
        (system,), _ = matched([cell("11", cost=2.0)], [self.BEFORE], 0.95)
        (found,) = judge([system], [read_rule("cost/item at most +150 %, 95 %")])
        assert (found.value, found.result) == (2.0, "holds")
        assert found.high == pytest.approx(2.0 / (1 - 0.1 * 1.6449 / 1.96), rel=1e-3)

    def test_another_system_is_only_taken_if_it_is_alone_on_the_dataset(self) -> None:
        other = cell("11", name="sums/other")
        (system,), gone = matched([other], [self.BEFORE, self.BEFORE], 0.95)
        assert (system.baseline, gone) == (None, [Gone("sums", "sums/single", "single")] * 2)

    def test_a_rule_is_not_shown_of_a_system_that_is_only_in_the_baseline(self) -> None:
        systems = [Judged(cell("11"), cell("11"))]
        gone = [Gone("sums", "sums/vote", "vote")]
        rules = [read_rule("no worse than 1 point"), read_rule("accuracy at least 50 %")]
        verdicts = judge(systems, rules, gone)
        assert [(v.label, v.result) for v in verdicts if v.gone] == [("vote", "not shown")]
        assert not passed(verdicts, pass_unclear=False)
        kept = judge(systems, [read_rule("single: no worse than 1 point")], gone)
        assert passed(kept, pass_unclear=False)
        (lost,) = judge(systems, [read_rule("vote: no worse than 1 point")], gone)
        assert lost.result == "not shown"


@pytest.mark.parametrize("n", [100, 400])
def test_a_change_that_is_worse_by_the_margin_seldom_passes(n: int) -> None:
    """Several rules need no correction: all must hold."""
    rng = np.random.default_rng(n)
    rules = [read_rule("no worse than 5 points, 95 %"), read_rule("cost/item at most +5 %, 95 %")]
    passes, runs = 0, 300
    for _ in range(runs):
        before = rng.random(n) < 0.8
        after = np.where(before, rng.random(n) < 0.90625, rng.random(n) < 0.125)  # 75 %
        change, base = cell(after.astype(float)), cell(before.astype(float))
        verdicts = judge([Judged(change, base)], rules)
        passes += passed(verdicts, pass_unclear=False)
    assert passes / runs < 0.05 + 2.6 * (0.05 * 0.95 / runs) ** 0.5
