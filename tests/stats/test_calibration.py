"""Confidences: values by scikit-learn and by hand, intervals by simulation."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import calibration, metrics

from ember_bench.stats import (
    accuracy_at_coverage,
    auroc,
    brier_score,
    calibration_curve,
    expected_calibration_error,
)

from .coverage import simulated_coverage

STATED = st.lists(
    st.tuples(st.integers(0, 20).map(lambda k: k / 20), st.booleans()), min_size=1, max_size=60
)
ALL = (auroc, brier_score, expected_calibration_error, lambda c, y: accuracy_at_coverage(c, y, 0.5))


@given(st.lists(st.booleans(), min_size=11, max_size=60))
def test_a_curve_of_many_values_has_the_bins_of_scikit_learn(right):
    stated = [i % 21 / 20 for i in range(len(right))]
    true, mean = calibration.calibration_curve(right, stated, n_bins=10)
    found = calibration_curve(stated, right)
    assert [one.stated for one in found] == pytest.approx(mean)
    assert [one.true.value for one in found] == pytest.approx(true)
    assert sum(one.true.n for one in found) == len(right)


def test_few_values_are_a_bin_each():
    found = calibration_curve([0, 0.5, 0.5, 1, 1, 1], [0, 1, 0, 1, 1, 0.5])
    assert [(one.low, one.stated, one.high, one.true.n) for one in found] == [
        (0, 0, 0, 1), (0.5, 0.5, 0.5, 2), (1, 1, 1, 3),
    ]  # fmt: skip
    assert [one.true.value for one in found] == pytest.approx([0, 0.5, 2.5 / 3])


def test_outputs_of_a_cluster_are_one_unit_in_its_intervals():
    stated, right = [1.0] * 40, [1, 1, 1, 1, 0, 0, 0, 0] * 5
    (alone,), (together,) = (
        calibration_curve(stated, right, clusters=clusters)
        for clusters in (None, [i // 4 for i in range(40)])
    )
    assert together.true.value == alone.true.value
    assert together.true.interval.low < alone.true.interval.low
    assert together.true.interval.high > alone.true.interval.high


@pytest.mark.parametrize(
    ("stated", "true", "bins", "said"),
    [
        ([1.1], [1], 10, "stated"),
        ([1], [2], 10, "true"),
        ([1, 0], [1], 10, "stated and true"),
        ([1], [1], 0, "bins"),
    ],
)
def test_a_curve_of_impossible_values_is_an_error(stated, true, bins, said):
    with pytest.raises(ValueError, match=said):
        calibration_curve(stated, true, bins=bins)


@given(STATED)
def test_the_brier_score_is_that_of_scikit_learn(pairs):
    stated, right = zip(*pairs, strict=True)
    expected = metrics.brier_score_loss(right, stated, labels=[False, True])
    assert brier_score(stated, right).value == pytest.approx(expected)


@given(STATED)
def test_auroc_is_that_of_scikit_learn(pairs):
    stated, right = zip(*pairs, strict=True)
    assume(len(set(right)) == 2)
    assert auroc(stated, right).value == pytest.approx(metrics.roc_auc_score(right, stated))


def test_auroc_needs_right_and_wrong_answers():
    assert auroc([0.5, 0.6], [1, 1]) is None


def test_the_calibration_error_is_the_mean_gap_of_the_bins():
    # (.6, .7] has accuracy 1/2 for .65, (.9, 1] has 1 for .95.
    found = expected_calibration_error([0.65, 0.65, 0.95, 0.95], [1, 0, 1, 1])
    assert found.value == pytest.approx((2 * 0.15 + 2 * 0.05) / 4)


def test_a_confidence_at_the_edge_of_bins_is_in_the_lower_one():
    found = expected_calibration_error([0.5, 0.51], [1, 0], bins=2)
    assert found.value == pytest.approx((0.5 + 0.51) / 2)


def test_the_accuracy_at_full_coverage_is_the_accuracy():
    assert accuracy_at_coverage([0.2, 0.9, 0.4], [1, 1, 0], 1.0).value == pytest.approx(2 / 3)


def test_only_the_most_confident_items_are_covered():
    assert accuracy_at_coverage([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.5).value == 1


def test_items_of_equal_confidence_at_the_threshold_count_in_part():
    # One of four is taken whole; the second place goes to a third of each of three.
    found = accuracy_at_coverage([0.9, 0.5, 0.5, 0.5], [1, 1, 0, 0], 0.5)
    assert found.value == pytest.approx((1 + 1 / 3) / 2)


@given(STATED)
def test_every_interval_holds_its_value(pairs):
    stated, right = zip(*pairs, strict=True)
    for metric in ALL:
        if (found := metric(stated, right)) is not None:
            assert found.interval.low - 1e-9 <= found.value <= found.interval.high + 1e-9


@pytest.mark.parametrize("coverage", [0, 1.5])
def test_a_coverage_outside_its_range_is_refused(coverage):
    with pytest.raises(ValueError, match="coverage must lie"):
        accuracy_at_coverage([0.5], [1], coverage)


def test_a_confidence_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="confidences must lie in"):
        brier_score([1.5], [1])


def test_without_items_there_is_nothing_to_estimate():
    assert [metric([], []) for metric in ALL] == [None] * 4


def sample(rng, n, optimism):
    stated = rng.beta(2, 0.8, n)
    return stated, rng.random(n) < np.clip(stated - optimism, 0, 1)


METRICS = {
    "auroc": auroc,
    "brier": brier_score,
    "ece": expected_calibration_error,
    "accuracy at half": lambda c, y: accuracy_at_coverage(c, y, 0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("optimism", [0.0, 0.15])
@pytest.mark.parametrize("name", METRICS)
def test_the_interval_covers_what_it_says(name, optimism):
    metric = METRICS[name]
    value = metric(*sample(np.random.default_rng(1), 400_000, optimism)).value
    # Of a calibrated model the error is 0, and what so many items show of it is noise.
    true = 0.0 if name == "ece" and optimism == 0 else value

    def interval(rng):
        found = metric(*sample(rng, 200, optimism))
        return found.interval if found else None

    n_samples = 200 if name == "ece" else 600
    covered = simulated_coverage(interval, true, n_samples=n_samples)
    assert 0.93 <= covered <= (1 if name == "ece" else 0.99)
