"""Simulated models through the whole harness come to what theory says they come to.

Seeds are fixed, so an interval either holds the true value or never does; over many cells about
one in twenty may not.
"""

from __future__ import annotations

import pytest

from ember_bench.experiment.results.summary import CellSummary
from ember_bench.stats.vote_laws import vote_accuracy
from tests.support.workspace import Workspace, vote

pytestmark = pytest.mark.slow

KS = [1, 3, 5, 9]
ITEMS = 300


@pytest.fixture
def lab(workspace: Workspace) -> Workspace:
    workspace.grid(datasets=[{"name": "arithmetic", "parameters": {"count": ITEMS}}])
    return workspace


def cells(workspace: Workspace, *architectures: dict[str, object]) -> list[CellSummary]:
    dataset = {"name": "arithmetic", "parameters": {"count": ITEMS}}
    workspace.grid(datasets=[dataset], architectures=list(architectures))
    return workspace.run().summary.cells


def holds(cell: CellSummary, value: float) -> bool:
    assert cell.accuracy is not None
    assert cell.accuracy.low is not None
    assert cell.accuracy.high is not None
    return cell.accuracy.low <= value <= cell.accuracy.high


def binomial_vote(p: float, k: int) -> float:
    """V(p, k) from its definition, not from our own formula."""
    from scipy import stats

    return float(stats.binom.sf(k // 2, k, p))


def test_a_vote_of_k_comes_to_v_of_p_and_k(lab: Workspace) -> None:
    ps = (0.35, 0.55, 0.7)
    for p in ps:
        lab.model(f"simulated:p{100 * p:.0f}", accuracy=p, distractors=1, seed=1)
    found = cells(lab, *(vote(KS, f"simulated:p{100 * p:.0f}") for p in ps))
    expected = [binomial_vote(p, k) for p in ps for k in KS]
    assert expected == pytest.approx([vote_accuracy(p, k) for p in ps for k in KS], abs=1e-12)
    assert [holds(c, v) for c, v in zip(found, expected, strict=True)].count(False) <= 1
    assert all(cell.simulated for cell in found)


def test_a_verifier_comes_to_its_closed_form(lab: Workspace) -> None:
    p, right, wrong = 0.4, 0.9, 0.2
    lab.model("simulated:solver", accuracy=p, distractors=1)
    lab.model("simulated:verifier", true_positive=right, false_positive=wrong)
    parameters = {"model": "simulated:solver", "verifier": "simulated:verifier", "k": KS}
    found = cells(lab, {"name": "verifier_judge", "parameters": parameters})
    # Davis et al. 2024: an accepted candidate, else a random one.
    reject = 1 - p * right - (1 - p) * wrong
    accepted = p * right / (p * right + (1 - p) * wrong)

    def law(k: int) -> float:
        return (1 - reject**k) * accepted + reject ** (k - 1) * p * (1 - right)

    assert [holds(c, law(k)) for c, k in zip(found, KS, strict=True)].count(False) == 0


def test_correlated_errors_spoil_a_vote(lab: Workspace) -> None:
    lab.model("simulated:alone", accuracy=0.7, distractors=1)
    lab.model("simulated:herd", accuracy=0.7, distractors=1, correlation=1.0)
    alone, herd = cells(lab, vote(9, "simulated:alone"), vote(9, "simulated:herd"))
    assert holds(alone, binomial_vote(0.7, 9))
    assert holds(herd, 0.7)


def test_paired_differences_with_shared_draws_hold_the_true_ones(lab: Workspace) -> None:
    lab.model("simulated:solver", accuracy=0.6, distractors=1)
    found = cells(lab, vote(KS, "simulated:solver"))
    for cell, k in list(zip(found, KS, strict=True))[1:]:
        assert cell.comparison is not None
        low, high = cell.comparison.difference.low, cell.comparison.difference.high
        assert low is not None
        assert high is not None
        assert low <= binomial_vote(0.6, k) - 0.6 <= high
        assert cell.comparison.shared_draws


def test_costs_and_calls_are_those_of_k_calls(lab: Workspace) -> None:
    lab.model("simulated:solver", accuracy=0.6, spread=0.0, output_tokens=100)
    one, *more = cells(lab, vote(KS, "simulated:solver"))
    assert one.cost_per_item is not None
    for cell, k in zip(more, KS[1:], strict=True):
        assert cell.cost_per_item is not None
        assert cell.cost_per_item.value == pytest.approx(k * one.cost_per_item.value)
        assert cell.calls == k * ITEMS
        assert cell.latency_seconds is not None
        assert cell.latency_seconds.value == pytest.approx(1.0)
