"""Numbers of the summary, computed by hand or by scipy from tables of made-up trials."""

from __future__ import annotations

import asyncio
import itertools
import math
import shutil
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ember_bench.experiment.prepare import Experiment
from ember_bench import stats
from ember_bench.experiment.results.summary import (
    CellSummary,
    ExperimentSummary,
    FailureReason,
    Quantity,
)
from ember_bench.experiment.trial import CallEntry, Trial, TrialResult, fingerprint
from tests.support.workspace import Ran, Workspace, single, vote


@dataclass
class Row:
    """What a made-up trial came to."""

    score: float = 0.0
    outcome: str | None = None
    cost: float | None = 0.01
    latency: float | None = 1.0
    key: bytes = b""


Table = Callable[[int, int, int], Row]
"""(cell, number of the item as in its id, epoch) -> row."""


class Made:
    """An engine whose trials come to what a table says."""

    def __init__(self, table: Table) -> None:
        self.table = table

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        yield [self._result(experiment, trial) for trial in trials]

    def _result(self, experiment: Experiment, trial: Trial) -> TrialResult:
        cell, item = experiment.cells[trial.cell], experiment.item(trial)
        row = self.table(trial.cell, int(item.id.rpartition("-")[2]), trial.epoch)
        by_score = {0.0: "wrong", 1.0: "correct"}.get(row.score, "partial")
        outcome: Any = row.outcome or by_score
        key = row.key or f"{trial}".encode()
        call = CallEntry(key, "counted:a", "answer", "generate", 0.0, 1.0, row.cost, 3, 5, True)
        identity = fingerprint(
            cell, item, experiment.questions[cell.dataset].evaluator, trial.epoch
        )
        error = "it failed" if outcome == "error" else None
        return TrialResult(
            trial, identity, outcome, row.score, "x", "", error, row.cost, row.latency, 0.0, (call,)
        )


def analysed(workspace: Workspace, table: Table) -> Ran:
    return workspace.run(engine=Made(table))


def bits(text: str) -> list[float]:
    return [float(bit) for bit in text]


def wilson(k: float, n: float, z: float = 1.959963984540054) -> tuple[float, float]:
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - half, centre + half


# --- accuracy -------------------------------------------------------------------------------------


def test_accuracy_is_the_share_of_right_items_with_wilsons_interval(workspace: Workspace) -> None:
    scores = bits("1110110110")
    cell = analysed(workspace, lambda _, item, __: Row(scores[item])).cell
    assert cell.accuracy is not None
    expected = scipy_stats.binomtest(7, 10).proportion_ci(method="wilson")
    assert cell.accuracy.value == 0.7
    assert cell.accuracy.low == pytest.approx(expected.low, abs=1e-12)
    assert cell.accuracy.high == pytest.approx(expected.high, abs=1e-12)


def test_the_level_is_the_grids(workspace: Workspace) -> None:
    workspace.grid(level=0.8)
    cell = analysed(workspace, lambda _, item, __: Row(float(item < 7))).cell
    expected = scipy_stats.binomtest(7, 10).proportion_ci(0.8, method="wilson")
    assert cell.accuracy is not None
    assert cell.accuracy.low == pytest.approx(expected.low, abs=1e-12)


def test_all_right_has_an_interval_that_ends_at_one(workspace: Workspace) -> None:
    cell = analysed(workspace, lambda *_: Row(1.0)).cell
    assert cell.accuracy is not None
    assert (cell.accuracy.value, cell.accuracy.high) == (1.0, 1.0)
    assert cell.accuracy.low == pytest.approx(wilson(10, 10)[0], abs=1e-12)


def test_epochs_are_averaged_first(workspace: Workspace) -> None:
    # Ten items, always right or always wrong: four epochs tell no more than one.
    scores = bits("1110110110")
    workspace.grid(architectures=[single()])
    one = analysed(workspace, lambda _, item, __: Row(scores[item])).cell
    workspace.grid(architectures=[single()], epochs=4)
    four = analysed(workspace, lambda _, item, __: Row(scores[item])).cell
    assert four.scheduled == 40
    assert four.items == 10
    assert four.accuracy is not None
    assert one.accuracy is not None
    assert four.accuracy.low == one.accuracy.low
    assert four.outcomes["correct"] == 28


