"""The speed of a run is that of the last minute."""

from __future__ import annotations

import pytest

from ember_bench.experiment.results.figures import Quantity
from ember_bench.running.rate import Rate, time_left_text


def test_nothing_is_known_from_one_reading() -> None:
    rate = Rate()
    rate.read(5.0, 3, 7)
    assert (rate.calls_per_second, rate.seconds_left(10)) == (None, None)


def test_the_first_second_tells_no_rate() -> None:
    rate = Rate()
    rate.read(0.0, 0, 0)
    rate.read(0.9, 0, 0)
    assert rate.calls_per_second is None
    rate.read(1.0, 2, 5)
    assert rate.calls_per_second == pytest.approx(5.0)


def test_what_is_older_than_a_minute_counts_no_more() -> None:
    rate = Rate()
    for second in range(0, 60, 5):
        rate.read(float(second), second * 10, second * 20)
    for second in range(60, 160, 5):
        rate.read(float(second), 600 + second, 1_200 + 2 * second)
    assert rate.calls_per_second == pytest.approx(2.0)
    left = rate.seconds_left(30)
    assert left is not None
    assert left.value == pytest.approx(30.0)


def test_readings_in_quick_succession_are_one() -> None:
    rate = Rate()
    for step in range(1_000):
        rate.read(step / 100, step, step)
    assert len(rate.readings) <= 12
    assert rate.calls_per_second == pytest.approx(100.0)


def test_results_that_were_taken_away_are_no_negative_speed() -> None:
    rate = Rate()
    rate.read(0.0, 10, 10)
    rate.read(2.0, 4, 10)
    assert rate.calls_per_second is None


def test_nothing_is_left_at_the_end() -> None:
    rate = Rate()
    rate.read(0.0, 0, 0)
    rate.read(2.0, 4, 4)
    assert rate.seconds_left(0) is None


def test_the_time_left_is_said_with_its_interval() -> None:
    assert time_left_text(Quantity(200.0, 170.0, 242.0, "")) == (
        "3 min 20 s [2 min 50 s, 4 min 2 s]"
    )
    assert time_left_text(Quantity(20.0, None, None, "")) == "20 s"
