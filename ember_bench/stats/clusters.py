"""Items that are not independent: clusters of items, and epochs of one item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from ember_bench.stats._arrays import check_count, check_probability, codes, vector
from ember_bench.stats.bootstrap import cluster_sums, resampled_totals
from ember_bench.stats.intervals import Interval, all_equal, t_critical

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, Labels

ClusterCorrection: TypeAlias = Literal["CR2", "CR1"]


@dataclass(frozen=True, slots=True)
class ClusteredMean:
    """A mean over items that come in clusters."""

    value: float
    interval: Interval | None
    standard_error: float | None
    """Cluster-robust; None for a single cluster."""
    dof: float | None
    """Degrees of freedom of Student's t: one less than the clusters, if these are of one size."""
    n: int
    n_clusters: int
    design_effect: float | None
    """The variance over that of as many independent items; None if all values are equal."""


def cluster_mean(
    values: npt.ArrayLike,
    clusters: Labels,
    *,
    level: float = 0.95,
    correction: ClusterCorrection = "CR2",
) -> ClusteredMean | None:
    """Estimate the mean of ``values``, shape ``(n,)``, with a cluster-robust standard error.

    ``"CR2"`` (Bell & McCaffrey 2002) divides each cluster's squared sum of residuals by
    1 - n_g/n, which makes the variance unbiased under independence, and takes Satterthwaite's
    degrees of freedom (Imbens & Kolesar 2016, "Robust standard errors in small samples",
    section 4; for a mean both have the closed forms used here). ``"CR1"`` multiplies by
    G/(G - 1) and takes G - 1 degrees of freedom; with clusters of one size the two are equal.

    None without values; the interval is None for one cluster or values that are all equal.

    Raises:
        ValueError: ``clusters`` does not hold one label per value, or values are not finite.
    """
    x = vector(values, "values")
    sums, sizes = cluster_sums(x[:, np.newaxis], clusters)
    if x.size == 0:
        return None
    mean = float(x.mean())
    error: float | None = None
    dof: float | None = None
    if sizes.size > 1:
        residuals = sums[:, 0] - mean * sizes
        error, dof = robust_error(residuals, sizes, correction)
    spread = error is not None and not all_equal(x)
    return ClusteredMean(
        value=mean,
        interval=_interval(mean, error, dof, level) if spread else None,
        standard_error=error if spread or error is None else 0.0,
        dof=dof,
        n=x.size,
        n_clusters=sizes.size,
        design_effect=error**2 * x.size / float(x.var(ddof=1)) if error and spread else None,
    )


def _interval(mean: float, error: float | None, dof: float | None, level: float) -> Interval | None:
    if not error or dof is None:
        return None
    half = t_critical(level, dof) * error
    return Interval(mean - half, mean + half, level)


def robust_error(
    residuals: FloatArray, sizes: FloatArray, correction: ClusterCorrection = "CR2"
) -> tuple[float, float]:
    """Return the standard error of a mean and its degrees of freedom.

    Args:
        residuals: sum of each cluster's deviations from the mean, shape ``(n_clusters,)``.
        sizes: items of each cluster, same shape; at least two clusters.
        correction: see :func:`cluster_mean`.
    """
    n, n_clusters = sizes.sum(), sizes.size
    if correction == "CR1":
        variance = n_clusters / (n_clusters - 1) * np.sum(residuals**2) / n**2
        return float(np.sqrt(variance)), n_clusters - 1.0
    rest = 1 - sizes / n
    variance = np.sum(residuals**2 / rest) / n**2
    # The trace of M and of M squared, for M_gh = (n_g d_gh - n_g n_h / n) / sqrt(rest_g rest_h).
    shares = sizes**2 / (n * rest)
    dof = n**2 / (np.sum(sizes**2) + shares.sum() ** 2 - np.sum(shares**2))
    return float(np.sqrt(variance)), float(dof)


