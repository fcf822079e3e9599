import numpy as np
import pytest
from scipy import integrate, stats

from ember_bench.stats import bootstrap_means, shrunken_means, shrunken_rates, wilson_interval


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


def rates_by_quadrature(y, n):
    """Return the posterior means of the Beta-Binomial model by brute force over m and b."""
    total, weighted = 0.0, np.zeros(len(y))
    steps = (np.arange(100) + 0.5) / 100
    for b in steps:
        w, m = np.mean(n) * b / (1 - b), steps[:, np.newaxis]
        chance = stats.betabinom.pmf(y, n, m * w, (1 - m) * w).prod(axis=1) * (1 - b) ** 2
        total += chance.sum()
        weighted += chance @ ((y + m * w) / (n + w))
    return weighted / total


def test_rates_are_the_posterior_means_of_the_beta_binomial_model():
    y, n = np.array([3, 5, 9, 2, 4]), np.array([4, 10, 10, 8, 4])
    found = [each.value for each in shrunken_rates(y, n)]
    assert found == pytest.approx(rates_by_quadrature(y, n), abs=0.003)


def test_rates_of_groups_that_differ_by_chance_alone_are_nearly_equal():
    found = shrunken_rates([7, 8, 8, 9, 8, 8, 7, 9, 8, 8], [10] * 10)
    values = [each.value for each in found]
    assert max(values) - min(values) < 0.1
    assert all(each.interval.low < each.value < each.interval.high for each in found)


def test_rates_of_many_items_stay_where_they_are():
    right = np.array([100, 500, 900, 300, 700])
    for each, y in zip(shrunken_rates(right, [1000] * 5), right, strict=True):
        own = wilson_interval(y, 1000)
        assert each.value == pytest.approx(y / 1000, abs=0.002)
        assert each.interval.low == pytest.approx(own.low, abs=0.003)
        assert each.interval.high == pytest.approx(own.high, abs=0.003)


def test_an_interval_of_a_group_without_a_mistake_reaches_1():
    found = shrunken_rates([5, 5, 4, 0, 5], [5] * 5)
    assert found[0].interval.high == 1
    assert found[3].interval.low == 0


def test_rates_need_five_groups_and_whole_numbers():
    assert shrunken_rates([1] * 4, [2] * 4) is None
    with pytest.raises(ValueError, match="right items of"):
        shrunken_rates([3.5] * 5, [4] * 5)
    with pytest.raises(ValueError, match="right items of"):
        shrunken_rates([5] * 5, [4] * 5)


POPULATIONS = {
    "equal": lambda rng, k: np.full(k, 0.9),
    "spread of 5 points": lambda rng, k: rng.beta(58.1, 24.9, k),
    "spread of 25 points": lambda rng, k: rng.beta(1.25, 0.31, k),
    "two kinds": lambda rng, k: np.where(rng.random(k) < 0.5, 0.6, 0.9),
}


@pytest.mark.slow
@pytest.mark.parametrize("population", POPULATIONS)
def test_intervals_of_rates_hold_on_average_and_are_narrower(population):
    rng = np.random.default_rng(0)
    held, widths, errors = [], [], []
    for _ in range(25):
        true = POPULATIONS[population](rng, 12)
        y = rng.binomial(10, true)
        for each, right, rate in zip(shrunken_rates(y, [10] * 12), y, true, strict=True):
            own = wilson_interval(int(right), 10)
            held.append(each.interval.low <= rate <= each.interval.high)
            widths.append((each.interval.high - each.interval.low, own.high - own.low))
            errors.append((each.value - rate, right / 10 - rate))
    assert np.mean(held) > 0.95 - 3 * (0.95 * 0.05 / len(held)) ** 0.5
    shrunken, alone = np.mean(widths, axis=0)
    assert shrunken < 0.9 * alone
    shrunken, alone = np.square(errors).mean(axis=0)
    assert shrunken < alone
