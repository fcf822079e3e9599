import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.stats import cost_ratio, critical_path, share

from .coverage import simulated_coverage


def test_a_share_is_of_the_totals_with_the_ratios_interval():
    part, whole = np.array([1.0, 2.0, 1.5, 4.0]), np.array([4.0, 5.0, 6.0, 9.0])
    found, ratio = share(part, whole), cost_ratio(part, whole)
    assert found.value == pytest.approx(8.5 / 24)
    assert (found.interval.low, found.interval.high) == (ratio.interval.low, ratio.interval.high)


def test_all_and_nothing_have_no_interval():
    whole = [1.0, 2.0, 3.0]
    assert (share(whole, whole).value, share(whole, whole).interval) == (1.0, None)
    assert (share([0.0] * 3, whole).value, share([0.0] * 3, whole).interval) == (0.0, None)
    assert share([0.0], [0.0]) is None


def test_a_part_larger_than_its_whole_is_refused():
    with pytest.raises(ValueError, match="larger than its whole"):
        share([2.0, 1.0], [1.0, 2.0])


def test_a_share_is_covered():
    def draw(rng):
        judge = rng.lognormal(0, 0.5, 100)
        return share(judge, judge + rng.lognormal(0.7, 0.5, 100)).interval

    truth = 1 / (1 + np.exp(0.7))
    assert 0.92 <= simulated_coverage(draw, truth) <= 0.98


def test_a_share_of_items_in_clusters_is_the_ratio_of_clusters():
    rng = np.random.default_rng(3)
    part, rest = rng.lognormal(size=(2, 40))
    passages = np.arange(40) // 4
    found = share(part, part + rest, clusters=passages)
    ratio = cost_ratio(part, part + rest, clusters=passages)
    assert (found.interval.low, found.interval.high) == (ratio.interval.low, ratio.interval.high)
    assert share(part, part + rest, clusters=["one"] * 40).interval is None


def test_the_critical_path_goes_through_the_slowest_of_each_step():
    # Three answers at once, then two verdicts, then a judge.
    started = [0.0, 0.0, 0.0, 2.0, 2.0, 5.0]
    durations = [1.0, 2.0, 1.5, 1.0, 3.0, 0.5]
    assert critical_path(started, durations) == [1, 4, 5]


def test_calls_that_nobody_waited_for_are_not_on_it():
    # The second branch ends early, and what follows it does not wait for the first.
    assert critical_path([0.0, 0.0, 1.0], [5.0, 1.0, 1.0]) == [0]


def test_calls_without_duration_end():
    assert sum([0.0, 1.0][i] for i in critical_path([0.0, 0.0], [0.0, 1.0])) == 1.0
    assert critical_path([], []) == []


@given(
    steps=st.lists(st.lists(st.floats(0.01, 10), min_size=1, max_size=4), min_size=1, max_size=6)
)
def test_its_durations_sum_to_the_latency(steps):
    started, durations, clock = [], [], 0.0
    for step in steps:
        started += [clock] * len(step)
        durations += step
        clock += max(step)
    path = critical_path(started, durations)
    assert sum(durations[i] for i in path) == pytest.approx(clock)
    assert [started[i] for i in path] == sorted(started[i] for i in path)