def cluster_bootstrap_interval(
    values: npt.ArrayLike,
    clusters: Labels,
    *,
    level: float = 0.95,
    n_draws: int = 10_000,
    seed: int = 0,
) -> Interval | None:
    """Return the bootstrap-t interval of a mean, resampling whole clusters.

    Cameron, Gelbach & Miller 2008, "Bootstrap-based improvements for inference with clustered
    errors", section III: the percentile interval is too narrow when clusters are few, the
    studentised one is not. None for fewer than two clusters, and where no cluster's mean
    differs from another's.
    """
    check_probability(level, "level")
    x = vector(values, "values")
    sums, sizes = cluster_sums(x[:, np.newaxis], clusters)
    if sizes.size < 2 or all_equal(x):
        return None
    s = sums[:, 0]
    moments = np.column_stack([s, sizes, s * s, s * sizes, sizes * sizes])
    mean, error = _ratio_and_error(moments.sum(axis=0, keepdims=True))
    if error[0] == 0:
        return None
    rng = np.random.default_rng(seed)
    means, errors = _ratio_and_error(resampled_totals(moments, n_draws, rng))
    # One cluster drawn G times has no spread to studentise by.
    usable = errors > 0
    t = (means[usable] - mean) / errors[usable]
    low, high = np.quantile(t, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(mean[0] - high * error[0]), float(mean[0] - low * error[0]), level)


def _ratio_and_error(moments: FloatArray) -> tuple[FloatArray, FloatArray]:
    s, n, ss, sn, nn = moments.T
    mean = s / n
    squares = ss - 2 * mean * sn + mean**2 * nn
    # Differences of large sums: what is left of equal clusters is rounding.
    squares = np.where(squares > 1e-12 * ss, squares, 0)
    return mean, np.sqrt(squares) / n


@dataclass(frozen=True, slots=True)
class ItemMeans:
    """One value per item: the mean over its epochs."""

    items: tuple[Hashable, ...]
    """In the order in which they first appear."""
    means: FloatArray
    """Shape ``(n_items,)``."""
    epochs: npt.NDArray[np.int64]
    """How many values each item has, shape ``(n_items,)``."""


def item_means(values: npt.ArrayLike, items: Labels) -> ItemMeans:
    """Average each item's epochs: the first step, as the item is the unit.

    Args:
        values: shape ``(n_trials,)``, any unit.
        items: the item of each value, shape ``(n_trials,)``.
    """
    x = vector(values, "values")
    group = codes(items, x.size, "items")
    names = tuple(dict.fromkeys(items.tolist() if isinstance(items, np.ndarray) else items))
    epochs = np.bincount(group, minlength=len(names))
    means = np.bincount(group, weights=x, minlength=len(names)) / np.maximum(epochs, 1)
    return ItemMeans(names, means, epochs)


@dataclass(frozen=True, slots=True)
class VarianceSplit:
    """How much of the variance lies between items and how much within them, over epochs."""

    mean: float
    """Of the item means, each item counted once."""
    between: float
    """Variance of the items' true means; 0 where its estimate is negative."""
    within: float
    """Variance of one item over its epochs."""
    n_items: int
    n_trials: int

    @property
    def intraclass_correlation(self) -> float | None:
        """Return the share of the variance that lies between items; None without variance."""
        total = self.between + self.within
        return self.between / total if total > 0 else None

    def standard_error(self, n_items: int, n_epochs: int) -> float:
        """Predict the standard error of the mean with so many items and epochs of each."""
        check_count(n_items, "n_items")
        check_count(n_epochs, "n_epochs")
        return float(np.sqrt((self.between + self.within / n_epochs) / n_items))


def split_variance(values: npt.ArrayLike, items: Labels) -> VarianceSplit | None:
    """Split the variance by one-way random-effects analysis of variance, balanced or not.

    Searle, Casella & McCulloch 1992, "Variance Components", section 3.6: with mean squares
    MSB and MSW and n0 = (N - sum n_i^2 / N) / (a - 1), within = MSW and
    between = (MSB - MSW) / n0.

    None for fewer than two items, or when no item has two epochs: nothing is then known of the
    variance within.

    Args:
        values: shape ``(n_trials,)``, any unit.
        items: the item of each value, shape ``(n_trials,)``.
    """
    x = vector(values, "values")
    groups = item_means(x, items)
    n_items, epochs = len(groups.items), groups.epochs
    if n_items < 2 or x.size == n_items:
        return None
    deviations = groups.means - x.mean()
    mean_square_between = np.sum(epochs * deviations**2) / (n_items - 1)
    residuals = x - groups.means[codes(items, x.size, "items")]
    mean_square_within = np.sum(residuals**2) / (x.size - n_items)
    n0 = (x.size - np.sum(epochs**2) / x.size) / (n_items - 1)
    return VarianceSplit(
        mean=float(groups.means.mean()),
        between=float(max(0.0, (mean_square_between - mean_square_within) / n0)),
        within=float(mean_square_within),
        n_items=n_items,
        n_trials=x.size,
    )
