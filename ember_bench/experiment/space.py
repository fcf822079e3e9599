"""Grids with more cells than can be run: the points that are drawn from them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any


def drawn_points(sizes: Sequence[int], most: int | None, seed: int) -> list[Sequence[int]]:
    """Return the points of each part of a grid among which a search chooses, in order.

    Parts that have fewer points than their share are taken whole. The first point of each part is
    always there, so that it can be the baseline.

    Args:
        sizes: Number of points of each part.
        most: The most points of all parts together; None for all points.
        seed: Of the draws.
    """
    if most is None or sum(sizes) <= most:
        return [range(size) for size in sizes]
    found: dict[int, Sequence[int]] = {}
    left = most
    for done, part in enumerate(sorted(range(len(sizes)), key=lambda part: sizes[part])):
        size = sizes[part]
        number = min(size, max(1, left // (len(sizes) - done)))
        rng = random.Random(f"{seed}/{part}")
        rest = rng.sample(range(1, size), number - 1)
        found[part] = range(size) if number == size else sorted([0, *rest])
        left -= number
    return [found[part] for part in range(len(sizes))]


def points_at(axes: Mapping[str, Sequence[Any]], places: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield the points of a product of axes; the last axis goes round first."""
    for place in places:
        point: dict[str, Any] = {}
        rest = place
        for name, values in reversed(list(axes.items())):
            rest, index = divmod(rest, len(values))
            point[name] = values[index]
        yield {name: point[name] for name in axes}


def number_of_points(axes: Mapping[str, Sequence[Any]]) -> int:
    """Return the number of points of a product of axes."""
    return prod(len(values) for values in axes.values())
