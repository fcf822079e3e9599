"""Families of comparisons: max-T against enumeration, and its errors in simulated grids."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from ember_bench.stats import (
    Interval,
    holm,
    max_t,
    mcnemar_exact,
    paired_difference,
    simultaneous_interval,
)
from ember_bench.stats._arrays import symmetric_root

ALPHA = 0.05


def enumerated(differences: np.ndarray) -> np.ndarray:
    """Return the step-down adjusted p-values from all 2^n sign patterns, by their definition.

    The statistic is a comparison's own exact p-value, of which the smallest counts.
    """
    signs = np.array(list(itertools.product((-1, 1), repeat=len(differences))))
    sums = np.abs(signs @ differences)
    p = np.array([(sums[:, :] >= row - 1e-9).mean(axis=0) for row in sums])
    observed = (sums >= np.abs(differences.sum(axis=0)) - 1e-9).mean(axis=0)
    adjusted, left, least = np.empty(observed.size), list(range(observed.size)), 0.0
    for place in np.argsort(observed, kind="stable"):
        least = max(least, (p[:, left].min(axis=1) <= observed[place] + 1e-12).mean())
        adjusted[place] = least
        left.remove(place)
    return adjusted


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from([-1, 0, 0, 1]), min_size=3, max_size=3), min_size=1,
                max_size=7))  # fmt: skip
def test_all_sign_patterns_are_counted_where_they_are_few(rows):
    differences = np.array(rows, dtype=float)
    found = max_t(differences)
    assert found.exact
    assert found.p_values == pytest.approx(enumerated(differences))


def right(rng, n, accuracies, *, shared=0.6, clusters=1):
    """Scores of cells on items of unequal difficulty, and draws that all of them share."""
    difficulty = np.repeat(rng.normal(size=(n // clusters, 1)), clusters, axis=0)
    noise = shared * rng.normal(size=(n, 1)) + 0.6 * rng.normal(size=(n, len(accuracies)))
    spread = np.sqrt(0.64 + shared**2 + 0.36)
    return ((0.8 * difficulty + noise) / spread < ndtri(accuracies)).astype(float)


def against_first(scores):
    return scores[:, 1:] - scores[:, :1]


def raw(scores):
    return [mcnemar_exact(column, scores[:, 0]).p_value for column in scores.T[1:]]


@pytest.mark.parametrize("seed", range(6))
def test_p_is_never_above_holms_nor_below_that_of_the_comparison_alone(seed):
    scores = right(np.random.default_rng(seed), 120, [0.7, 0.7, 0.72, 0.8, 0.9])
    alone = raw(scores)
    found = max_t(against_first(scores), p_values=alone, n_draws=500)
    assert not found.exact
    assert np.all(found.p_values <= holm(alone) * (1 + 1e-9))
    assert np.all(found.p_values >= alone)


def test_p_is_not_left_at_the_floor_of_drawn_patterns():
    scores = np.zeros((400, 4))
    scores[:90, 1], scores[:60, 2], scores[::3, 3] = 1, 1, 1
    found = max_t(against_first(scores), p_values=raw(scores), n_draws=100)
    assert found.p_values.max() < 1e-15


def test_one_comparison_is_the_paired_difference_itself():
    scores = right(np.random.default_rng(1), 150, [0.7, 0.85])
    alone = paired_difference(scores[:, 1], scores[:, 0])
    found = max_t(against_first(scores))
    assert found.p_values == pytest.approx([alone.p_value])
    assert found.intervals == (alone.interval,)


def test_what_is_equal_everywhere_makes_one_comparison():
    scores = right(np.random.default_rng(2), 150, [0.75, 0.85])
    twins = against_first(scores)[:, [0, 0, 0]]
    alone = raw(scores)[0]
    assert max_t(twins, p_values=[alone] * 3).p_values == pytest.approx(alone, rel=0.1)


def test_comparisons_on_different_items_are_independent():
    # P(at least one of two) = 1 - (1 - p)^2, for equal comparisons.
    differences = np.full((20, 2), np.nan)
    differences[:8, 0] = differences[10:18, 1] = 1
    p = 2 / 2**8
    assert max_t(differences).p_values == pytest.approx(1 - (1 - p) ** 2)


def test_the_items_of_a_cluster_flip_together():
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(8), 3)
    differences = rng.integers(-1, 2, size=(24, 2)).astype(float)
    sums = np.array([differences[clusters == c].sum(axis=0) for c in range(8)])
    signs = np.array(list(itertools.product((-1, 1), repeat=8)))
    scaled = np.abs(signs @ sums) / np.sqrt((sums**2).sum(axis=0))
    observed = np.abs(sums.sum(axis=0)) / np.sqrt((sums**2).sum(axis=0))
    expected = (scaled.max(axis=1) >= observed.max() - 1e-9).mean()
    found = max_t(differences, clusters=clusters)
    assert found.p_values[np.argmax(observed)] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(8))
def test_interval_and_p_never_disagree(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 200))
    scores = right(rng, n, [0.7, *rng.uniform(0.5, 0.95, size=9)])
    found = max_t(against_first(scores), p_values=raw(scores), n_draws=500)
    outside = [i.low > 0 or i.high < 0 for i in found.intervals]
    assert outside == (found.p_values < ALPHA).tolist()


def test_the_normal_limit_of_many_rows_is_a_little_stricter_than_their_signs(monkeypatch):
    scores = right(np.random.default_rng(5), 900, [0.6, 0.61, 0.63, 0.64, 0.6, 0.58, 0.62])
    signs = max_t(against_first(scores), p_values=np.full(6, 1e-9))
    monkeypatch.setattr("ember_bench.stats.families._MOST_ROWS", 10)
    limit = max_t(against_first(scores), p_values=np.full(6, 1e-9))
    assert np.all(limit.p_values >= signs.p_values - 0.01)
    assert np.all(limit.p_values <= signs.p_values + 0.06)


def test_without_a_comparison_or_an_item_there_is_nothing():
    assert max_t(np.empty((5, 0))).intervals == ()
    empty = max_t(np.full((4, 2), np.nan))
    assert empty.intervals == (None, None)
    assert empty.p_values == pytest.approx([1, 1])
    equal = max_t(np.zeros((4, 2)))
    assert equal.p_values == pytest.approx([1, 1])


def test_an_interval_is_moved_no_farther_than_to_zero():
    d = np.array([1.0] * 6 + [0.0] * 100)
    wide, cut = simultaneous_interval(d, 0.2, 0.9), simultaneous_interval(d, 0.01, 0.9999)
    assert wide.low == 0
    assert 0 < cut.low < 1e-9
    assert isinstance(wide, Interval)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="two dimensions"):
        max_t([1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        max_t([[np.inf]])
    with pytest.raises(ValueError, match="2 p_values for 1 comparisons"):
        max_t([[1.0]], p_values=[0.1, 0.2])
    with pytest.raises(ValueError, match="clusters has 1 entries"):
        max_t([[1.0], [0.0]], clusters=["a"])


def rates(n, accuracies, *, clusters=1, failing=0.0, runs, seed=20261130):
    """Return how often max-T and Holm reject a true null, and max-T's simultaneous coverage."""
    rng = np.random.default_rng(seed)
    true = np.array(accuracies[1:]) - accuracies[0]
    labels = None if clusters == 1 else np.repeat(np.arange(n // clusters), clusters)
    wrong = wrong_by_holm = covered = 0
    for run in range(runs):
        scores = right(rng, n, accuracies, clusters=clusters)
        scores[rng.random(scores.shape) < failing] = 0
        alone = raw(scores) if labels is None else None
        found = max_t(against_first(scores), clusters=labels, p_values=alone, n_draws=500, seed=run)
        wrong += bool((found.p_values < ALPHA)[true == 0].any())
        wrong_by_holm += alone is not None and bool((holm(alone) < ALPHA)[true == 0].any())
        low, high = (
            np.array([getattr(i, end) for i in found.intervals]) for end in ("low", "high")
        )
        covered += bool(np.all((low <= true * (1 - failing)) & (true * (1 - failing) <= high)))
    return wrong / runs, wrong_by_holm / runs, covered / runs


@pytest.mark.slow
@pytest.mark.parametrize(
    "grid",
    [
        {"n": 200, "accuracies": [0.85] * 2, "runs": 600},
        {"n": 200, "accuracies": [0.85] * 10, "runs": 200},
        {"n": 200, "accuracies": [0.85] * 10, "runs": 200, "failing": 0.05},
        {"n": 200, "accuracies": [0.85] * 50, "runs": 100},
        {"n": 200, "accuracies": [0.85] * 6 + [0.7] * 4, "runs": 200},
        {"n": 210, "accuracies": [0.85] * 6, "clusters": 3, "runs": 200},
    ],
    ids=["2 cells", "10", "10, 5 % of trials failed", "50", "10, 4 of them worse", "clusters"],
)
def test_false_findings_of_a_family_are_as_rare_as_it_says(grid):
    wrong, by_holm, covered = rates(**grid)
    error = 3 * np.sqrt(ALPHA * (1 - ALPHA) / grid["runs"])
    assert wrong <= ALPHA + error
    assert by_holm <= wrong
    # A step-down test and intervals share one error where some differences are real.
    assert covered >= 1 - 1.5 * ALPHA - error


def test_a_root_is_the_same_whatever_basis_equal_variances_have() -> None:
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 2, (40, 6)).astype(float)
    covariance = scores.T @ scores
    covariance[:, 5] = covariance[5] = covariance[:, 4]  # singular, and two columns alike
    covariance[5, 5] = covariance[4, 4]
    order = rng.permutation(6)
    root = symmetric_root(covariance)
    assert np.allclose(root, root.T)
    assert np.allclose(root @ root, covariance)
    other = symmetric_root(covariance[np.ix_(order, order)])
    assert np.allclose(other, root[np.ix_(order, order)])
    assert np.allclose(symmetric_root(np.eye(3)), np.eye(3))
