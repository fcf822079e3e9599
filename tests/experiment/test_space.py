"""Points of grids with more cells than can be run."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ember_bench.experiment.space import drawn_points, number_of_points, points_at

SIZES = st.lists(st.integers(1, 300), min_size=1, max_size=5)


def test_points_are_those_of_the_product_in_its_order() -> None:
    axes = {"a": [1, 2], "b": "xyz", "c": [None]}
    found = list(points_at(axes, range(number_of_points(axes))))
    expected = itertools.product(*axes.values())
    assert [tuple(point.values()) for point in found] == list(expected)
    assert all(list(point) == ["a", "b", "c"] for point in found)


@given(SIZES, st.integers(5, 400), st.integers(0, 5))
def test_so_many_are_drawn_each_once_and_the_first_of_each_part(
    sizes: list[int], most: int, seed: int
) -> None:
    found = drawn_points(sizes, most, seed)
    assert sum(map(len, found)) == min(most, sum(sizes))
    for size, points in zip(sizes, found, strict=True):
        assert points[0] == 0
        assert len({*points}) == len(points)
        assert max(points) < size
        assert list(points) == sorted(points)


def test_small_parts_are_taken_whole() -> None:
    assert [len(points) for points in drawn_points([3, 10**15, 100], 150, 0)] == [3, 74, 73]
    assert drawn_points([3, 10**15], None, 0)[1] == range(10**15)


def test_one_seed_draws_the_same_points() -> None:
    assert drawn_points([10**9], 50, 1) == drawn_points([10**9], 50, 1)
    assert drawn_points([10**9], 50, 1) != drawn_points([10**9], 50, 2)
