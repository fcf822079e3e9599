"""Coverage where it is not tested beside the interval itself: means over epochs, pass@k, the
bootstrap, and what is all right or all wrong."""

import numpy as np
import pytest

from ember_bench.stats import (
    best_probabilities,
    bootstrap_interval,
    clopper_pearson_interval,
    item_means,
    mean_pass_at_k,
    mean_score,
    paired_difference,
    wilson_interval,
)

from .coverage import binomial_coverage, simulated_coverage


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("n", [20, 50, 200, 1000])
@pytest.mark.parametrize("interval", [wilson_interval, clopper_pearson_interval])
def test_what_is_always_right_or_always_wrong_is_always_covered(interval, n, share):
    assert binomial_coverage(interval, n, [share]) == pytest.approx([1.0])


@pytest.mark.parametrize("accuracy", [0.5, 0.8, 0.97])
@pytest.mark.parametrize("epochs", [3, 10])
def test_means_over_epochs_are_covered(accuracy, epochs):
    # Items differ in difficulty, so their epochs are alike: 100 items are not 300 or 1000.
    def draw(rng):
        p = rng.beta(2 * accuracy, 2 * (1 - accuracy), 100)
        scores = rng.random((100, epochs)) < p[:, np.newaxis]
        items = np.repeat(np.arange(100), epochs)
        return mean_score(item_means(scores.ravel().astype(float), items).means).interval

    assert simulated_coverage(draw, accuracy) >= 0.93


def test_epochs_taken_for_items_do_not_cover():
    def draw(rng):
        p = rng.beta(0.4, 0.1, 100)
        scores = rng.random((100, 10)) < p[:, np.newaxis]
        return mean_score(scores.ravel().astype(float)).interval

    assert simulated_coverage(draw, 0.8) < 0.75


@pytest.mark.parametrize("k", [1, 5])
def test_pass_at_k_is_covered(k):
    def draw(rng):
        p = rng.beta(0.5, 1.5, 120)
        return mean_pass_at_k(np.full(120, 20), rng.binomial(20, p), k).interval

    p = np.random.default_rng(0).beta(0.5, 1.5, 2_000_000)
    truth = float(np.mean(1 - (1 - p) ** k))
    assert 0.93 <= simulated_coverage(draw, truth) <= 0.98


@pytest.mark.slow
def test_the_bootstrap_covers_a_skewed_mean_of_many_items():
    def draw(rng):
        return bootstrap_interval(
            rng.exponential(size=200), n_draws=1000, seed=int(rng.integers(9))
        )

    assert 0.92 <= simulated_coverage(draw, 1.0, n_samples=800) <= 0.97


def test_two_cells_that_are_always_right_may_still_differ_a_little():
    ones = np.ones(50)
    interval = paired_difference(ones, ones).interval
    assert interval.low < 0 < interval.high
    assert interval.high < 0.06


def test_which_of_two_equal_cells_is_best_is_seldom_said():
    # A plain bootstrap's share is a p-value's like: it would name one of them in 10 % of samples.
    rng = np.random.default_rng(4)
    found = np.array(
        [
            best_probabilities((rng.random((150, 2)) < 0.7).astype(float), n_draws=400, seed=i)[0]
            for i in range(400)
        ]
    )
    assert np.mean(np.abs(found - 0.5) > 0.45) < 0.05
    assert found.mean() == pytest.approx(0.5, abs=0.03)
