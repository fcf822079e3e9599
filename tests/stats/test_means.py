import numpy as np
import pytest
from scipy import stats

from ember_bench.stats import cluster_mean, standard_error, t_interval
from ember_bench.stats.clusters import cluster_sums, robust_error
from ember_bench.stats.means import error_parts

from .coverage import simulated_coverage


def test_t_interval_agrees_with_scipy():
    x = np.random.default_rng(0).normal(3, 2, 17)
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.9)
    found = t_interval(x, level=0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert standard_error(x) == pytest.approx(stats.sem(x))


def test_t_interval_covers_normal_means():
    covered = simulated_coverage(lambda rng: t_interval(rng.normal(1, 3, 5)), 1)
    assert covered == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("values", [[], [1.5], [0.1, 0.1, 0.1]])
def test_t_interval_without_spread_is_undefined(values):
    assert t_interval(values) is None


def test_t_interval_of_clusters_is_the_cluster_robust_one():
    rng = np.random.default_rng(1)
    x, passages = rng.normal(size=40), rng.integers(0, 8, 40)
    assert t_interval(x, clusters=passages, level=0.9) == (
        cluster_mean(x, passages, level=0.9).interval
    )
    assert t_interval(x, clusters=["p"] * 40) is None
    assert t_interval([], clusters=[]) is None


def test_parts_of_an_error_sum_to_that_of_independent_items():
    x = np.array([0.0, 1.0, 3.0])
    parts = error_parts(x[:, np.newaxis], None)
    assert parts is not None
    assert parts.standard_error == pytest.approx(np.std(x, ddof=1) / np.sqrt(3))
    assert error_parts(x[:2, np.newaxis], None) is not None
    assert error_parts(x[:1, np.newaxis], None) is None


def test_parts_of_an_error_sum_to_that_of_clusters():
    rng = np.random.default_rng(2)
    x, passages = rng.normal(size=(40, 2)), rng.integers(0, 8, 40)
    parts = error_parts(x, passages)
    sums, sizes = cluster_sums(x, passages)
    error, dof = robust_error(sums[:, 0] - sizes * x[:, 0].mean(), sizes)
    assert parts is not None
    assert parts.standard_error == pytest.approx(error)
    assert parts.dof == pytest.approx(dof)
    assert error_parts(x, [0, 1] * 20) is not None
    assert error_parts(x, [0] * 40) is None
