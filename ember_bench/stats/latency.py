"""Quantiles of latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ember_bench.stats._arrays import check_probability, codes, vector
from ember_bench.stats.clusters import cluster_mean
from ember_bench.stats.intervals import Estimate, Interval, normal_critical, t_critical

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, Labels


def quantile(
    values: npt.ArrayLike, q: float, *, clusters: Labels | None = None, level: float = 0.95
) -> Estimate | None:
    """Estimate a quantile, such as the 95th percentile of latency; None without values.

    The interval runs from one order statistic to another, chosen so that at most
    (1 - ``level``) / 2 is missed on each side whatever the distribution (David & Nagaraja
    2003, "Order Statistics", section 7.1): the number of values below the quantile is binomial
    (n, q). The interval is None where even the smallest or the largest value is too far inside,
    as for the 99th percentile of fewer than 368 values.

    Pass the item of each trial as ``clusters``, or a larger group of items: trials of one item
    take similar time. The ranks are then those of as many independent values as would give the
    share below the quantile the same cluster-robust variance (Woodruff 1952, "Confidence
    intervals for medians and other position measures"; Korn & Graubard 1998, "Confidence
    intervals for proportions with small expected number of positive counts", for the effective
    size and its correction for the degrees of freedom). There are never more of them than values.

    Args:
        values: shape ``(n_trials,)``, seconds or any unit.
        q: between 0 and 1; 0.5 is the median.
        clusters: one label per value.
        level: least coverage.

    Raises:
        ValueError: labels of another length, values that are not finite, or ``q`` outside (0, 1).
    """
    x = vector(values, "values")
    check_probability(q, "q")
    check_probability(level, "level")
    if x.size == 0:
        return None
    value = float(np.quantile(x, q))
    size: float | None = float(x.size)
    if clusters is not None:
        size = _effective_size(x <= value, q, clusters, level)
    return Estimate(
        value=value,
        interval=None if size is None else _order_statistics(np.sort(x), q, size, level),
        standard_error=None,
        n=x.size,
        method="order statistics",
    )


def _effective_size(
    below: npt.NDArray[np.bool_], q: float, clusters: Labels, level: float
) -> float | None:
    """Return how many independent values tell as much of the quantile; None for one cluster."""
    sizes = np.bincount(codes(clusters, below.size, "clusters"))
    if sizes.max() == 1:
        return float(below.size)
    robust = cluster_mean(below.astype(np.float64), clusters, level=level)
    if robust is None or robust.standard_error is None or robust.dof is None:
        return None
    independent = q * (1 - q) / below.size
    effect = max(1.0, robust.standard_error**2 / independent)
    few = (t_critical(level, robust.dof) / normal_critical(level)) ** 2
    return below.size / (effect * few)


def _order_statistics(x: FloatArray, q: float, size: float, level: float) -> Interval | None:
    tail = (1 - level) / 2
    low = _innermost(x.size, size, q, tail)
    high = _innermost(x.size, size, 1 - q, tail)
    if low < 0 or high < 0:
        return None
    return Interval(float(x[low]), float(x[x.size - 1 - high]), level)


def _innermost(n: int, size: float, q: float, tail: float) -> int:
    """Return the largest rank from 0 that at most ``tail`` of samples have above the quantile.

    Rank r of n values lies above it if at most r values lie below, r size / n of ``size``
    independent ones. The binomial distribution function is an incomplete beta function, which
    holds between whole numbers too. -1 if there is no such rank.
    """
    below = np.arange(n) * (size / n)
    at_most = special.betainc(size - below, below + 1, 1 - q)
    return int(np.searchsorted(at_most, tail, side="right")) - 1