def test_an_item_counts_as_much_with_few_epochs_as_with_many(workspace: Workspace) -> None:
    # With failures excluded, items have different numbers of scores: 3 of item 0, 1 of others.
    workspace.grid(epochs=3, failures="excluded")

    def table(_: int, item: int, epoch: int) -> Row:
        if item and epoch:
            return Row(outcome="error")
        return Row(float(item == 0))

    cell = analysed(workspace, table).cell
    assert cell.accuracy is not None
    assert cell.accuracy.value == pytest.approx(0.1)


def test_clusters_widen_the_interval(workspace: Workspace) -> None:
    def cluster(i: int) -> str:
        return f"passage {i // 10}"

    def table(_: int, item: int, __: int) -> Row:
        return Row(float(item // 10 in (0, 1, 3)))

    workspace.sums(60)
    alone = analysed(workspace, table).cell.accuracy
    workspace.sums(60, cluster=cluster)
    together = analysed(workspace, table).cell.accuracy
    assert alone is not None
    assert together is not None
    assert alone.value == together.value == 0.5
    assert together.low is not None
    # Six passages, each right or wrong as a whole: about what six items would tell.
    scores, labels = np.repeat([1, 1, 0, 1, 0, 0], 10), np.repeat(np.arange(6), 10)
    sums = np.bincount(labels, scores - 0.5)
    error = math.sqrt(6 / 5 * (sums**2).sum()) / 60
    n, t = 0.25 / error**2, scipy_stats.t.ppf(0.975, 5)
    assert together.low == pytest.approx(wilson(0.5 * n, n, t)[0], abs=1e-9)
    assert together.method.startswith("wilson, cluster")


def test_categories_have_their_own_accuracies(workspace: Workspace) -> None:
    workspace.sums(10, category=lambda i: "low" if i < 4 else None)
    cell = analysed(workspace, lambda _, item, __: Row(float(item != 2))).cell
    assert set(cell.categories) == {"low"}
    low = cell.categories["low"]
    assert (low.value, low.low, low.high) == pytest.approx((0.75, *wilson(3, 4)), abs=1e-12)


# --- cost and latency -----------------------------------------------------------------------------


def test_cost_per_item_and_per_right_answer(workspace: Workspace) -> None:
    costs = [0.01 * (i + 1) for i in range(10)]
    cell = analysed(workspace, lambda _, i, __: Row(float(i < 5), cost=costs[i])).cell
    assert cell.cost_per_item is not None
    assert cell.cost_per_correct is not None
    assert cell.cost_per_item.value == pytest.approx(0.055)
    assert cell.cost_per_correct.value == pytest.approx(0.55 / 5)
    assert cell.cost_per_item.low is not None
    assert 0 < cell.cost_per_item.low < 0.055
    assert (cell.input_tokens, cell.output_tokens, cell.calls) == (30, 50, 10)


def test_failed_trials_cost_counts_against_the_right_answers_alone(workspace: Workspace) -> None:
    def table(_: int, item: int, __: int) -> Row:
        return Row(outcome="error", cost=1.0) if item < 5 else Row(1.0, cost=2.0)

    cell = analysed(workspace, table).cell
    assert cell.cost_per_item is not None
    assert cell.cost_per_correct is not None
    assert cell.cost_per_item.value == 2.0
    assert cell.cost_per_correct.value == 15 / 5


def test_without_a_right_answer_there_is_no_cost_of_one(workspace: Workspace) -> None:
    assert analysed(workspace, lambda *_: Row(0.0)).cell.cost_per_correct is None


@pytest.mark.parametrize("unknown", ["cost", "latency"])
def test_one_unknown_makes_the_mean_unknown(workspace: Workspace, unknown: str) -> None:
    def table(_: int, item: int, __: int) -> Row:
        return Row(1.0, **({unknown: None} if item == 3 else {}))

    cell = analysed(workspace, table).cell
    assert (cell.cost_per_item is None) == (unknown == "cost")
    assert (cell.cost_per_correct is None) == (unknown == "cost")
    assert (cell.latency_seconds is None) == (unknown == "latency")
    assert (cell.latency_p50 is None) == (unknown == "latency")


def test_latency_quantiles(workspace: Workspace) -> None:
    workspace.sums(101)
    cell = analysed(workspace, lambda _, item, __: Row(latency=float(item))).cell
    assert cell.latency_seconds is not None
    assert cell.latency_seconds.value == 50.0
    assert cell.latency_p50 is not None
    assert cell.latency_p95 is not None
    assert (cell.latency_p50.value, cell.latency_p95.value) == (50.0, 95.0)
    assert cell.latency_p50.low is not None
    assert cell.latency_p95.high is not None


def test_latency_quantiles_are_of_trials_and_not_of_the_items_means(workspace: Workspace) -> None:
    # Each item has one fast and one slow epoch: no trial takes as long as their mean.
    workspace.sums(60)
    workspace.grid(epochs=2)
    cell = analysed(workspace, lambda _, item, epoch: Row(latency=(1.0, 9.0)[epoch])).cell
    assert cell.latency_seconds is not None
    assert cell.latency_seconds.value == 5.0
    assert cell.latency_p95 is not None
    assert cell.latency_p95.value == 9.0


def test_trials_of_an_item_tell_less_of_a_quantile_than_independent_ones(
    workspace: Workspace,
) -> None:
    workspace.grid(epochs=12)
    alike = analysed(workspace, lambda _, item, __: Row(latency=float(item))).cell
    workspace.sums(120)
    workspace.grid(epochs=1)
    alone = analysed(workspace, lambda _, item, __: Row(latency=float(item % 10))).cell
    assert alike.latency_p50 is not None
    assert alone.latency_p50 is not None
    assert alone.latency_p50.low is not None
    assert alone.latency_p50.high is not None
    assert (
        alike.latency_p50.low is None
        or alike.latency_p50.high is None
        or (
            alike.latency_p50.high - alike.latency_p50.low
            > alone.latency_p50.high - alone.latency_p50.low
        )
    )


def test_a_quantile_of_too_few_trials_has_no_interval(workspace: Workspace) -> None:
    cell = analysed(workspace, lambda _, item, __: Row(latency=float(item))).cell
    assert cell.latency_p95 is not None
    assert cell.latency_p95.low is None
    assert cell.latency_p95.high is None


def width(estimate: Quantity | None) -> float:
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low


@pytest.mark.parametrize("name", ["cost_per_item", "cost_per_correct", "latency_seconds"])
def test_items_of_a_cluster_widen_the_intervals_of_amounts_too(
    workspace: Workspace, name: str
) -> None:
    def table(_: int, item: int, __: int) -> Row:
        amount = 1.0 + item // 10 % 3
        return Row(float(item % 10 < 7), cost=amount, latency=amount)

    workspace.sums(90)
    alone = analysed(workspace, table).cell
    workspace.sums(90, cluster=lambda i: f"passage {i // 10}")
    together = analysed(workspace, table).cell
    assert width(getattr(together, name)) > 1.5 * width(getattr(alone, name))


def test_items_of_a_cluster_widen_pass_at_k(workspace: Workspace) -> None:
    workspace.grid(epochs=2)

    def table(_: int, item: int, epoch: int) -> Row:
        return Row(float(item // 10 % 2 and epoch == 0))

    workspace.sums(80)
    alone = analysed(workspace, table).cell
    workspace.sums(80, cluster=lambda i: f"passage {i // 10}")
    together = analysed(workspace, table).cell
    assert together.pass_at_k[2].value == alone.pass_at_k[2].value == 0.5
    assert width(together.pass_at_k[2]) > 1.5 * width(alone.pass_at_k[2])


# --- comparisons ----------------------------------------------------------------------------------

A, B, C, D = "1111100000", "1111111100", "1111100001", "0000000000"


def compared(workspace: Workspace, *columns: str, **grid: Any) -> list[CellSummary]:
    models = [f"counted:{letter}" for letter in "abcdefg"[: len(columns)]]
    for model in models:
        workspace.model(model)
    workspace.grid(architectures=[single(models)], **grid)
    scores = [bits(column) for column in columns]

    def table(cell: int, item: int, _: int) -> Row:
        return Row(scores[cell % len(scores)][item])

    return analysed(workspace, table).summary.cells


def test_comparisons_are_paired_on_items_by_the_exact_mcnemar_test(workspace: Workspace) -> None:
    a, b, c, d = compared(workspace, A, B, C, D)
    assert a.comparison is None
    for cell, wins, losses in ((b, 3, 0), (c, 1, 0), (d, 0, 5)):
        found = cell.comparison
        assert found is not None
        assert found.baseline == a.name
        assert (found.items, found.wins, found.losses) == (10, wins, losses)
        assert found.difference.value == pytest.approx((wins - losses) / 10)
        exact = scipy_stats.binomtest(wins, wins + losses).pvalue
        assert found.p_value == pytest.approx(exact, abs=1e-12)
        assert found.test == "mcnemar"
        # Bonett & Price 2012, equation 3.
        n, z = 10 + 2, 1.959963984540054
        p12, p21 = (wins + 1) / n, (losses + 1) / n
        half = z * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / n)
        assert found.difference.low == pytest.approx(max(-1, p12 - p21 - half), abs=1e-12)
        assert found.difference.high == pytest.approx(min(1, p12 - p21 + half), abs=1e-12)


def test_holms_correction_is_over_all_comparisons_of_the_experiment(workspace: Workspace) -> None:
    workspace.sums(10, "more")
    cells = compared(workspace, A, B, D, datasets=["sums", "more"])
    pairs = [c.comparison for c in cells if c.comparison is not None]
    assert len(pairs) == 4
    p = [pair.p_value for pair in pairs]
    assert all(value is not None for value in p)
    order = sorted(range(4), key=lambda i: p[i])  # type: ignore[arg-type, return-value]
    expected, largest = [0.0] * 4, 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (4 - rank) * p[i]))  # type: ignore[operator]
        expected[i] = largest
    assert [pair.p_holm for pair in pairs] == pytest.approx(expected, abs=1e-12)


def test_holms_correction_leaves_oracles_out(workspace: Workspace) -> None:
    for model in ("counted:b", "counted:c"):
        workspace.model(model)
    oracle = {"name": "oracle", "parameters": {"models": ["counted:a", "counted:b"]}}
    workspace.grid(architectures=[single(["counted:a", "counted:b"]), oracle, single("counted:c")])
    columns = [bits("0000000000"), bits("1111110000"), bits("1111111111"), bits("1111111000")]
    cells = analysed(workspace, lambda cell, item, _: Row(columns[cell][item])).summary.cells
    _, b, bound, c = (cell.comparison for cell in cells)
    assert b is not None
    assert c is not None
    assert bound is not None
    assert bound.p_value == pytest.approx(2 / 2**10)
    assert bound.p_holm is None
    assert (b.p_holm, c.p_holm) == pytest.approx((2 / 2**6, 2 * 2 / 2**7))


def test_only_items_that_both_have_are_compared(workspace: Workspace) -> None:
    workspace.model("counted:b")
    workspace.grid(architectures=[single(["counted:a", "counted:b"])], failures="excluded")

    def table(cell: int, item: int, _: int) -> Row:
        if item in ((0, 1, 2), (2, 3))[cell]:
            return Row(outcome="error")
        return Row(float(cell))

    found = analysed(workspace, table).summary.cells[1].comparison
    assert found is not None
    assert found.items == 6
    assert found.difference.value == 1.0


def test_without_a_common_item_there_is_no_comparison(workspace: Workspace) -> None:
    workspace.model("counted:b")
    workspace.grid(architectures=[single(["counted:a", "counted:b"])], failures="excluded")
    cells = analysed(workspace, lambda cell, item, _: Row(outcome=(None, "error")[item % 2 ^ cell]))
    assert [cell.comparison for cell in cells.summary.cells] == [None, None]


def test_scores_between_0_and_1_are_compared_by_flipping_signs(workspace: Workspace) -> None:
    workspace.model("counted:b")
    workspace.grid(architectures=[single(["counted:a", "counted:b"])])
    ours = [0.5, 0.25, 1, 0, 0.75, 0.5, 0.25, 0, 1, 0.5]
    theirs = [0.25, 0, 0.5, 0.25, 0, 0, 0.5, 0, 0.25, 0]
    table = [theirs, ours]
    found = analysed(workspace, lambda c, i, _: Row(float(table[c][i]))).summary.cells[1].comparison
    assert found is not None
    d = np.subtract(ours, theirs)
    signs = np.array(list(itertools.product([1, -1], repeat=10)))
    exact = np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-12)
    assert found.p_value == pytest.approx(exact, abs=1e-12)
    assert found.test == "sign-flip"


