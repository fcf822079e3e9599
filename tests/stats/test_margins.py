"""Equivalence and non-inferiority: agreement with the interval, and error at the margin."""

import numpy as np
import pytest

from ember_bench.stats import equivalence, paired_difference


def pairs(rng, n, won, lost):
    """Draw items that only a, or only b, gets right."""
    u = rng.random(n)
    return (u < won).astype(float), ((u >= won) & (u < won + lost)).astype(float)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("clustered", [False, True])
def test_p_agrees_with_the_interval_of_the_difference(seed, clustered):
    a, b = pairs(np.random.default_rng(seed), 240, 0.1, 0.1)
    clusters = np.repeat(np.arange(80), 3) if clustered else None
    interval = paired_difference(a, b, clusters=clusters, level=0.9).interval
    at = equivalence(a - b, -interval.low, clusters=clusters)
    assert at.p_worse == pytest.approx(0.05, abs=1e-9)
    assert equivalence(a - b, interval.high, clusters=clusters).p_better == pytest.approx(0.05)
    assert at.p_value == max(at.p_worse, at.p_better)


def test_the_sides_change_places_with_the_cells():
    a, b = pairs(np.random.default_rng(1), 200, 0.12, 0.05)
    one, other = equivalence(a - b, 0.05), equivalence(b - a, 0.05)
    assert (one.p_worse, one.difference) == pytest.approx((other.p_better, -other.difference))


@pytest.mark.parametrize(("n", "lost"), [(100, 0.1), (200, 0.06), (1000, 0.03)])
def test_a_cell_worse_by_the_margin_is_called_no_worse_at_most_five_times_in_a_hundred(n, lost):
    rng = np.random.default_rng(20261130)
    margin = 0.02
    drawn = (pairs(rng, n, lost - margin, lost) for _ in range(1500))
    found = [equivalence(a - b, margin) for a, b in drawn]
    wrong = np.mean([each.p_worse < 0.05 for each in found])
    assert wrong <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)


def test_equal_cells_are_equivalent_only_on_enough_items():
    few, many = np.zeros(20), np.zeros(1000)
    assert equivalence(few, 0.01).p_value > 0.3
    assert equivalence(many, 0.01).p_value < 0.001


def test_what_cannot_be_tested_is_none_or_refused():
    assert equivalence([], 0.01) is None
    assert equivalence([0.0, -1.0], 0.1, clusters=["a", "a"]) is None
    with pytest.raises(ValueError, match="margin"):
        equivalence([1.0], 0)
