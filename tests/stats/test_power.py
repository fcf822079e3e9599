import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from ember_bench.stats import (
    detectable_difference_mean,
    detectable_difference_paired,
    detectable_difference_unpaired,
    items_needed_mean,
    items_needed_paired,
    items_needed_unpaired,
    mcnemar_exact,
    mcnemar_power,
)


def enumerated_power(n, difference, discordance, alpha):
    total = 0.0
    for m in range(n + 1):
        wins = np.arange(m + 1)
        rejected = np.array([stats.binomtest(int(w), m).pvalue <= alpha if m else 0 for w in wins])
        chances = stats.binom.pmf(wins, m, (discordance + difference) / (2 * discordance))
        total += stats.binom.pmf(m, n, discordance) * chances[rejected.astype(bool)].sum()
    return total


@pytest.mark.parametrize(
    ("n", "difference", "discordance"),
    [(1, 0.1, 0.5), (12, 0.4, 0.6), (30, 0.2, 0.3), (40, 0, 0.4)],
)
def test_power_of_the_exact_test_agrees_with_enumeration(n, difference, discordance):
    found = mcnemar_power(n, difference, discordance, alpha=0.1)
    assert found == pytest.approx(enumerated_power(n, difference, discordance, 0.1), abs=1e-9)


def test_power_is_how_often_the_test_rejects():
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(2000):
        outcome = rng.choice(3, 400, p=[0.07, 0.03, 0.9])
        rejected += mcnemar_exact(outcome == 0, outcome == 1).p_value <= 0.05
    assert mcnemar_power(400, 0.04, 0.1) == pytest.approx(rejected / 2000, abs=0.035)


@pytest.mark.parametrize(("difference", "discordance"), [(0.02, 0.1), (0.05, 0.2), (-0.1, 0.15)])
def test_paired_items_reach_the_power_and_fewer_do_not(difference, discordance):
    n = items_needed_paired(difference, discordance)
    assert mcnemar_power(n, difference, discordance) >= 0.8
    assert mcnemar_power(round(0.97 * n), difference, discordance) < 0.8
    # Connor 1987, without the cost of an exact test.
    z, z_power = stats.norm.ppf([0.975, 0.8])
    d = abs(difference)
    normal = (z * discordance**0.5 + z_power * (discordance - d**2) ** 0.5) ** 2 / d**2
    assert normal < n < 1.15 * normal + 30


def test_the_detectable_difference_inverts_the_items_needed():
    n = items_needed_paired(0.03, 0.12)
    assert detectable_difference_paired(n, 0.12) == pytest.approx(0.03, rel=0.02)
    assert detectable_difference_paired(4, 0.5) is None


@pytest.mark.parametrize(("difference", "sd"), [(0.5, 1.0), (0.02, 0.3)])
def test_items_for_a_mean_agree_with_statsmodels(difference, sd):
    reference = TTestPower().solve_power(effect_size=difference / sd, power=0.9, alpha=0.05)
    assert items_needed_mean(difference, sd, power=0.9) == np.ceil(reference)


@pytest.mark.parametrize(("p_a", "p_b"), [(0.75, 0.7), (0.6, 0.9)])
def test_unpaired_items_agree_with_statsmodels(p_a, p_b):
    reference = samplesize_proportions_2indep_onetail(
        abs(p_a - p_b), min(p_a, p_b), 0.8, alpha=0.05, alternative="two-sided"
    )
    assert items_needed_unpaired(p_a, p_b) == pytest.approx(reference, abs=1.01)


def test_pairing_saves_items():
    assert items_needed_paired(0.05, 0.1) < items_needed_unpaired(0.75, 0.7) / 3


def test_the_unpaired_detectable_difference_inverts_the_items_needed():
    n = items_needed_unpaired(0.75, 0.7)
    assert detectable_difference_unpaired(n, 0.7) == pytest.approx(0.05, rel=0.01)
    assert detectable_difference_unpaired(3, 0.9) is None


def test_differences_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"cannot differ by 0\.3"):
        items_needed_paired(0.3, 0.2)
    with pytest.raises(ValueError, match="difference of zero"):
        items_needed_paired(0, 0.2)
    with pytest.raises(ValueError, match=r"discordance must lie in \(0, 1\], not 0"):
        mcnemar_power(10, 0, 0)
    with pytest.raises(ValueError, match="standard_deviation must be positive"):
        items_needed_mean(0.1, 0)


@pytest.mark.parametrize(("n", "deviation"), [(12, 0.3), (200, 0.4), (5_000, 0.35)])
def test_the_detectable_difference_of_means_is_that_of_statsmodels(n, deviation):
    found = detectable_difference_mean(n, deviation, alpha=0.01)
    effect = TTestPower().solve_power(nobs=n, alpha=0.01, power=0.8)
    assert found == pytest.approx(effect * deviation, rel=1e-4)
    assert items_needed_mean(found * 1.0001, deviation, alpha=0.01) == n


def test_two_items_show_no_difference_of_scores_that_scatter():
    assert detectable_difference_mean(2, 0.9) is None
