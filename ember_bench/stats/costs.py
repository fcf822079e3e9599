"""Cost per item, per correct answer, and of one cell against another.

Costs are skewed: a few items take many times the tokens of the rest, and Student's interval
of the mean then misses on one side. The intervals here correct the t statistic for the skewness
that the data show. They need no resampling, so equal data give equal digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import (
    check_probability,
    in_unit_interval,
    not_negative,
    same_length,
    vector,
)
from ember_bench.stats.intervals import Estimate, Interval, all_equal, t_critical
from ember_bench.stats.means import error_parts, t_interval
from ember_bench.stats.ratios import ROUNDING, ratio_interval, ratio_of_totals

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, Labels

_METHOD = "skewness-corrected t"


def mean_cost(
    costs: npt.ArrayLike, *, clusters: Labels | None = None, level: float = 0.95
) -> Estimate | None:
    """Estimate the mean cost per item; ``costs`` has shape ``(n_items,)``, in usd or any unit.

    Hall 1992, "On the removal of skewness by transformation": with skewness g, the statistic
    T + g T^2 / (3 sqrt n) + g^2 T^3 / (27 n) + g / (6 sqrt n) is closer to normal than Student's
    T, and can be inverted. Student's quantiles are used in place of the normal ones.

    With clusters error, skewness and degrees of freedom are those of the sums of clusters
    (:func:`cluster_mean`).

    None without items; the interval is None for one item, one cluster, or costs that are all
    equal.

    Args:
        costs: shape ``(n_items,)``, usd or any unit, not negative.
        clusters: one label per item.
        level: nominal coverage.

    Raises:
        ValueError: a negative cost, or labels of another length.
    """
    x = not_negative(vector(costs, "costs"), "costs")
    if x.size == 0:
        return None
    interval = _skewness_corrected(x, clusters, level)
    if interval is not None:
        interval = Interval(max(0.0, interval.low), interval.high, level)
    return Estimate(float(x.mean()), interval, _error(x, clusters), x.size, _METHOD)


def _error(x: FloatArray, clusters: Labels | None) -> float | None:
    parts = error_parts(x[:, np.newaxis], clusters)
    if parts is None:
        return None
    return 0.0 if all_equal(x) else parts.standard_error


def _skewness_corrected(x: FloatArray, clusters: Labels | None, level: float) -> Interval | None:
    """Return Hall's interval of a mean; None for fewer than two values or without spread."""
    check_probability(level, "level")
    parts = error_parts(x[:, np.newaxis], clusters)
    if parts is None or all_equal(x):
        return None
    mean, error = float(x.mean()), parts.standard_error
    if error <= ROUNDING * abs(mean):
        return None
    skewness = float(np.sum(parts.values[:, 0] ** 3)) / error**3
    critical = t_critical(level, parts.dof)
    low, high = (_hall_inverse(u, skewness) for u in (critical, -critical))
    return Interval(mean - low * error, mean - high * error, level)


def _hall_inverse(u: float, r: float) -> float:
    """Solve Hall's equation for T at the quantile u; r is the skewness over sqrt(n)."""
    if abs(r) < 1e-9:
        return u
    return float(3 / r * (np.cbrt(1 + r * (u - r / 6)) - 1))


def cost_per_correct(
    costs: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate the cost of one correct answer: total cost over total score.

    The interval holds the ratios theta for which costs - theta * scores could have mean zero
    (Fieller 1954, "Some problems in interval estimation"), judged by Hall's skewness-corrected
    t (see :func:`mean_cost`). All such ratios may be a set without an upper end, or of several
    pieces: far from the estimate the statistic can come back from beyond its quantile. The
    interval is the piece that holds the estimate: it ends at the first ratio on each side that
    is refused.

    None without a correct answer. The interval is None where there are too few of them to
    bound the ratio from above, where there is no spread, and for one cluster.

    Args:
        costs: shape ``(n_items,)``, usd or any unit, not negative.
        scores: shape ``(n_items,)``, in [0, 1], of the same items.
        clusters: one label per item.
        level: nominal coverage.
    """
    a = not_negative(vector(costs, "costs"), "costs")
    b = in_unit_interval(vector(scores, "scores"), "scores")
    same_length(a, b, "costs and scores")
    if b.sum() == 0:
        return None
    return Estimate(
        value=ratio_of_totals(a, b),
        interval=ratio_interval(a, b, clusters, level, skewed=True),
        standard_error=_ratio_error(a, b, clusters),
        n=a.size,
        method=_METHOD + ", Fieller",
    )


def cost_ratio(
    costs: npt.ArrayLike,
    baseline: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate how many times ``baseline`` a cell costs: the ratio of mean costs, items paired.

    The interval spans Fieller's own and its skewness-corrected form (:func:`cost_per_correct`).
    Where one item's costs rise and fall together, residuals are symmetric with heavy tails, and
    the corrected form alone is too narrow; where the baseline hardly varies they are skewed, and
    Fieller's own is.

    None if the baseline cost nothing; the interval is None as for :func:`cost_per_correct`.

    Args:
        costs: shape ``(n_items,)``, usd or any unit, not negative.
        baseline: costs of the same items, same unit.
        clusters: one label per item.
        level: nominal coverage.
    """
    a = not_negative(vector(costs, "costs"), "costs")
    b = not_negative(vector(baseline, "baseline"), "baseline")
    same_length(a, b, "costs and baseline")
    if b.sum() == 0:
        return None
    plain, corrected = (
        ratio_interval(a, b, clusters, level, skewed=skewed) for skewed in (False, True)
    )
    return Estimate(
        value=ratio_of_totals(a, b),
        interval=_hull(plain, corrected),
        standard_error=_ratio_error(a, b, clusters),
        n=a.size,
        method="Fieller, both forms",
    )


def cost_difference(
    costs: npt.ArrayLike,
    baseline: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate the mean of ``costs - baseline`` over items both have, shape ``(n_items,)`` each.

    Serves any amount without bounds: usd, seconds, tokens. The interval spans Student's and
    Hall's (:func:`mean_cost`): Hall's alone is too narrow where differences are symmetric with
    heavy tails, Student's alone where they are skewed.

    None without items; the interval is None for one item, one cluster, or differences that are
    all equal.

    Args:
        costs: shape ``(n_items,)``, any unit.
        baseline: of the same items, same unit.
        clusters: one label per item.
        level: nominal coverage.
    """
    a, b = vector(costs, "costs"), vector(baseline, "baseline")
    same_length(a, b, "costs and baseline")
    if a.size == 0:
        return None
    d = a - b
    interval = _hull(
        t_interval(d, clusters=clusters, level=level), _skewness_corrected(d, clusters, level)
    )
    return Estimate(float(d.mean()), interval, _error(d, clusters), d.size, _METHOD + " and t")


def _hull(first: Interval | None, second: Interval | None) -> Interval | None:
    if first is None or second is None:
        return None
    return Interval(min(first.low, second.low), max(first.high, second.high), first.level)


def _ratio_error(a: FloatArray, b: FloatArray, clusters: Labels | None) -> float | None:
    """Return the delta method's standard error of the ratio of means."""
    error = _error(a - ratio_of_totals(a, b) * b, clusters)
    return None if error is None else error / float(b.mean())
