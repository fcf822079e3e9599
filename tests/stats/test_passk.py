from itertools import combinations
from math import comb

import numpy as np
import pytest

from ember_bench.stats import (
    clopper_pearson_interval,
    mean_pass_at_k,
    mean_pass_hat_k,
    mean_score,
    pass_at_k,
    pass_hat_k,
)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("c", range(6))
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_sample(c, k):
    samples = [1] * c + [0] * (5 - c)
    hits = [any(subset) for subset in combinations(samples, k)]
    assert pass_at_k([5], [c], k)[0] == pytest.approx(np.mean(hits))


def test_pass_at_k_of_many_samples_agrees_with_binomial_coefficients():
    assert pass_at_k([200], [7], 100)[0] == pytest.approx(1 - comb(193, 100) / comb(200, 100))


def test_pass_at_k_is_unbiased():
    p, n, k = 0.2, 10, 4
    c = np.arange(n + 1)
    chances = [comb(n, i) * p**i * (1 - p) ** (n - i) for i in c]
    assert np.dot(chances, pass_at_k(np.full(n + 1, n), c, k)) == pytest.approx(1 - (1 - p) ** k)


def test_mean_pass_at_k_is_a_score_per_item():
    n, c = [10, 10, 5], [0, 3, 5]
    found = mean_pass_at_k(n, c, 2)
    assert found == mean_score(pass_at_k(n, c, 2), method="clopper-pearson")
    assert mean_pass_at_k(n, c, 1) == mean_score(pass_at_k(n, c, 1))
    assert found.n == 3
    assert mean_pass_at_k([], [], 2) is None


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="pass@6 needs 6 samples of every item, one has 5"):
        pass_at_k([10, 5], [1, 1], 6)
    with pytest.raises(ValueError, match="c must lie between 0 and n"):
        pass_at_k([5], [6], 1)
    with pytest.raises(ValueError, match="n is of 2 items and c of 1"):
        pass_at_k([5, 5], [1], 1)
    with pytest.raises(ValueError, match="c must hold whole numbers"):
        pass_at_k([5], [0.5], 1)


def test_pass_at_k_of_clusters_is_cluster_robust():
    passages = np.arange(40) // 4
    n, c = np.full(40, 10), np.tile([0, 1, 5, 10], 10)
    found = mean_pass_at_k(n, c, 3, clusters=passages)
    assert found == mean_score(pass_at_k(n, c, 3), clusters=passages, method="clopper-pearson")


@pytest.mark.parametrize("k", [1, 5])
def test_pass_at_k_of_all_items_has_a_lower_end_below_one(k):
    found = mean_pass_at_k(np.full(20, 5), np.full(20, 5), k)
    assert found.value == 1
    assert 0.8 < found.interval.low < 0.85
    assert found.interval.high == 1
    tied = mean_pass_at_k(np.full(20, 5), np.full(20, 5), k, clusters=np.arange(20) // 4)
    assert tied.interval.low < 0.6


def test_pass_at_k_of_k_samples_has_the_exact_interval_and_one_sample_that_of_accuracy():
    c = [1] * 45 + [0] * 5
    assert mean_pass_at_k(np.full(50, 4), c, 4).interval == clopper_pearson_interval(45, 50)
    assert mean_pass_at_k(np.ones(50), c, 1) == mean_score(c)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("c", range(6))
def test_pass_hat_k_is_the_share_of_subsets_that_are_all_correct(c, k):
    samples = [1] * c + [0] * (5 - c)
    hits = [all(subset) for subset in combinations(samples, k)]
    assert pass_hat_k([5], [c], k)[0] == pytest.approx(np.mean(hits))


def test_one_of_one_and_all_of_one_are_the_same():
    n, c = [3, 5], [1, 4]
    assert np.allclose(pass_hat_k(n, c, 1), pass_at_k(n, c, 1))
    assert mean_pass_hat_k(n, c, 1).value == pytest.approx(mean_pass_at_k(n, c, 1).value)


def test_pass_hat_k_needs_k_samples():
    with pytest.raises(ValueError, match=r"pass\^4 needs 4 samples of every item, one has 3"):
        pass_hat_k([3], [1], 4)
