from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from ember_bench.stats import draws_for_family, holm, mcnemar_exact, sign_flip_test


def cells(only_a, only_b, both=7, neither=3):
    a = [1] * (only_a + both) + [0] * (only_b + neither)
    b = [0] * only_a + [1] * (both + only_b) + [0] * neither
    return a, b


def enumerated_p_value(groups):
    """Flip every group of differences both ways and count sums as extreme as the one seen."""
    sums = [
        sum(s * d for s, d in zip(signs, groups, strict=True))
        for signs in product((1, -1), repeat=len(groups))
    ]
    return np.mean(np.abs(sums) >= abs(sum(groups)) - 1e-9)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (3, 9), (20, 20), (400, 461)])
def test_mcnemar_agrees_with_statsmodels(only_a, only_b):
    a, b = cells(only_a, only_b)
    found = mcnemar_exact(a, b)
    reference = mcnemar([[7, only_a], [only_b, 3]], exact=True)
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.p_value == pytest.approx(min(1, reference.pvalue))


@given(st.integers(0, 300), st.integers(0, 300))
def test_on_right_and_wrong_the_sign_flip_test_is_mcnemars(only_a, only_b):
    a, b = cells(only_a, only_b)
    flips = sign_flip_test(np.subtract(a, b))
    assert flips.exact
    assert flips.p_value == pytest.approx(mcnemar_exact(a, b).p_value, rel=1e-9)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=10))
def test_small_samples_are_enumerated(fifths):
    differences = [f / 5 for f in fifths]
    found = sign_flip_test(differences)
    assert found.exact
    assert found.p_value == pytest.approx(enumerated_p_value(differences))
    assert found.mean == pytest.approx(np.mean(differences))


def test_distinct_differences_agree_with_scipy():
    d = np.random.default_rng(0).normal(0.4, 1, 12)
    reference = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_test(d).p_value == pytest.approx(reference.pvalue)


def test_clusters_flip_as_a_whole():
    d = np.random.default_rng(1).normal(0.2, 1, 30)
    clusters = np.arange(30) % 9
    sums = [d[clusters == g].sum() for g in range(9)]
    found = sign_flip_test(d, clusters=clusters)
    assert found.p_value == pytest.approx(enumerated_p_value(sums))


@pytest.mark.parametrize("n", [40, 300])
def test_large_samples_are_drawn_close_to_the_normal_limit(n):
    d = np.random.default_rng(n).normal(0.1, 1, n)
    found = sign_flip_test(d, n_draws=20_000, seed=2)
    z = d.sum() / np.sqrt(np.sum(d**2))
    assert not found.exact
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.015)
    assert found == sign_flip_test(d, n_draws=20_000, seed=2)


@pytest.mark.parametrize("levels", [30, None])
def test_a_drawn_p_value_is_never_zero(levels):
    d = np.random.default_rng(3).uniform(1, 2, 500)
    d = d if levels is None else np.round(d * levels) / levels
    assert sign_flip_test(d, n_draws=999).p_value == 1 / 1000


def test_a_true_hypothesis_is_rejected_as_often_as_said():
    rng = np.random.default_rng(4)
    p = [sign_flip_test(rng.normal(size=50), n_draws=199, seed=i).p_value for i in range(1000)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_no_difference_is_no_evidence():
    assert sign_flip_test([0, 0, 0]).p_value == 1
    assert sign_flip_test([]).p_value == 1
    # 0.3 - 0.2 and 0.2 - 0.1 differ in their last bits only.
    assert sign_flip_test([0.3 - 0.2, -(0.2 - 0.1)]).p_value == 1


def test_mcnemar_refuses_partial_credit():
    with pytest.raises(ValueError, match="b must hold only true and false"):
        mcnemar_exact([1, 0], [0.5, 1])


@pytest.mark.parametrize("family", [1, 44, 600, 5000])
def test_the_draws_of_a_family_let_holm_reject(family):
    draws = draws_for_family(family)
    least = 1 / (1 + draws)
    assert draws >= 10_000
    assert holm([least] + [1.0] * (family - 1))[0] <= 0.05
    # A p-value that is just small enough is known to a quarter.
    assert np.sqrt((1 + draws) * 0.05 / family) / ((1 + draws) * 0.05 / family) <= 0.25


def test_the_usual_draws_cannot_reject_in_a_large_family():
    d = np.random.default_rng(3).uniform(1, 2, 100)
    usual = sign_flip_test(d, n_draws=10_000).p_value
    enough = sign_flip_test(d, n_draws=draws_for_family(600)).p_value
    assert holm([usual] + [1.0] * 599)[0] > 0.05
    assert holm([enough] + [1.0] * 599)[0] <= 0.05


def test_a_stricter_level_needs_more_draws():
    assert draws_for_family(100, alpha=0.01) == 20 * 100 * 100 - 1
    with pytest.raises(ValueError, match="n_comparisons must be at least 1"):
        draws_for_family(0)
