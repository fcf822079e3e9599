"""The bootstrap of means, for many columns at once.

A resample of n items is a vector of n counts that sums to n; its mean is a product with the
data. So thousands of resamples of a hundred cells are a few matrix products, and all cells see
the same resampled items, which is what keeps their comparison paired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy import special

from ember_bench.stats._arrays import (
    check_count,
    check_probability,
    codes,
    matrix,
    n_labels,
    vector,
)
from ember_bench.stats._resampling import resample_counts
from ember_bench.stats.intervals import Interval, all_equal, wilson_interval

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, Labels

BootstrapMethod: TypeAlias = Literal["bca", "percentile"]

_LEAST_UNITS = 5


def bootstrap_means(
    values: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    n_draws: int = 10_000,
    seed: int = 0,
) -> FloatArray:
    """Return the column means of resampled items, shape ``(n_draws, n_columns)``.

    Args:
        values: shape ``(n_items, n_columns)``, one column per cell, rows of the same items.
        clusters: one label per item; whole clusters are resampled (Davison & Hinkley 1997,
            section 3.8), so that a resample's number of items varies.
        n_draws: how many resamples.
        seed: of the random number generator; equal seeds give equal resamples.

    Raises:
        ValueError: no items, values that are not finite, or labels of another length.
    """
    x = matrix(values, "values")
    check_count(n_draws, "n_draws")
    rng = np.random.default_rng(seed)
    if clusters is None:
        averages: FloatArray = resampled_totals(x, n_draws, rng) / x.shape[0]
        return averages
    sums, sizes = cluster_sums(x, clusters)
    totals = resampled_totals(np.column_stack([sums, sizes]), n_draws, rng)
    means: FloatArray = totals[:, :-1] / totals[:, -1:]
    return means


def enough_to_rank(n_items: int, clusters: Labels | None = None) -> bool:
    """Say whether there are items, or clusters, enough for probabilities of being best.

    A few items do not tell how large the errors of the cells' means are. At least 5 are asked for.
    """
    return (n_items if clusters is None else n_labels(clusters)) >= _LEAST_UNITS


def resampled_totals(x: FloatArray, n_draws: int, rng: np.random.Generator) -> FloatArray:
    """Return the column sums of resampled rows of ``x``, shape ``(n_draws, n_columns)``."""
    totals = np.empty((n_draws, x.shape[1]))
    done = 0
    for counts in resample_counts(x.shape[0], n_draws, rng):
        np.matmul(counts, x, out=totals[done : done + len(counts)])
        done += len(counts)
    return totals


def cluster_sums(x: FloatArray, clusters: Labels) -> tuple[FloatArray, FloatArray]:
    """Return the sum of each cluster, ``(n_clusters, n_columns)``, and its number of items."""
    group = codes(clusters, x.shape[0], "clusters")
    n_clusters = int(group.max()) + 1 if group.size else 0
    sums = np.zeros((n_clusters, x.shape[1]))
    np.add.at(sums, group, x)
    return sums, np.bincount(group, minlength=n_clusters).astype(np.float64)


def bootstrap_interval(
    values: npt.ArrayLike,
    *,
    method: BootstrapMethod = "bca",
    clusters: Labels | None = None,
    level: float = 0.95,
    n_draws: int = 10_000,
    seed: int = 0,
) -> Interval | None:
    """Return a bootstrap interval of a mean; ``values`` has shape ``(n,)``, any unit.

    ``"bca"`` is bias-corrected and accelerated (Efron 1987, "Better bootstrap confidence
    intervals", equations 3.8 and 6.6), ``"percentile"`` the plain quantiles of the resampled
    means. scipy's BCa takes time and memory that grow with n squared and gives NaN where all
    values are equal.

    When all values are equal every resample is the same and the bootstrap knows nothing. For
    0/1 data the law is binomial all the same, and Wilson's interval is returned. For other
    equal data nothing says how large a rarer value might be, and the answer is None, as it is
    for fewer than two values.

    With ``clusters``, one label per value, whole clusters are resampled and each counts as one
    value; few or unequal ones need :func:`cluster_bootstrap_interval`.
    """
    x = vector(values, "values")
    check_probability(level, "level")
    sums, sizes = _units(x, clusters)
    if all_equal(x):
        if x.size and x[0] in (0, 1):
            return wilson_interval(float(x[0]) * sizes.size, sizes.size, level=level)
        return None
    if sizes.size < 2:
        return None
    columns = x[:, np.newaxis]
    means = bootstrap_means(columns, clusters=clusters, n_draws=n_draws, seed=seed)[:, 0]
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        tails = _bca_tails(float(x.mean()), sums - sizes * x.mean(), means, tails)
    low, high = np.quantile(means, tails)
    return Interval(float(low), float(high), level)


def _units(x: FloatArray, clusters: Labels | None) -> tuple[FloatArray, FloatArray]:
    """Return sum and size of what is resampled."""
    if clusters is None:
        return x, np.ones(x.size)
    sums, sizes = cluster_sums(x[:, np.newaxis], clusters)
    return sums[:, 0], sizes


def _bca_tails(
    mean: float, influences: FloatArray, means: FloatArray, tails: FloatArray
) -> FloatArray:
    # The jackknife's influence of an item on a mean is its deviation from it; of a cluster, the
    # sum of its items'.
    below = (np.mean(means < mean) + np.mean(means <= mean)) / 2
    bias = special.ndtri(np.clip(below, 1 / (means.size + 1), means.size / (means.size + 1)))
    squares = np.sum(influences**2)
    acceleration = np.sum(influences**3) / (6 * squares**1.5) if squares > 0 else 0.0
    shifted = bias + special.ndtri(tails)
    corrected: FloatArray = special.ndtr(bias + shifted / (1 - acceleration * shifted))
    return corrected
