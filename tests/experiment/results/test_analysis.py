"""Numbers of the summary, computed by hand or by scipy from tables of made-up trials."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ember_bench import stats
from ember_bench.experiment.results.summary import (
    CellSummary,
    ExperimentSummary,
)
from ember_bench.experiment.trial import TrialResult
from tests.experiment.results.made import Row, analysed
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow


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
    scores = np.array([[float(x) for x in column] for column in (A, B, C, D)]).T
    together = stats.max_t(scores[:, 1:] - scores[:, :1])
    for cell, wins, losses in ((b, 3, 0), (c, 1, 0), (d, 0, 5)):
        found = cell.comparison
        assert found is not None
        assert found.baseline == a.name
        assert (found.items, found.wins, found.losses) == (10, wins, losses)
        assert found.difference.value == pytest.approx((wins - losses) / 10)
        exact = scipy_stats.binomtest(wins, wins + losses).pvalue
        assert found.p_value == pytest.approx(exact, abs=1e-12)
        assert found.test == "mcnemar"
        # Bonett & Price 2012, equation 3, at the level at which the three hold together.
        n, z = 10 + 2, scipy_stats.norm.isf((1 - together.level_each) / 2)
        p12, p21 = (wins + 1) / n, (losses + 1) / n
        half = z * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / n)
        assert found.difference.low == pytest.approx(max(-1, p12 - p21 - half), abs=1e-12)
        assert found.difference.high == pytest.approx(min(1, p12 - p21 + half), abs=1e-12)


def test_the_correction_is_over_all_comparisons_of_the_experiment(workspace: Workspace) -> None:
    workspace.sums(10, "more")
    cells = compared(workspace, A, B, D, datasets=["sums", "more"], correction="holm")
    pairs = [c.comparison for c in cells if c.comparison is not None]
    assert len(pairs) == 4
    p = [pair.p_value for pair in pairs]
    assert all(value is not None for value in p)
    order = sorted(range(4), key=lambda i: p[i])  # type: ignore[arg-type, return-value]
    expected, largest = [0.0] * 4, 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (4 - rank) * p[i]))  # type: ignore[operator]
        expected[i] = largest
    assert [pair.p_adjusted for pair in pairs] == pytest.approx(expected, abs=1e-12)


def test_the_correction_leaves_oracles_out(workspace: Workspace) -> None:
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
    assert bound.p_adjusted is None
    # Six items that differ have no p as small as seven: each p stays as it is alone.
    assert (b.p_adjusted, c.p_adjusted) == pytest.approx((2 / 2**6, 2 / 2**7))


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
