import numpy as np
import pytest
from scipy import stats

from ember_bench.stats import (
    bootstrap_interval,
    bootstrap_means,
    enough_to_rank,
    wilson_interval,
)
from ember_bench.stats._resampling import resample_counts

pytestmark = pytest.mark.slow


def skewed(n=60):
    return np.random.default_rng(4).lognormal(size=n)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_bootstrap_intervals_agree_with_scipy(method):
    x = skewed()
    reference = stats.bootstrap(
        (x,),
        np.mean,
        n_resamples=40_000,
        method="BCa" if method == "bca" else method,
        rng=np.random.default_rng(5),
    )
    found = bootstrap_interval(x, method=method, n_draws=40_000)
    noise = 0.04 * reference.standard_error
    assert found.low == pytest.approx(reference.confidence_interval.low, abs=noise)
    assert found.high == pytest.approx(reference.confidence_interval.high, abs=2 * noise)


def test_bca_moves_towards_the_long_tail():
    x = skewed()
    bca, percentile = bootstrap_interval(x), bootstrap_interval(x, method="percentile")
    assert bca.low > percentile.low
    assert bca.high > percentile.high


def test_all_equal_zero_one_data_fall_back_to_wilson():
    assert bootstrap_interval(np.ones(25)) == wilson_interval(25, 25)
    assert bootstrap_interval(np.zeros(25)) == wilson_interval(0, 25)


def test_other_equal_data_have_no_interval():
    assert bootstrap_interval([0.3] * 25) is None
    assert bootstrap_interval([]) is None


def test_resampled_means_have_the_moments_of_the_mean():
    x = np.column_stack([skewed(), np.sqrt(skewed())])
    means = bootstrap_means(x, n_draws=20_000, seed=1)
    assert means.mean(axis=0) == pytest.approx(x.mean(axis=0), rel=0.01)
    assert np.cov(means.T) == pytest.approx(np.cov(x.T, ddof=0) / 60, rel=0.05)


def test_columns_are_resampled_together():
    x = skewed()
    means = bootstrap_means(np.column_stack([x, 2 * x]), n_draws=50)
    assert means[:, 1] == pytest.approx(2 * means[:, 0])


def test_equal_seeds_give_equal_digits_whatever_the_columns():
    x = np.random.default_rng(7).integers(0, 2, (500, 3))
    first = bootstrap_means(x, n_draws=100, seed=3)
    assert np.array_equal(first, bootstrap_means(x, n_draws=100, seed=3))
    assert np.array_equal(first[:, 1:], bootstrap_means(x[:, 1:], n_draws=100, seed=3))
    assert not np.array_equal(first, bootstrap_means(x, n_draws=100, seed=4))


def test_whole_clusters_are_resampled():
    x = np.array([[1.0], [1.0], [1.0], [0.0]])
    means = bootstrap_means(x, clusters=["a", "a", "a", "b"], n_draws=4000)
    shares, counts = np.unique(means[:, 0], return_counts=True)
    # Clusters aa, ab or ba, bb give means 1, 3/4, 0.
    assert shares.tolist() == [0, 0.75, 1]
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_no_items_cannot_be_resampled():
    with pytest.raises(ValueError, match="number of items must be at least 1"):
        bootstrap_means(np.empty((0, 2)))
    with pytest.raises(ValueError, match="n_draws must be at least 1, not 0"):
        bootstrap_means([[1.0]], n_draws=0)


@pytest.mark.parametrize("n", [3, 60, 1_000])
def test_counts_of_a_resample_are_multinomial(n):
    draws = 2_000_000 // n
    blocks = [block.copy() for block in resample_counts(n, draws, np.random.default_rng(2))]
    counts = np.concatenate(blocks)
    assert counts.shape == (draws, n)
    assert (counts.sum(axis=1) == n).all()
    # Each count is binomial with n trials and probability 1/n; any two have covariance -1/n.
    most = 9
    seen = np.bincount(np.minimum(counts, most).astype(int).ravel(), minlength=most + 1)
    chances = stats.binom(n, 1 / n).pmf(np.arange(most))
    expected = np.append(chances, max(0.0, 1 - chances.sum())) * counts.size
    likely = expected > 5
    assert seen[~likely].sum() <= 30
    scale = seen[likely].sum() / expected[likely].sum()
    assert stats.chisquare(seen[likely], expected[likely] * scale).pvalue > 1e-3
    neighbours = np.mean((counts[:, :-1] - 1) * (counts[:, 1:] - 1))
    assert neighbours == pytest.approx(-1 / n, abs=5 / (draws * (n - 1)) ** 0.5)
    halves = counts[:, : n // 2].sum(axis=1)
    share = (n // 2) / n
    assert halves.var() == pytest.approx(n * share * (1 - share), rel=6 * (2 / draws) ** 0.5)


@pytest.mark.parametrize("n", [40, 2_000])
def test_a_resampled_proportion_has_the_binomial_law(n):
    x = np.zeros((n, 1))
    x[: n // 4] = 1.0
    right = np.rint(bootstrap_means(x, n_draws=20_000, seed=9)[:, 0] * n)
    law = stats.binom(n, 0.25)
    edges = np.unique(law.ppf(np.linspace(0.05, 0.95, 19)))
    seen = np.histogram(right, [-1, *(edges + 0.5), n + 1])[0]
    expected = np.diff([0, *law.cdf(edges), 1]) * right.size
    assert stats.chisquare(seen, expected).pvalue > 1e-3


def test_what_is_resampled_is_counted_before_cells_are_ranked():
    assert [enough_to_rank(n) for n in (0, 4, 5)] == [False, False, True]
    assert not enough_to_rank(100, clusters=np.arange(100) % 4)
    assert enough_to_rank(100, clusters=[str(i % 5) for i in range(100)])


def test_an_interval_of_clusters_is_of_whole_clusters():
    x = skewed()
    # Each value three times over is no more than each value once.
    tripled = bootstrap_interval(np.repeat(x, 3), clusters=np.repeat(np.arange(60), 3), seed=4)
    assert tripled.low == pytest.approx(bootstrap_interval(x, seed=4).low)
    assert tripled.high == pytest.approx(bootstrap_interval(x, seed=4).high)


def test_equal_values_in_clusters_count_each_cluster_once():
    assert bootstrap_interval([1.0] * 30, clusters=np.arange(30) // 3) == wilson_interval(10, 10)
    assert bootstrap_interval([0.3] * 30, clusters=np.arange(30) // 3) is None
    assert bootstrap_interval([0.3, 0.4], clusters=["a", "a"]) is None
