import numpy as np
import pytest
from scipy import stats

from ember_bench.stats import quantile

from .coverage import costs_in_clusters, simulated_coverage


@pytest.mark.parametrize("n", [20, 73, 400])
@pytest.mark.parametrize("q", [0.25, 0.5, 0.95])
def test_the_interval_is_the_narrowest_with_each_tail_kept(n, q):
    # On the values 0, 1, ..., n - 1 the bounds are the ranks themselves.
    found = quantile(np.arange(n), q).interval
    below = stats.binom(n, q)
    lows = [r for r in range(n) if below.cdf(r) <= 0.025]
    highs = [r for r in range(n) if below.sf(r) <= 0.025]
    if not lows or not highs:
        assert found is None
    else:
        assert (found.low, found.high) == (max(lows), min(highs))


@pytest.mark.parametrize(("q", "n"), [(0.5, 30), (0.9, 100), (0.95, 200)])
def test_quantiles_of_skewed_latencies_are_covered(q, n):
    truth = np.exp(stats.norm.ppf(q))
    covered = simulated_coverage(lambda rng: quantile(rng.lognormal(size=n), q).interval, truth)
    assert 0.945 <= covered <= 0.985


def test_too_few_values_leave_a_high_quantile_open():
    rng = np.random.default_rng(0)
    assert quantile(rng.random(367), 0.99).interval is None
    assert quantile(rng.random(368), 0.99).interval is not None


def test_the_value_is_the_samples_quantile():
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5).value == 2.5
    assert quantile([], 0.5) is None


def test_a_percentage_is_refused():
    with pytest.raises(ValueError, match="q must lie strictly between 0 and 1, not 95"):
        quantile([1.0, 2.0], 95)


@pytest.mark.parametrize(("q", "n_items", "epochs"), [(0.5, 40, 5), (0.95, 150, 4)])
def test_quantiles_over_trials_of_items_are_covered_where_independence_is_not(q, n_items, epochs):
    items = np.repeat(np.arange(n_items), epochs)
    truth = np.exp(stats.norm.ppf(q))

    def interval(rng, **options):
        return quantile(costs_in_clusters(rng, items), q, **options).interval

    robust = simulated_coverage(lambda rng: interval(rng, clusters=items), truth, n_samples=500)
    naive = simulated_coverage(interval, truth, n_samples=500)
    assert robust >= 0.94
    assert naive < 0.88


def test_a_quantile_over_trials_is_not_that_of_the_means_of_items():
    # One slow trial in ten of every item: no mean is slow, the 95th percentile is.
    seconds = np.tile([1.0] * 9 + [100.0], 50)
    found = quantile(seconds, 0.95, clusters=np.repeat(np.arange(50), 10))
    assert found.value == 100.0
    assert found.n == 500


@pytest.mark.parametrize("q", [0.25, 0.5, 0.9])
def test_items_with_one_trial_are_independent_values(q):
    x = np.random.default_rng(1).lognormal(size=120)
    assert quantile(x, q, clusters=range(120)) == quantile(x, q)


def test_trials_that_repeat_their_item_tell_no_more_than_items():
    x = np.random.default_rng(2).lognormal(size=60)
    repeated = quantile(np.repeat(x, 8), 0.5, clusters=np.repeat(np.arange(60), 8)).interval
    alone = quantile(x, 0.5).interval
    assert repeated.low <= alone.low
    assert repeated.high >= alone.high
    assert quantile(np.repeat(x, 8), 0.95, clusters=np.repeat(np.arange(60), 8)).interval is None


def test_the_labels_of_items_and_the_order_of_trials_do_not_matter():
    rng = np.random.default_rng(3)
    items = np.repeat(np.arange(40), 5)
    x = costs_in_clusters(rng, items)
    order = rng.permutation(200)
    names = [f"item {i}" for i in items[order]]
    assert quantile(x[order], 0.5, clusters=names).interval == (
        quantile(x, 0.5, clusters=items).interval
    )


def test_the_interval_mirrors_with_the_values():
    rng = np.random.default_rng(4)
    items = np.repeat(np.arange(40), 5)
    x = costs_in_clusters(rng, items)
    low, high = quantile(x, 0.3, clusters=items), quantile(-x, 0.7, clusters=items)
    assert (low.interval.low, low.interval.high) == (-high.interval.high, -high.interval.low)


def test_one_item_tells_nothing_of_the_error():
    found = quantile([1.0, 2.0, 3.0] * 40, 0.5, clusters=["q1"] * 120)
    assert found.value == 2.0
    assert found.interval is None
    with pytest.raises(ValueError, match="clusters has 1 entries for 2 values"):
        quantile([1.0, 2.0], 0.5, clusters=["a"])
