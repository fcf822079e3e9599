"""Evidence that a mean is above a value, valid at every moment: capital from fair bets.

Whoever bets against "the mean is at most m" multiplies the capital by 1 + b (x - m) with each item.
If the statement is true, the capital is a supermartingale that begins at 1, and reaches c with a
probability of at most 1 / c, however often it is looked at (Ville's inequality).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import check_count, check_probability, matrix, vector

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import BoolArray, FloatArray, IntArray

NEVER: Final = np.iinfo(np.int64).max
"""What stands for a number of items after which something was shown if it was not."""

_GAPS: Final = (0.01, 0.03, 0.1, 0.3)
"""Distances of the mean from the value that the bets are best for; the capital is parted."""
_LARGEST_SHARE: Final = 0.9
"""Largest share of the capital that a bet can lose."""
_PRIOR_VARIANCE: Final = 0.1
_PRIOR_ITEMS: Final = 2.0
_COLUMNS: Final = 128
_ROUNDING: Final = 1e-9


def first_shown(
    values: npt.ArrayLike,
    nulls: npt.ArrayLike,
    *,
    alpha: float,
    population: int | None = None,
    first: int = 0,
) -> IntArray:
    """Return after how many items each mean was first shown to be above each value.

    With probability 1 - alpha nothing false is shown of a mean, at any time and for any value of
    ``nulls``: to be above a value, a mean must be shown to be above the lower ones, too.

    A bet is b = d / (s^2 + d^2), at most 0.9 / (m + 1), with s^2 the variance of the items before:
    about the one that makes the capital grow most if the mean is d above the value. The capital
    is parted equally among four d (Waudby-Smith & Ramdas 2023, "Estimating means of bounded
    random variables by betting", sections 4 and 5). Without replacement m is what the mean of
    the items that are left would be, (N m - sum) / (N - t), and d grows by N / (N - t)
    (Waudby-Smith & Ramdas 2020, "Confidence sequences for sampling without replacement"): as the
    items run out, nothing is left open.

    Args:
        values: one column for each mean, items in random order, in [-1, 1]; shape
            ``(n_items, n_means)``. A value outside ends what can be shown before the last item.
        nulls: the values, rising; shape ``(n_nulls,)``.
        alpha: probability of an error for each mean.
        population: the number of items of which these are the first, for their mean; None for
            items drawn from a distribution, for its mean.
        first: number of items before the first bet; these may lie outside [-1, 1].

    Returns:
        Numbers of items, `NEVER` if it was not shown; shape ``(n_nulls, n_means)``.

    Raises:
        ValueError: falling nulls, or more items than the population has.
    """
    x, levels = matrix(values, "values"), vector(nulls, "nulls")
    check_probability(alpha, "alpha")
    check_count(first, "first", least=0)
    if np.any(np.diff(levels) < 0):
        raise ValueError(f"nulls must not fall: {levels}")
    if population is not None and len(x) > population:
        raise ValueError(f"{len(x)} items cannot be of a population of {population}")
    found = np.full((levels.size, x.shape[1]), NEVER, dtype=np.int64)
    for start in range(0, x.shape[1] if len(x) else 0, _COLUMNS):
        part = slice(start, start + _COLUMNS)
        found[:, part] = _first(x[:, part], levels, np.log(1 / alpha), population, first)
    return np.maximum.accumulate(found, axis=0)


def cannot_show(n: int, margin: float, alpha: float, population: int | None) -> bool:
    """Return whether n items are too few to show a mean of values in [-1, 1] above -margin.

    A bet of at most 0.9 / (m + 1) makes at most 1 + 0.9 (1 - m) / (1 + m) of the capital.
    """
    lowest = -margin
    if population is not None:
        if n >= population / 2:  # what is certain needs no bet
            return False
        lowest = (-population * margin - n) / (population - n)
    if lowest <= -1:
        return False
    growth = np.log1p(_LARGEST_SHARE * (1 - lowest) / (1 + lowest))
    return bool(n * growth < np.log(1 / alpha))


def _first(
    x: FloatArray, nulls: FloatArray, enough: float, population: int | None, first: int
) -> IntArray:
    n = len(x)
    seen = np.arange(n)[:, np.newaxis]
    sums, variances = _before(x, seen)
    allowed = ~np.logical_or.accumulate((np.abs(x) > 1 + _ROUNDING) & (seen >= first), axis=0)
    growth = 1.0 if population is None else population / (population - seen)
    values = nulls[:, np.newaxis, np.newaxis]  # below, axes are nulls, items, means
    left = values if population is None else (population * values - sums) / (population - seen)
    capital = _capital(x, np.maximum(left, -1.0), variances, growth, first)
    shown = allowed & (capital >= enough)
    if population is not None:
        certain = _certain(x, sums, seen + 1, values, population)
        shown |= certain & (allowed | (seen + 1 == population))
    found: IntArray = np.where(shown.any(axis=1), shown.argmax(axis=1) + 1, NEVER)
    return found


def _before(x: FloatArray, seen: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the sums of the items before each, and their variances drawn to a usual one."""
    sums, squares = np.zeros_like(x), np.zeros_like(x)
    np.cumsum(x[:-1], axis=0, out=sums[1:])
    np.cumsum(x[:-1] ** 2, axis=0, out=squares[1:])
    spread = squares - sums**2 / np.maximum(seen, 1)
    variances = (_PRIOR_VARIANCE * _PRIOR_ITEMS + spread) / (seen + _PRIOR_ITEMS)
    return sums, np.maximum(variances, 1e-6)


def _capital(
    x: FloatArray,
    left: FloatArray,
    variances: FloatArray,
    growth: FloatArray | float,
    first: int,
) -> FloatArray:
    """Return the logarithm of the capital after each item; shape ``(n_nulls, *x.shape)``."""
    most = np.where(left > 1, 0.0, _LARGEST_SHARE / np.maximum(left + 1, 1e-12))
    ahead = x - left
    parts = []
    for gap in _GAPS:
        wide = gap * growth
        bets = np.minimum(wide / (variances + wide**2), most)
        bets[:, :first] = 0.0
        parts.append(np.cumsum(np.log1p(np.maximum(bets * ahead, -1 + 1e-16)), axis=1))
    total: FloatArray = np.logaddexp.reduce(parts) - np.log(len(_GAPS))
    return total


def _certain(
    x: FloatArray, before: FloatArray, seen: IntArray, null: FloatArray, population: int
) -> BoolArray:
    """Say after which items the mean is above the value whatever those left are."""
    certain: BoolArray = before + x - (population - seen) > population * null + _ROUNDING
    return certain
