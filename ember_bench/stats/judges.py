"""Scores that a judge gave, corrected by the labels that people gave to some of the outputs.

A judge's mean score is off by its errors, however many outputs it sees. Two corrections need few
labels: that of Rogan & Gladen takes the judge's error rates over from labelled outputs of any kind,
prediction-powered inference takes its mean error over from a random part of the outputs themselves.
Guo et al. 2026, "Efficient inference for noisy LLM-as-a-judge evaluation", arXiv:2601.05420,
compare the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import (
    FloatArray,
    Labels,
    codes,
    in_unit_interval,
    mask,
    same_length,
    vector,
)
from ember_bench.stats.intervals import (
    Estimate,
    Interval,
    normal_critical,
    score_bounds,
    t_critical,
)

if TYPE_CHECKING:
    import numpy.typing as npt

_FEWEST: Final = 10
"""Labels that a mean error is estimated from, at least."""
_PART: Final = 0.5
"""Of each output that is added before a variance is taken."""


def rogan_gladen(
    judged: npt.ArrayLike,
    labelled: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    labelled_clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate the share of outputs that are right from a judge's verdicts and its error rates.

    Rogan & Gladen 1978, "Estimating prevalence from the results of a screening test": with the
    judge's sensitivity q1 and specificity q0, (mean verdict + q0 - 1) / (q0 + q1 - 1), brought into
    [0, 1]. The rates are of labelled outputs, which may be others than those that are judged and of
    another mix, but must be as easy to judge. The interval is that of Lang & Reiczigel 2014,
    "Confidence limits for prevalence of disease adjusted for estimated sensitivity and
    specificity", which Lee et al. 2025, arXiv:2511.21140, propose for judges: Wald's, around a
    value with one right and one wrong verdict added to each rate. With clusters its variance is
    multiplied by the ratio of the cluster-robust variance to that of independent outputs.

    None without verdicts, without right or without wrong outputs among the labelled ones, and
    where the judge accepts no larger a share of the right ones: it then tells nothing.

    Args:
        judged: The judge's verdicts, 0 or 1, shape ``(n_judged,)``.
        labelled: Its verdicts on the labelled outputs, shape ``(n_labels,)``.
        labels: Whether these are right, same shape.
        clusters: One label per judged output; None if each is its own.
        labelled_clusters: One label per labelled output. Clusters of the same label are the same
            in both, so that labelled outputs may be some of the judged ones.
        level: Nominal coverage.

    Raises:
        ValueError: on other values, or arrays of different lengths.
    """
    z = mask(judged, "judged").astype(np.float64)
    said, right = mask(labelled, "labelled"), mask(labels, "labels")
    same_length(said.astype(np.float64), right.astype(np.float64), "labelled and labels")
    hits, rejected = said[right].astype(np.float64), ~said[~right]
    if not z.size or not hits.size or not rejected.size:
        return None
    p, q1, q0 = float(z.mean()), float(hits.mean()), float(rejected.mean())
    if (told := q0 + q1 - 1) <= 0:
        return None
    value = (p + q0 - 1) / told
    critical = normal_critical(level)
    centre, variance = _added(z, hits.sum(), hits.size, rejected.sum(), rejected.size, critical)
    if clusters is not None or labelled_clusters is not None:
        # One entry for each of the judged outputs, then one for each of the labelled ones.
        of_labels = np.where(
            right,
            -value * (said - q1) / hits.size,
            (1 - value) * (~said - q0) / rejected.size,
        )
        influence = np.concatenate([(z - p) / z.size, of_labels]) / told
        variance *= _design_effect(influence, z.size, clusters, labelled_clusters)
    half = critical * variance**0.5
    interval = Interval(_unit(centre - half), _unit(centre + half), level)
    error = float(np.sqrt(variance))
    return Estimate(_unit(value), interval, error, z.size, "Rogan-Gladen")


def _added(
    z: FloatArray, hits: float, n_right: int, rejected: float, n_wrong: int, critical: float
) -> tuple[float, float]:
    """Return centre and variance of the interval of Lang & Reiczigel, their section 2.3."""
    square = critical**2
    n = z.size + square
    p = (z.sum() + square / 2) / n
    q1, q0 = (hits + 1) / (n_right + 2), (rejected + 1) / (n_wrong + 2)
    told = max(q0 + q1 - 1, 1 / (n_right + n_wrong + 4))
    value = (p + q0 - 1) / told
    of_right, of_wrong = q1 * (1 - q1) / (n_right + 2), q0 * (1 - q0) / (n_wrong + 2)
    shift = 2 * square * (value * of_right - (1 - value) * of_wrong)
    rates = (1 - value) ** 2 * of_wrong + value**2 * of_right
    return float(value + shift), float((p * (1 - p) / n + rates) / told**2)


