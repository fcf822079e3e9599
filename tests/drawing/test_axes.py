"""The arithmetic of charts."""

from __future__ import annotations

import math
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench.drawing.axes import (
    Axis,
    Box,
    accuracy_axis,
    nearest_room,
    positive_axis,
)
from ember_bench.experiment.results.figures import Quantity

FRAME: Box = (0.0, 0.0, 300.0, 200.0)


def estimate(value: float, low: float | None = None, high: float | None = None) -> Quantity:
    return Quantity(value, low, high, "t")


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e4), st.booleans())
def test_ticks_are_within_the_axis_and_in_order(low: float, factor: float, log: bool) -> None:
    axis = Axis(low, low * factor, 0, 100, log)
    places = [axis(tick) for tick in axis.ticks()]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    assert axis(low) == 0
    assert axis(low * factor) == pytest.approx(100)


def test_ticks_are_round() -> None:
    assert Axis(0.0, 1.0, 0, 100).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert Axis(0.0009, 0.03, 0, 100, log=True).ticks() == pytest.approx(
        [0.001, 0.002, 0.005, 0.01, 0.02]
    )


def test_accuracies_are_shown_with_their_intervals_and_never_beyond_0_and_1() -> None:
    axis = accuracy_axis([estimate(0.5, 0.4, 0.6), estimate(0.99, 0.95, 1.0)], 0, 100)
    assert axis.low == pytest.approx(0.4 - 0.036)
    assert axis.high == 1.0


@pytest.mark.parametrize(
    ("values", "log"), [([1.0, 3.0], False), ([1.0, 3.1], True), ([0.0, 9.0], False)]
)
def test_costs_that_are_far_apart_are_logarithmic(values: list[float], log: bool) -> None:
    axis = positive_axis([estimate(value) for value in values], 0, 100)
    assert axis.log is log
    assert all(0 <= axis(value) <= 100 for value in values)


near = partial(nearest_room, reach=60)


@settings(max_examples=50, deadline=None)
@given(
    points=st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200), st.floats(5, 80)), max_size=30),
)
def test_names_are_within_the_frame_and_cover_nothing(
    points: list[tuple[float, float, float]],
) -> None:
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y, _ in points]
    boxes = list(taken)
    for x, y, width in points:
        place = near(width, x, y, FRAME, taken)
        if place is None:
            continue
        left, top, right, bottom = taken[-1]
        assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(place)
        assert right - left == pytest.approx(width)
        assert left >= 0
        assert top >= 0
        assert right <= 300
        assert bottom <= 200
        for other in boxes:
            assert not (
                left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
            )
        boxes.append(taken[-1])
    assert len(taken) == len(boxes)


def test_a_name_without_room_has_no_place() -> None:
    taken: list[Box] = [FRAME]
    assert near(20, 100, 100, FRAME, taken) is None
    assert taken == [FRAME]


def test_a_name_is_as_near_to_its_point_as_there_is_room() -> None:
    """Names of points in one place spread around it, and none is farther than the next one."""
    taken: list[Box] = [(95.0, 95.0, 105.0, 105.0)]
    apart = []
    while (place := near(20, 100, 100, FRAME, taken)) is not None:
        assert abs(place[1] - 100) <= 60
        apart.append(math.hypot(max(abs(place[0] - 100) - 10, 5), max(abs(place[1] - 100) - 6, 5)))
    assert len(apart) > 30
    assert apart == sorted(apart)
