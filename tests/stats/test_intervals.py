import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from ember_bench.stats import (
    Interval,
    clopper_pearson_interval,
    proportion,
    t_interval,
    wilson_interval,
)

from .coverage import binomial_coverage

SHARES = np.arange(0.50, 0.9901, 0.01)
SIZES = [20, 50, 200, 1000]


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 7), (7, 7), (97, 100), (1, 1), (4123, 9999)])
def test_wilson_and_clopper_pearson_agree_with_statsmodels(k, n, level):
    for interval, name in [(wilson_interval, "wilson"), (clopper_pearson_interval, "beta")]:
        expected = proportion_confint(k, n, alpha=1 - level, method=name)
        found = interval(k, n, level=level)
        assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
        assert found.level == level


@pytest.mark.parametrize("n", SIZES)
def test_wilson_covers_95_percent_on_average_and_never_under_89(n):
    coverage = binomial_coverage(wilson_interval, n, SHARES)
    assert 0.945 <= coverage.mean() <= 0.96
    assert coverage.min() >= 0.89


@pytest.mark.parametrize("n", SIZES)
def test_clopper_pearson_never_covers_less_than_its_level(n):
    finely = np.concatenate([SHARES, np.linspace(0.001, 0.999, 333)])
    assert binomial_coverage(clopper_pearson_interval, n, finely).min() >= 0.95


@given(n=st.integers(1, 2000), data=st.data(), level=st.floats(0.5, 0.999))
def test_proportion_intervals_hold_the_share_inside_the_scale(n, data, level):
    k = data.draw(st.integers(0, n))
    for interval in (wilson_interval, clopper_pearson_interval):
        found = interval(k, n, level=level)
        assert 0 <= found.low <= k / n <= found.high <= 1
        assert found.low < found.high


def test_all_right_leaves_room_for_error_and_all_wrong_for_success():
    assert wilson_interval(100, 100) == Interval(
        pytest.approx(1 / (1 + 1.959964**2 / 100)), 1, 0.95
    )
    assert wilson_interval(0, 100) == Interval(
        0, pytest.approx(1 - 1 / (1 + 1.959964**2 / 100)), 0.95
    )


def test_a_proportion_of_nothing_is_undefined():
    assert proportion(0, 0) is None
    assert wilson_interval(0, 0) is None
    assert clopper_pearson_interval(0, 0) is None


def test_a_proportion_carries_its_interval_and_binomial_standard_error():
    found = proportion(80, 100, method="clopper-pearson")
    assert found.value == 0.8
    assert found.interval == clopper_pearson_interval(80, 100)
    assert found.standard_error == pytest.approx(0.04)
    assert proportion(80, 100).interval == wilson_interval(80, 100)


@pytest.mark.parametrize("successes", [-1, 11])
def test_more_successes_than_items_are_refused(successes):
    with pytest.raises(ValueError, match=f"between 0 and n = 10, not {successes}"):
        wilson_interval(successes, 10)


def test_the_exact_interval_refuses_fractions_of_a_success():
    with pytest.raises(ValueError, match=r"whole successes, not 2\.5"):
        clopper_pearson_interval(2.5, 10)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_outside_zero_and_one_is_refused(level):
    with pytest.raises(ValueError, match="level must lie strictly between 0 and 1"):
        wilson_interval(5, 10, level=level)


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="values has 1 values that are not finite"):
        t_interval([1.0, float("nan"), 2.0])
    with pytest.raises(ValueError, match=r"one dimension, not shape \(2, 2\)"):
        t_interval([[1, 2], [3, 4]])
