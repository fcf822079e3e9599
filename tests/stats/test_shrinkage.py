import numpy as np
import pytest
from scipy import integrate, stats

from ember_bench.stats import bootstrap_means, shrunken_means


def above_zero(difference, variance):
    """Return the posterior probability that the true difference of two cells is above 0.

    Two cells whose difference is normal around 0 with a variance of (1 - b) / b times that of the
    error, b uniform: its posterior at a known b is normal with mean (1 - b) d.
    """

    def weight(b):
        return np.sqrt(b) * np.exp(-(difference**2) * b / (2 * variance))

    def above(b):
        return weight(b) * stats.norm.cdf(difference * np.sqrt((1 - b) / variance))

    return integrate.quad(above, 0, 1)[0] / integrate.quad(weight, 0, 1)[0]


def posterior(means, errors):
    """Return mean and covariance of the true means by dense algebra, for the errors' covariance."""
    n = len(means)
    own = (np.trace(errors) - errors.mean() * n) / (n - 1)
    ones = np.ones(n)
    weights, centres, seconds = [], [], []
    for b in (np.arange(2000) + 0.5) / 2000:
        spread = own * (1 - b) / b
        total = errors + spread * np.eye(n)
        inverse = np.linalg.inv(total)
        precision = ones @ inverse @ ones
        middle = ones @ inverse @ means / precision
        rest = means - middle
        kept = spread * inverse
        fixed = (np.eye(n) - kept) @ ones
        log = np.linalg.slogdet(total)[1] + np.log(precision) + rest @ inverse @ rest
        weights.append(-log / 2)
        centres.append(middle + kept @ rest)
        covariance = kept @ errors + np.outer(fixed, fixed) / precision
        seconds.append(covariance + np.outer(centres[-1], centres[-1]))
    w = np.exp(np.array(weights) - max(weights))
    w /= w.sum()
    mean = w @ np.array(centres)
    return mean, np.tensordot(w, np.array(seconds), 1) - np.outer(mean, mean)


def errors_of(x):
    """Return the covariance of the means that the docstring describes, of scores of 0 and 1."""
    n, k = x.shape
    observed = np.cov(x.T) / n
    shared = (observed.sum() - np.trace(observed)) / (k * (k - 1))
    even = np.full((k, k), shared) + (np.trace(observed) / k - shared) * np.eye(k)
    weight = k / (n - 1 + k)
    return (1 - weight) * observed + weight * even + np.eye(k) / n**2


def cells(n, rates, seed):
    rng = np.random.default_rng(seed)
    shape = (n, len(rates))
    luck = np.where(rng.random(shape) < 0.5, rng.random((n, 1)), rng.random(shape))
    return (luck < rates).astype(float)


@pytest.mark.parametrize("n", [20, 200])
def test_draws_have_mean_and_covariance_of_the_posterior(n):
    x = cells(n, [0.5, 0.6, 0.7, 0.9], n)
    (draws,) = shrunken_means(x, n_draws=100_000)
    mean, covariance = posterior(x.mean(axis=0), errors_of(x))
    scale = np.sqrt(np.diag(covariance))
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.03 * scale.min())
    assert np.cov(draws.T) / np.outer(scale, scale) == pytest.approx(
        covariance / np.outer(scale, scale), abs=0.04
    )


def test_means_are_drawn_towards_each_other():
    x = cells(20, [0.5, 0.6, 0.7, 0.8, 0.9], 3)
    (draws,) = shrunken_means(x)
    assert np.ptp(draws.mean(axis=0)) < 0.9 * np.ptp(x.mean(axis=0))


def test_cells_far_apart_are_left_where_they_are():
    rng = np.random.default_rng(5)
    x = np.linspace(0, 1, 4) + rng.normal(0, 0.02, (4000, 4))
    (draws,) = shrunken_means(x)
    assert draws.mean(axis=0) == pytest.approx(x.mean(axis=0), abs=0.001)
    assert draws.std(axis=0) == pytest.approx(x.std(axis=0) / 4000**0.5, rel=0.1)


def test_other_values_are_resampled_in_step():
    x = cells(50, [0.3, 0.5, 0.8], 7)
    cost = 1 + 3 * x[:, :2]
    draws, means = shrunken_means(x, cost, n_draws=5000, seed=2)
    assert means == pytest.approx(bootstrap_means(cost, n_draws=5000, seed=2))
    assert np.corrcoef(draws[:, 0], means[:, 0])[0, 1] > 0.7


def test_cells_with_equal_scores_stay_equal():
    x = cells(30, [0.4, 0.7], 8)
    (draws,) = shrunken_means(x[:, [0, 1, 0]], n_draws=100)
    assert np.array_equal(draws[:, 0], draws[:, 2])
    assert not np.array_equal(draws[:, 0], draws[:, 1])
    (alone,) = shrunken_means(x[:, [0, 0]], n_draws=100)
    assert alone[:, :1] == pytest.approx(bootstrap_means(x[:, :1], n_draws=100))


def test_other_values_are_of_the_same_items():
    with pytest.raises(ValueError, match=r"others have \[4\] rows for 5 items"):
        shrunken_means(np.ones((5, 2)), np.ones((4, 2)))
