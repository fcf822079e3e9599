import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.stats import (
    difference_bounds,
    failure_bounds,
    mean_score,
    paired_difference,
    score_ranges,
    wilson_interval,
)

from .coverage import simulated_coverage


def test_failures_stay_in_the_denominator():
    # Of 100 items 50 are right; 40 of the wrong ones failed.
    scores = [1.0] * 50 + [0.0] * 10 + [float("nan")] * 40
    failed = [False] * 60 + [True] * 40
    found = failure_bounds(scores, failed)
    assert found.worst.value == 0.5
    assert found.best.value == 0.9
    assert found.finished.value == pytest.approx(50 / 60)
    assert (found.n_trials, found.n_failed) == (100, 40)
    assert found.interval.low == wilson_interval(50, 100).low
    assert found.interval.high == wilson_interval(90, 100).high


def test_without_failures_all_bounds_are_the_mean():
    found = failure_bounds([1, 0, 1], [0, 0, 0])
    assert found.worst == found.best == found.finished
    assert found.interval == found.worst.interval


def test_epochs_are_averaged_before_bounding():
    found = failure_bounds([1, 1, 0, 0], [0, 0, 0, 1], items=["a", "a", "a", "b"])
    assert found.worst.value == pytest.approx((2 / 3 + 0) / 2)
    assert found.best.value == pytest.approx((2 / 3 + 1) / 2)
    assert found.finished.value == pytest.approx(2 / 3)
    assert found.worst.n == 2
    assert found.finished.n == 1


def test_when_all_failed_the_score_may_be_anything():
    found = failure_bounds([0, 0], [1, 1])
    assert (found.worst.value, found.best.value, found.finished) == (0, 1, None)
    assert (found.interval.low, found.interval.high) == (0, 1)


def test_no_trials_no_bounds():
    assert failure_bounds([], []) is None


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_the_span_covers_whatever_would_have_been_scored(rate):
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(500):
        right = rng.random(100) < 0.8
        # Wrong answers fail twice as often as right ones.
        failed = rng.random(100) < np.where(right, rate, 2 * rate)
        span = failure_bounds(right, failed).interval
        covered.append(span.low <= 0.8 <= span.high)
    assert np.mean(covered) >= 0.95


def test_a_finished_trial_needs_a_score():
    with pytest.raises(ValueError, match="scores has 1 values that are not finite"):
        failure_bounds([1, float("nan")], [False, False])
    with pytest.raises(ValueError, match=r"scores have shape \(2,\), failed has shape \(1,\)"):
        failure_bounds([1, 0], [False])
    with pytest.raises(ValueError, match="items has 1 entries for 2 trials"):
        failure_bounds([1, 0], [0, 0], items=["a"])


def test_bounds_of_items_in_clusters_are_cluster_robust():
    scores, failed = np.tile([1.0, 1.0, 0.0, 1.0], 20), np.tile([0, 0, 0, 1], 20)
    items = np.repeat(np.arange(40), 2)
    passages = np.repeat(np.arange(10), 8)
    found = failure_bounds(scores, failed, items=items, clusters=passages)
    means = np.tile([1.0, 0.0], 20)
    assert found.worst == mean_score(means, clusters=np.repeat(np.arange(10), 4))
    assert found.best.value == 0.75
    assert found.finished.n == 40


def test_an_item_in_two_clusters_is_refused():
    with pytest.raises(ValueError, match="an item is in two clusters"):
        failure_bounds([1, 0], [0, 0], items=["a", "a"], clusters=["x", "y"])


def test_the_range_of_an_item_is_over_what_its_failed_epochs_may_score():
    nan = float("nan")
    found = score_ranges([1, nan, 0.5, nan, nan], [0, 1, 0, 1, 1], items=["b", "b", "a", "b", "c"])
    assert found.items == ("b", "a", "c")
    assert found.low == pytest.approx([1 / 3, 0.5, 0])
    assert found.high == pytest.approx([1, 0.5, 1])