def test_the_named_baseline_is_the_one_compared_with(workspace: Workspace) -> None:
    named = {"name": "single", "parameters": {"model": "counted:b"}}
    a, b = compared(workspace, A, B, baseline=named)
    assert b.comparison is None
    assert a.comparison is not None
    assert a.comparison.difference.value == pytest.approx(-0.3)


def test_cells_that_share_calls_are_marked(workspace: Workspace) -> None:
    workspace.model("counted:b")
    workspace.grid(architectures=[single(), single("counted:b"), vote(3)])
    _, other, shared = workspace.run().summary.cells
    assert other.comparison is not None
    assert not other.comparison.shared_draws
    assert shared.comparison is not None
    assert shared.comparison.shared_draws


@pytest.mark.parametrize("k", [1, 3])
def test_a_vote_of_one_makes_the_baselines_own_calls(workspace: Workspace, k: int) -> None:
    workspace.model("counted:b")
    workspace.grid(architectures=[single(), single("counted:b"), vote(k)])
    _, other, voted = (cell.comparison for cell in workspace.run().summary.cells)
    assert other is not None
    assert voted is not None
    assert voted.same_calls == (k == 1)
    if voted.same_calls:
        assert (voted.difference.value, voted.difference.low, voted.difference.high) == (
            0.0, None, None,
        )  # fmt: skip
        assert (voted.p_value, voted.p_holm, voted.sign) == (None, None, 0)
        assert other.p_holm == other.p_value, "it is no part of the family"


