"""The error of a mean over items that are independent or come in clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import vector
from ember_bench.stats.bootstrap import cluster_sums
from ember_bench.stats.clusters import cluster_mean, robust_error
from ember_bench.stats.intervals import Interval, standard_error, t_critical

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, Labels


def t_interval(
    values: npt.ArrayLike, *, clusters: Labels | None = None, level: float = 0.95
) -> Interval | None:
    """Return Student's interval of a mean; ``values`` has shape ``(n,)``, any unit.

    Right for means that are close to normal: symmetric data, or many items. Use
    :func:`mean_score` for scores and :func:`mean_cost` for what is skewed. With ``clusters``,
    one label per value, it is :func:`cluster_mean`'s.

    None when there are fewer than two values or clusters, and when all values are equal: data
    without spread say nothing of the error, and an interval of no width would claim that there
    is none.
    """
    x = vector(values, "values")
    if clusters is not None:
        robust = cluster_mean(x, clusters, level=level)
        return None if robust is None else robust.interval
    error = standard_error(x)
    if error is None or error == 0:
        return None
    half = t_critical(level, x.size - 1) * error
    mean = float(x.mean())
    return Interval(mean - half, mean + half, level)


@dataclass(frozen=True, slots=True)
class ErrorParts:
    """What each item, or each cluster, adds to the error of means."""

    values: FloatArray
    """Shape ``(n_parts, n_columns)``; the sum of a column's squares is its squared error."""
    dof: float
    """Degrees of freedom of Student's t."""

    @property
    def standard_error(self) -> float:
        """Return the standard error of the first column's mean."""
        return float(np.sqrt(np.sum(self.values[:, 0] ** 2)))


def error_parts(columns: FloatArray, clusters: Labels | None) -> ErrorParts | None:
    """Split the errors of the column means; None for fewer than two items or clusters.

    Items, or the sums of clusters, less their mean, each weighted as in ``"CR2"``
    (:func:`cluster_mean`): without clusters the squares sum to s^2 / n.

    Args:
        columns: shape ``(n_items, n_columns)``.
        clusters: one label per item; None for independent items.

    Raises:
        ValueError: ``clusters`` does not hold one label per item.
    """
    n = columns.shape[0]
    if clusters is None:
        if n < 2:
            return None
        # In place: cells may have millions of trials.
        parts = columns - columns.mean(axis=0)
        parts /= np.sqrt(n * (n - 1))
        return ErrorParts(parts, n - 1.0)
    sums, sizes = cluster_sums(columns, clusters)
    if sizes.size < 2:
        return None
    residuals = sums - sizes[:, np.newaxis] * columns.mean(axis=0)
    weights = 1 / (n * np.sqrt(1 - sizes / n))
    _, dof = robust_error(residuals[:, 0], sizes)
    return ErrorParts(residuals * weights[:, np.newaxis], dof)
