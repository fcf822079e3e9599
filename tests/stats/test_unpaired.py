"""Differences and ratios from intervals alone, against published numbers and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from ember_bench import stats


def test_a_difference_of_wilson_intervals_is_newcombes_method_10() -> None:
    # Newcombe 1998, "Interval estimation for the difference between independent proportions",
    # table II, (a): 56/70 against 48/80.
    found = stats.difference_of(stats.proportion(56, 70), stats.proportion(48, 80), level=0.95)
    assert (found.low, found.high) == (
        pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5)
    )  # fmt: skip


def test_intervals_of_another_level_are_scaled() -> None:
    wide = stats.Estimate(0.5, stats.Interval(0.4, 0.6, 0.95), None, 100, "known")
    at_90 = stats.difference_of(wide, wide, level=0.9)
    assert at_90.high == pytest.approx(0.1 * 2**0.5 * 1.644854 / 1.959964, rel=1e-6)


def test_without_an_interval_there_is_none() -> None:
    known = stats.proportion(3, 9)
    assert stats.difference_of(known, stats.Estimate(0.5, None, None, 1, "known")) is None


@pytest.mark.parametrize(("mean", "error"), [(2.0, 0.1), (2.0, 0.3)])
def test_a_ratio_covers_as_its_level_says(mean: float, error: float) -> None:
    rng = np.random.default_rng(4)
    held = 0
    for a, b in rng.normal([1.0, mean], [0.05, error], (4000, 2)):
        parts = [
            stats.Estimate(x, stats.Interval(x - 1.96 * s, x + 1.96 * s, 0.95), s, 1, "normal")
            for x, s in ((a, 0.05), (b, error))
        ]
        found = stats.ratio_of(*parts)
        held += found is None or found.low <= 1 / mean <= found.high
    assert 0.94 < held / 4000 < 0.965


def test_a_ratio_without_an_upper_end_is_none() -> None:
    small = stats.Estimate(1.0, stats.Interval(-0.5, 2.5, 0.95), None, 1, "normal")
    assert stats.ratio_of(small, small) is None