def test_a_cascade_that_did_not_go_on_makes_no_same_calls(workspace: Workspace) -> None:
    workspace.model("counted:b")
    cascade = {"name": "cascade", "parameters": {"cheap": ["counted:a"], "dear": ["counted:b"]}}
    workspace.grid(architectures=[single("counted:a"), cascade])
    first, second = workspace.run().summary.cells
    assert second.calls == first.calls
    assert second.comparison is not None
    assert second.comparison.shared_draws
    assert not second.comparison.same_calls


# --- failures -------------------------------------------------------------------------------------


def failing(workspace: Workspace, failures: str, *columns: str) -> list[CellSummary]:
    """Return the cells whose trials are right (1), wrong (0) or failed (x), item by item."""
    models = [f"counted:{letter}" for letter in "abcdefg"[: len(columns)]]
    for model in models:
        workspace.model(model)
    workspace.sums(len(columns[0]))
    workspace.grid(architectures=[single(models)], failures=failures)

    def table(cell: int, item: int, _: int) -> Row:
        sign = columns[cell][item]
        return Row(outcome="error") if sign == "x" else Row(float(sign))

    return analysed(workspace, table).summary.cells


@pytest.mark.parametrize("failures", ["wrong", "excluded"])
def test_failures_alone_make_no_finding(workspace: Workspace, failures: str) -> None:
    # A model that is right whenever it answers is not worse for having failed.
    _, other = failing(workspace, failures, "1" * 40, "1" * 10 + "x" * 30)
    found = other.comparison
    assert found is not None
    assert not found.is_clear(0.95)
    assert (found.sign, found.p_holm) == (0, 1.0)
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert found.difference.low < -0.6
    assert found.difference.high >= 0