def cell(right, failed):
    return score_ranges(np.where(failed, np.nan, right), failed)


def test_the_difference_is_bounded_by_failures_scored_against_and_for_it():
    # Of 100 items a is right on 60, b on 50 of these; 5 of each fail on items of their own.
    a = cell(np.arange(100) < 60, np.arange(100) >= 95)
    b = cell(np.arange(100) < 50, (np.arange(100) >= 90) & (np.arange(100) < 95))
    found = difference_bounds(a, b)
    assert found.worst.difference == pytest.approx(0.05)
    assert found.best.difference == pytest.approx(0.15)
    assert found.worst == paired_difference(a.low, b.high)
    assert found.best == paired_difference(a.high, b.low)
    assert found.interval.low == found.worst.interval.low
    assert found.interval.high == found.best.interval.high


@given(
    outcomes=st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, None])] * 2), min_size=1, max_size=12),
    filled=st.randoms(use_true_random=False),
)
def test_whatever_failed_trials_would_have_scored_the_difference_is_between_the_bounds(
    outcomes, filled
):
    sides = [[o[side] for o in outcomes] for side in (0, 1)]
    ranges = [
        score_ranges([0.0 if x is None else x for x in side], [x is None for x in side])
        for side in sides
    ]
    found = difference_bounds(*ranges)
    a, b = ([filled.choice([0.0, 1.0]) if x is None else x for x in side] for side in sides)
    completed = paired_difference(a, b)
    assert found.worst.difference - 1e-12 <= completed.difference
    assert completed.difference <= found.best.difference + 1e-12
    # No completion is surer of the sign that both cases have.
    if found.p_value < 1:
        assert completed.p_value <= found.p_value + 1e-12


@pytest.mark.parametrize(("failures", "sign"), [(0, 1), (5, 1), (25, 0)])
def test_a_difference_is_shown_if_it_survives_both_cases(failures, sign):
    a_right, b_right = np.arange(100) < 70, np.arange(100) < 45
    failed = (np.arange(100) >= 70) & (np.arange(100) < 70 + failures)
    a, b = cell(a_right, np.zeros(100, bool)), cell(b_right, failed)
    found, mirrored = difference_bounds(a, b), difference_bounds(b, a)
    assert (found.sign, mirrored.sign) == (sign, -sign)
    assert (found.p_value < 0.05) == bool(sign)
    assert found.p_value == mirrored.p_value


def test_cells_that_failed_everywhere_show_nothing():
    nothing = cell(np.zeros(30), np.ones(30, bool))
    found = difference_bounds(nothing, cell(np.ones(30), np.zeros(30, bool)))
    assert (found.worst.difference, found.best.difference) == (-1, 0)
    assert (found.sign, found.p_value) == (0, 1.0)


def test_without_failures_both_cases_are_the_paired_difference():
    rng = np.random.default_rng(5)
    a, b = rng.random((2, 40))
    passages = np.arange(40) // 4
    whole = np.zeros(40, bool)
    found = difference_bounds(cell(a, whole), cell(b, whole), clusters=passages, seed=3)
    assert found.worst == found.best == paired_difference(a, b, clusters=passages, seed=3)


def test_the_span_covers_the_difference_whatever_fails():
    def draw(rng):
        a, b = rng.random((2, 150)) < [[0.8], [0.7]]
        # Wrong answers of a fail, right ones of b do.
        a_failed, b_failed = ~a & (rng.random(150) < 0.2), b & (rng.random(150) < 0.1)
        return difference_bounds(cell(a, a_failed), cell(b, b_failed)).interval

    assert simulated_coverage(draw, 0.1, n_samples=300) >= 0.94


def test_cells_of_other_items_have_no_difference():
    with pytest.raises(ValueError, match="same items in the same order"):
        difference_bounds(
            score_ranges([1, 0], [0, 0], items=["a", "b"]),
            score_ranges([1, 0], [0, 0], items=["b", "a"]),
        )
    assert difference_bounds(score_ranges([], []), score_ranges([], [])) is None
