"""Averages over strata: the tasks of a suite, the subjects of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from ember_bench.stats._arrays import codes, in_unit_interval, same_length, vector
from ember_bench.stats.clusters import cluster_mean
from ember_bench.stats.intervals import Estimate, Interval, normal_critical, t_critical

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, Labels

Average: TypeAlias = Literal["macro", "micro"]


def stratified_score(
    scores: npt.ArrayLike,
    strata: Labels,
    *,
    average: Average,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate an average of scores in [0, 1] over strata, one score per item.

    ``"macro"`` is the mean of the strata's means, as papers average over tasks; ``"micro"`` is
    the mean over all items, so that a stratum weighs as much as its items. The strata are fixed:
    the interval says how the average of these very strata varies with their items, which are
    drawn within each.

    The interval is Price & Bonett's (2004, "An improved confidence interval for a linear function
    of binomial proportions"): to each of the m strata, 2/m items that score 1 and 2/m that score 0
    are added before the normal interval is taken. With one stratum it is Agresti & Coull's, with
    two and opposite weights Agresti & Caffo's. Scores with partial credit are treated alike.

    With clusters, a stratum's variance is multiplied by its design effect (:func:`cluster_mean`)
    where that is above 1, and Student's t at Satterthwaite's degrees of freedom takes the place of
    z. A cluster that is all of a stratum counts as one item. Clusters lie within strata: items
    of one cluster in two strata are taken as two clusters.

    Args:
        scores: shape ``(n_items,)``.
        strata: one label per item.
        average: which of the two averages.
        clusters: one label per item.
        level: nominal coverage.

    Returns:
        None without items. The standard error is that without added items; None if a stratum has a
        single item, or a single cluster.

    Raises:
        ValueError: scores outside [0, 1], or labels that are not one per item.
    """
    x = in_unit_interval(vector(scores, "scores"), "scores")
    return _estimate(x, strata, clusters, average, level, added=2.0, ends=(0.0, 1.0))


def stratified_difference(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    strata: Labels,
    *,
    average: Average,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate the average difference of two cells' scores on the same items over strata.

    As :func:`stratified_score`, of the items' differences. To each of the m strata 1/m items won
    and 1/m lost are added, as large as the largest difference: with one stratum it is the
    interval of :func:`paired_difference` (Bonett & Price 2012).

    Raises:
        ValueError: as :func:`stratified_score`, and for arrays of different length.
    """
    first = in_unit_interval(vector(a, "a"), "a")
    second = in_unit_interval(vector(b, "b"), "b")
    same_length(first, second, "a and b")
    d = first - second
    largest = float(np.abs(d).max(initial=0)) or 1.0
    return _estimate(d, strata, clusters, average, level, added=1.0, ends=(-largest, largest))


@dataclass(frozen=True, slots=True)
class _Stratum:
    """What a stratum adds to an average.

    Attributes:
        mean: Of its values.
        centre: Of its values and the added ones.
        variance: Of the mean, with the added values and the design effect.
        squared_error: Of the mean without added values; None if unknown.
        dof: Degrees of freedom of the variance; infinite for independent items.
    """

    mean: float
    centre: float
    variance: float
    squared_error: float | None
    dof: float


def _estimate(
    x: FloatArray,
    strata: Labels,
    clusters: Labels | None,
    average: Average,
    level: float,
    *,
    added: float,
    ends: tuple[float, float],
) -> Estimate | None:
    group = codes(strata, x.size, "strata")
    within = None if clusters is None else codes(clusters, x.size, "clusters")
    if x.size == 0:
        return None
    sizes = np.bincount(group)
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.cumsum(sizes)[:-1])
    each = added / len(parts)
    found = [
        _stratum(x[part], None if within is None else within[part], each, ends) for part in parts
    ]
    weights = np.full(len(parts), 1 / len(parts)) if average == "macro" else sizes / x.size
    value = float(weights @ [part.mean for part in found])
    spread = weights**2 * [part.variance for part in found]
    dof = _satterthwaite(spread, np.array([part.dof for part in found]))
    critical = normal_critical(level) if np.isinf(dof) else t_critical(level, dof)
    centre, half = (
        float(weights @ [p.centre for p in found]),
        critical * float(np.sqrt(spread.sum())),
    )
    lowest = -1.0 if ends[0] < 0 else 0.0
    interval = Interval(
        max(lowest, min(value, centre - half)), min(1.0, max(value, centre + half)), level
    )
    errors = [part.squared_error for part in found]
    known = [error for error in errors if error is not None]
    error = float(np.sqrt(weights**2 @ known)) if len(known) == len(errors) else None
    return Estimate(value, interval, error, x.size, f"stratified, {average}")


def _stratum(
    x: FloatArray, clusters: npt.NDArray[np.intp] | None, each: float, ends: tuple[float, float]
) -> _Stratum:
    """Return what a stratum adds; `each` values are added at each of the ends."""
    mean, n = float(x.mean()), float(x.size)
    effect, dof = 1.0, np.inf
    squared_error = float(x.var(ddof=1)) / n if n > 1 else None
    if clusters is not None:
        robust = cluster_mean(x, clusters)
        if robust is None or robust.n_clusters == 1:
            x, n, squared_error = np.array([mean]), 1.0, None
        else:
            squared_error = (robust.standard_error or 0.0) ** 2
            effect = max(1.0, robust.design_effect or 1.0)
            dof = robust.dof or np.inf
    total = n + 2 * each
    centre = (float(x.sum()) + each * sum(ends)) / total
    squares = (float(x @ x) + each * (ends[0] ** 2 + ends[1] ** 2)) / total
    variance = max(0.0, squares - centre**2) / total
    return _Stratum(mean, centre, effect * variance, squared_error, dof)


def _satterthwaite(spread: FloatArray, dof: FloatArray) -> float:
    """Return the degrees of freedom of a sum of variances; infinite for independent items."""
    rest = float(np.sum(spread**2 / dof))
    return float(spread.sum()) ** 2 / rest if rest > 0 else np.inf
