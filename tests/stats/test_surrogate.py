"""Linear guesses against the normal equations, and against what they cannot know."""

import numpy as np
import pytest

from ember_bench.stats import guess_linear


def one_hot(rng, n, parts, values):
    table = np.zeros((n, parts * values))
    for part in range(parts):
        table[np.arange(n), part * values + rng.integers(0, values, n)] = 1
    return table


def test_it_is_ridge_regression_with_one_of_its_ridges():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5))
    known = rng.permutation(60)[:25]
    y = x[known] @ rng.normal(size=5) + rng.normal(size=25)
    found = guess_linear(x, known, y)
    centred = x - x.mean(axis=0)
    inside = centred[known]
    ridges = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
    means = [
        y.mean() + centred @ np.linalg.solve(inside.T @ inside + r * np.eye(5),
                                             inside.T @ (y - y.mean()))
        for r in ridges
    ]  # fmt: skip
    assert min(np.abs(found.mean - mean).max() for mean in means) < 1e-9


def test_additive_values_are_guessed_where_nothing_was_measured():
    rng = np.random.default_rng(1)
    x = one_hot(rng, 400, 4, 6)
    truth = x @ rng.normal(size=24)
    known = np.arange(80)
    found = guess_linear(x, known, truth[known] + 0.1 * rng.normal(size=80))
    assert np.corrcoef(found.mean[80:], truth[80:])[0, 1] > 0.98


def test_its_draws_have_its_mean_and_covariance():
    rng = np.random.default_rng(2)
    x = one_hot(rng, 12, 2, 3)
    found = guess_linear(x, np.arange(8), rng.normal(size=8))
    draws = found.draws(40_000, rng)
    assert draws.mean(axis=0) == pytest.approx(found.mean, abs=0.03)
    assert np.cov(draws.T) == pytest.approx(found.factor @ found.factor.T, abs=0.04)


def test_noise_alone_is_guessed_to_be_the_same_everywhere():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 3))
    found = guess_linear(x, np.arange(40), rng.normal(size=40))
    assert np.ptp(found.mean) < 1.0


def test_without_a_value_there_is_no_guess():
    with pytest.raises(ValueError, match="0 points are known"):
        guess_linear(np.ones((3, 1)), [], [])
