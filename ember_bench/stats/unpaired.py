"""Differences and ratios of two amounts that were estimated apart, from their intervals alone."""

from __future__ import annotations

import math

from ember_bench.stats.intervals import Estimate, Interval, normal_critical


def difference_of(a: Estimate, b: Estimate, *, level: float = 0.95) -> Interval | None:
    """Return the interval of ``a - b`` from the intervals of both; None if one has none.

    Zou & Donner 2008, "Construction of confidence limits about effect measures: a general
    approach" (MOVER): each end takes the distances from the estimates to the ends that lie on its
    side, added in squares. For two Wilson intervals this is Newcombe's (1998) method 10. Distances
    at another level are scaled by normal quantiles. It holds for independent estimates, and is too
    wide where both come from the same items and rise and fall together.
    """
    sides = _sides(a, level), _sides(b, level)
    if sides[0] is None or sides[1] is None:
        return None
    (down_a, up_a), (down_b, up_b) = sides[0], sides[1]
    value = a.value - b.value
    return Interval(value - math.hypot(down_a, up_b), value + math.hypot(up_a, down_b), level)


def ratio_of(a: Estimate, b: Estimate, *, level: float = 0.95) -> Interval | None:
    """Return the interval of ``a / b``, both positive, from the intervals of both.

    Donner & Zou 2012, "Closed-form confidence intervals for functions of the normal mean and
    standard deviation", section 2 (MOVER-R), for independent estimates. None if one has no
    interval, or if that of ``b`` holds 0, so that the ratio has no upper end.
    """
    sides = _sides(a, level), _sides(b, level)
    if sides[0] is None or sides[1] is None or b.value <= sides[1][0]:
        return None
    (down_a, up_a), (down_b, up_b) = sides[0], sides[1]
    product = a.value * b.value
    low = _root(product, a.value**2 - down_a**2, b.value**2 - up_b**2, -1)
    high = _root(product, a.value**2 - up_a**2, b.value**2 - down_b**2, 1)
    return Interval(max(0.0, low), high, level)


def _root(product: float, above: float, below: float, sign: int) -> float:
    """Solve ``below x^2 - 2 product x + above = 0``, without a division by 0 for the lower root."""
    root = math.sqrt(max(0.0, product**2 - above * below))
    return above / (product + root) if sign < 0 else (product + root) / below


def _sides(of: Estimate, level: float) -> tuple[float, float] | None:
    """Return the distances to the lower and the upper end at a level."""
    if of.interval is None:
        return None
    scale = normal_critical(level) / normal_critical(of.interval.level)
    low, high = of.value - of.interval.low, of.interval.high - of.value
    return scale * max(0.0, low), scale * max(0.0, high)