@pytest.mark.parametrize("failures", ["wrong", "excluded"])
def test_a_difference_that_no_failure_can_turn_is_a_finding(
    workspace: Workspace, failures: str
) -> None:
    _, other = failing(workspace, failures, "0" * 30 + "1" * 8 + "xx", "1" * 38 + "xx")
    found = other.comparison
    assert found is not None
    assert (found.sign, found.is_clear(0.95)) == (1, True)
    worst = stats.paired_difference([1] * 38 + [0, 0], [0] * 30 + [1] * 10)
    assert worst is not None
    assert worst.interval is not None
    assert found.p_value == pytest.approx(worst.p_value)
    assert found.difference.low == pytest.approx(worst.interval.low)


@pytest.mark.parametrize("failures", ["wrong", "excluded"])
def test_a_cell_whose_trials_all_failed_was_not_measured(
    workspace: Workspace, failures: str
) -> None:
    base, broken, other = failing(workspace, failures, "1010101010", "x" * 10, "1110101010")
    assert base.measured
    assert not broken.measured
    assert (broken.accuracy, broken.comparison) == (None, None)
    assert (broken.accuracy_worst, broken.accuracy_best) == (0.0, 1.0)
    assert other.comparison is not None
    assert other.comparison.p_holm == other.comparison.p_value


