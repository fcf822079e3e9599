"""The time left covers what comes as often as it says."""

import numpy as np
import pytest
from scipy import stats

from ember_bench.stats import time_left


def test_of_one_reading_the_bounds_are_quantiles_of_f():
    found = time_left([0.0, 50.0], [10, 30], 40)
    assert found.value == pytest.approx(100.0)
    ratio = stats.f(2 * 40, 2 * 20)
    assert found.interval.low == pytest.approx(100 * ratio.ppf(0.025))
    assert found.interval.high == pytest.approx(100 * ratio.ppf(0.975))


@pytest.mark.parametrize(("burst", "least"), [(1, 0.93), (8, 0.91)])
def test_the_rest_takes_as_long_as_predicted(burst, least):
    rng, times, left = np.random.default_rng(1), np.arange(41) * 3.0, 160
    covered = []
    for _ in range(1_000):
        arrivals = np.cumsum(rng.exponential(burst, size=4_000 // burst))
        counts = burst * np.searchsorted(arrivals, times)
        interval = time_left(times, counts, left).interval
        since = arrivals[int(counts[-1]) // burst + left // burst - 1] - times[-1]
        covered.append(interval.low <= since <= interval.high)
    assert least <= np.mean(covered) <= 0.985


def test_bursts_make_the_interval_wider():
    times = np.arange(11.0)
    steady = time_left(times, 4 * times, 40).interval
    bursts = time_left(times, 20 * (times // 5), 40).interval
    assert bursts.high - bursts.low > steady.high - steady.low


def test_where_nothing_was_done_nothing_is_known():
    assert time_left([0.0, 9.0], [3, 3], 5) is None
    assert time_left([1.0], [3], 5) is None


@pytest.mark.parametrize(
    ("times", "done", "left", "problem"),
    [
        ([0.0, 1.0], [1], 2, "of one length"),
        ([0.0, 0.0], [1, 2], 2, "must ascend"),
        ([0.0, 1.0], [2, 1], 2, "must not go back"),
        ([0.0, 1.0], [1, 2], 0, "left must be above 0"),
    ],
)
def test_impossible_readings_are_refused(times, done, left, problem):
    with pytest.raises(ValueError, match=problem):
        time_left(times, done, left)