def _design_effect(
    influence: FloatArray, n_judged: int, clusters: Labels | None, labelled: Labels | None
) -> float:
    """Return the ratio of the cluster-robust variance to that of independent outputs."""
    n = influence.size
    of_judged = range(n_judged) if clusters is None else clusters
    of_labelled = range(n - n_judged) if labelled is None else labelled
    # Outputs without a cluster are their own, not those of that number in the other array.
    first = [(clusters is not None, c) for c in _listed(of_judged)]
    second = [(labelled is not None, c) if labelled is not None else (None, c)
              for c in _listed(of_labelled)]  # fmt: skip
    group = codes([*first, *second], n, "clusters")
    sums = np.bincount(group, weights=influence)
    independent = float(np.sum(influence**2))
    if sums.size < 2 or not independent:
        return 1.0
    return float(np.sum(sums**2)) * sums.size / (sums.size - 1) / independent


def _listed(labels: Labels | range) -> list[object]:
    return labels.tolist() if isinstance(labels, np.ndarray) else list(labels)


def prediction_powered_mean(
    labelled: npt.ArrayLike,
    labels: npt.ArrayLike,
    unlabelled: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate the mean label of outputs that a judge scored, of which some have a label.

    Angelopoulos, Duchi & Zrnic 2023, "PPI++: efficient prediction-powered inference",
    arXiv:2311.01453, equation (5): mean(labels) + w (mean(unlabelled) - mean(labelled)), with the
    weight w that makes the variance least, brought into [0, 1]. The labelled outputs must be a
    random part of all. The judge may be wrong in any way: a bad one only makes the interval wide.

    The bounds are Wilson's at an effective number of outputs, with Student's t. Before the variance
    is taken, half an output that the judge wrongly accepts and half of one that it wrongly rejects
    are added: a judge without an error on a few labelled outputs may have some on others.

    None for fewer than ten labels.

    Args:
        labelled: The judge's scores of the outputs with a label, in [0, 1], shape ``(n_labels,)``.
        labels: The labels, in [0, 1], same shape.
        unlabelled: The judge's scores of the others, shape ``(n_unlabelled,)``.
        level: Nominal coverage.

    Raises:
        ValueError: on other values, or arrays of different lengths.
    """
    said = in_unit_interval(vector(labelled, "labelled"), "labelled")
    true = in_unit_interval(vector(labels, "labels"), "labels")
    rest = in_unit_interval(vector(unlabelled, "unlabelled"), "unlabelled")
    same_length(said, true, "labelled and labels")
    m, others = true.size, rest.size
    if m < _FEWEST:
        return None
    weight = _weight(said, true, rest)
    value = float(true.mean() + (weight * (rest.mean() - said.mean()) if others else 0.0))
    left = true - weight * said
    # What is left of an output that is wrongly accepted, and of one that is wrongly rejected.
    variance = variance_with_halves(left, (-weight, 1.0)) / m
    if others:
        variance += weight**2 * variance_with_halves(rest, (0.0, 1.0)) / others
    centre = (_unit(value) * m + 1) / (m + 2)
    size = centre * (1 - centre) / variance
    interval = score_bounds(_unit(value), size, t_critical(level, m - 1), level)
    return Estimate(_unit(value), interval, variance**0.5, m + others, "prediction-powered")


def variance_with_halves(values: FloatArray, added: tuple[float, float]) -> float:
    """Return the variance of values with half of two others added."""
    counts = np.append(np.ones(values.size), (_PART, _PART))
    together = np.append(values, added)
    deviations = together - np.average(together, weights=counts)
    return float(np.sum(counts * deviations**2) / (counts.sum() - 1))


def _weight(said: FloatArray, true: FloatArray, rest: FloatArray) -> float:
    """Return the weight of the judge's scores, in [0, 1]; PPI++, their proposition 2."""
    everything = np.append(said, rest)
    spread = float(everything.var(ddof=1))
    if not rest.size or not spread:
        return 0.0
    together = float(np.cov(said, true)[0, 1])
    return min(1.0, max(0.0, together / spread / (1 + said.size / rest.size)))


def _unit(value: float) -> float:
    return float(min(1.0, max(0.0, value)))


def difference_of_groups(
    values: npt.ArrayLike,
    in_group: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate the mean of the values in a group less that of the others.

    The variance is of the values' influence on the difference, summed by cluster (Liang & Zeger
    1986), with Student's t at one degree of freedom less than there are clusters. None if one of
    the two groups has fewer than two values, or there are fewer than three clusters.

    Args:
        values: In any unit, shape ``(n,)``.
        in_group: 0 or 1, same shape.
        clusters: One label per value; None if each is its own.
        level: Nominal coverage.

    Raises:
        ValueError: for arrays of different lengths.
    """
    x, group = vector(values, "values"), mask(in_group, "in_group")
    same_length(x, group.astype(np.float64), "values and in_group")
    inside, outside = x[group], x[~group]
    if min(inside.size, outside.size) < 2:
        return None
    value = float(inside.mean() - outside.mean())
    influence = np.where(
        group, (x - inside.mean()) / inside.size, -(x - outside.mean()) / outside.size
    )
    own = range(x.size) if clusters is None else clusters
    sums = np.bincount(codes(own, x.size, "clusters"), weights=influence)
    if sums.size < 3:
        return None
    error = float(np.sqrt(np.sum(sums**2) * sums.size / (sums.size - 1)))
    half = t_critical(level, sums.size - 1) * error
    interval = Interval(value - half, value + half, level) if error else None
    return Estimate(value, interval, error, x.size, "influence of clusters")