def test_pass_at_k_is_of_the_items_that_no_cell_failed_on(workspace: Workspace) -> None:
    workspace.model("counted:b")
    workspace.grid(architectures=[single(["counted:a", "counted:b"])], epochs=2,
                   failures="excluded")  # fmt: skip

    def table(cell: int, item: int, epoch: int) -> Row:
        if item == cell and epoch:
            return Row(outcome="error")
        return Row(float(item >= 5))

    for cell in analysed(workspace, table).summary.cells:
        assert cell.pass_at_k[2].value == pytest.approx(5 / 8)


def test_the_commonest_faults_are_counted(workspace: Workspace) -> None:
    ran = analysed(workspace, lambda _, item, __: Row(outcome="error" if item < 4 else None))
    assert ran.summary.failure_reasons == [FailureReason("it failed", 4)]


# --- the whole ------------------------------------------------------------------------------------


def numbers(value: Any) -> Iterable[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from numbers(entry)
    elif isinstance(value, float):
        yield value


failed = st.builds(
    Row,
    outcome=st.sampled_from(["error", "unparsed"]),
    cost=st.sampled_from([None, 0.0, 0.01]),
    latency=st.sampled_from([None, 0.0]),
)
scored = st.builds(
    Row,
    score=st.sampled_from([0.0, 1.0, 0.5, 1 / 3]),
    cost=st.sampled_from([None, 0.0, 0.01, 1e-9, 5.0]),
    latency=st.sampled_from([None, 0.0, 0.1, 3.0, 1e6]),
    key=st.sampled_from([b"", b"the same"]),
)
rows = failed | scored


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_the_trials_came_to_the_summary_is_whole(
    workspace: Workspace, data: st.DataObject
) -> None:
    items, epochs = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 2))
    clusters = data.draw(st.booleans())
    workspace.sums(items, **({"cluster": lambda i: str(i // 2)} if clusters else {}))
    failures = data.draw(st.sampled_from(["wrong", "excluded"]))
    workspace.grid(architectures=[vote([1, 2])], epochs=epochs, failures=failures)
    places = list(itertools.product(range(2), range(items), range(epochs)))
    made = data.draw(st.lists(rows, min_size=len(places), max_size=len(places)))
    table = dict(zip(places, made, strict=True))
    shutil.rmtree(workspace.root / "results", ignore_errors=True)
    summary = analysed(workspace, lambda *place: table[place]).summary
    encoded = msgspec.json.encode(summary)
    assert msgspec.json.decode(encoded, type=ExperimentSummary) == summary
    assert all(math.isfinite(n) for n in numbers(msgspec.json.decode(encoded)))
    for cell in summary.cells:
        assert sum(cell.outcomes.values()) == cell.scheduled == items * epochs
        assert (cell.accuracy is None) == (cell.outcomes["error"] == cell.scheduled)
        for estimate in (cell.accuracy, cell.cost_per_item, cell.cost_per_correct):
            if estimate is not None and estimate.low is not None and estimate.high is not None:
                assert estimate.low <= estimate.value <= estimate.high
        if failures == "wrong" and cell.accuracy is not None and cell.accuracy_best is not None:
            assert cell.accuracy_worst == pytest.approx(cell.accuracy.value, abs=1e-12)
            assert cell.accuracy_best >= cell.accuracy.value


def test_a_summary_of_nothing_is_whole(workspace: Workspace) -> None:
    class Nothing:
        async def run(self, *_: Any) -> AsyncGenerator[list[TrialResult], None]:
            for batch in ():
                yield batch

    workspace.grid(architectures=[single(), vote(3)])
    summary = workspace.run(engine=Nothing()).summary
    assert summary.run.status == "partial"
    encoded = msgspec.json.encode(summary)
    assert msgspec.json.decode(encoded, type=ExperimentSummary) == summary
    for cell in summary.cells:
        assert cell.outcomes["skipped"] == 10
        estimates = (cell.accuracy, cell.cost_per_item, cell.cost_per_correct, cell.latency_seconds)
        values = (cell.accuracy_worst, cell.accuracy_best, cell.latency_p50, cell.latency_p95)
        assert set(estimates) == set(values) == {cell.comparison} == {None}
