"""The headline: the mean score of a cell, with an interval that keeps its word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import codes, in_unit_interval, is_binary, vector
from ember_bench.stats.bootstrap import cluster_sums
from ember_bench.stats.clusters import cluster_mean, robust_error, split_variance
from ember_bench.stats.intervals import (
    Estimate,
    Interval,
    ProportionMethod,
    all_equal,
    exact_bounds,
    normal_critical,
    proportion,
    score_bounds,
    standard_error,
    t_critical,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, Labels

_ADDED: Final = (0.0, 1.0)
"""The scores added before a variance is taken: the mean they have is not used."""


def mean_score(
    scores: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
    method: ProportionMethod = "wilson",
) -> Estimate | None:
    """Estimate the mean of scores in [0, 1], one per item, shape ``(n_items,)``.

    Scores of 0 and 1 get Wilson's interval, or the exact one (:func:`proportion`), and
    ``method`` decides on the bounds at an effective size in the same way. Scores with
    partial credit, or item means over epochs, get Wilson's interval at the effective sample size
    m (1 - m) / s^2 * n, with Student's t in place of z: an item whose score varies less than a
    right or wrong one counts for more (the Korn & Graubard 1998 construction,
    "Confidence intervals for proportions with small expected number of positive counts", with
    Wilson's bounds in place of the exact ones, as in Franco et al. 2019). m is the mean, and s^2
    the variance of the scores with one score of 0 and one of 1 added, at most m (1 - m). A rare
    item that scores far from the rest is often not in the sample, whose own variance then knows
    nothing of it (Agresti & Caffo 2000, "Simple and effective confidence intervals for
    proportions and differences of proportions result from adding two successes and two
    failures", add scores for the same reason).

    With clusters, and then also for scores of 0 and 1, the variance is the largest of the
    cluster-robust one, that with two scores added, and that of independent items. The two scores
    come in clusters of their own, of size k^rho: one item where items of a cluster are
    independent, and a cluster of mean size k where they are alike. rho is the intraclass
    correlation (:func:`split_variance`) of the scores with two such clusters of size k.

    When all scores are equal, the largest variance that is possible, m (1 - m), is assumed, and
    each cluster counts as one item.

    None without items; the interval is None for one cluster.

    Args:
        scores: in [0, 1], shape ``(n_items,)``.
        clusters: one label per item.
        level: nominal coverage.
        method: Wilson's bounds, or the exact ones.

    Raises:
        ValueError: a score outside [0, 1], or labels of another length.
    """
    x = in_unit_interval(vector(scores, "scores"), "scores")
    if x.size == 0:
        return None
    if clusters is not None:
        return _clustered(x, clusters, level, method)
    if is_binary(x):
        return proportion(float(x.sum()), x.size, level=level, method=method)
    mean = float(x.mean())
    critical = normal_critical(level) if all_equal(x) else t_critical(level, x.size - 1)
    return Estimate(
        value=mean,
        interval=_bounds(mean, _effective_size(x), critical, level, method),
        standard_error=standard_error(x),
        n=x.size,
        method=f"{method}, effective n",
    )


def _bounds(
    mean: float, size: float, critical: float, level: float, method: ProportionMethod
) -> Interval:
    if method == "wilson":
        return score_bounds(mean, size, critical, level)
    # Student's t in place of z: Korn & Graubard's correction of the size.
    return exact_bounds(mean, size * (normal_critical(level) / critical) ** 2, level)


def _effective_size(x: FloatArray) -> float:
    """Return the number of right and wrong answers that tell as much of the mean."""
    if is_binary(x) or all_equal(x):
        return float(x.size)
    mean = float(x.mean())
    variance = float(np.append(x, _ADDED).var(ddof=1))
    return x.size * max(1.0, mean * (1 - mean) / variance)


def _clustered(
    x: FloatArray, clusters: Labels, level: float, method: ProportionMethod
) -> Estimate | None:
    robust = cluster_mean(x, clusters, level=level)
    if robust is None:
        return None
    mean, interval = robust.value, None
    if all_equal(x):
        interval = _bounds(mean, robust.n_clusters, normal_critical(level), level, method)
    elif robust.standard_error is not None and robust.dof is not None:
        most = mean * (1 - mean)
        # Scores that are nearly equal tell no less than equal ones: each cluster is one item.
        added = min(_added_variance(x, clusters), most / robust.n_clusters)
        variance = max(robust.standard_error**2, added, most / _effective_size(x))
        critical = t_critical(level, robust.dof)
        interval = _bounds(mean, most / variance, critical, level, method)
    return Estimate(
        value=mean,
        interval=interval,
        standard_error=robust.standard_error,
        n=x.size,
        method=f"{method}, cluster-robust effective n",
    )


def _added_variance(x: FloatArray, clusters: Labels) -> float:
    """Return the CR2 variance of the mean with a cluster of 0 and a cluster of 1 added."""
    sums, sizes = cluster_sums(x[:, np.newaxis], clusters)
    mean, added = float(x.mean()), np.array(_ADDED)
    size = _added_size(x, clusters, round(float(sizes.mean())))
    residuals = np.append(sums[:, 0] - mean * sizes, size * (added - mean))
    error, _ = robust_error(residuals, np.append(sizes, [size, size]))
    return error**2


def _added_size(x: FloatArray, clusters: Labels, size: int) -> float:
    group = codes(clusters, x.size, "clusters")
    own = np.repeat([group.max() + 1, group.max() + 2], size)
    split = split_variance(np.append(x, np.repeat(_ADDED, size)), np.append(group, own))
    correlation = None if split is None else split.intraclass_correlation
    return 1.0 if correlation is None else float(size**correlation)
