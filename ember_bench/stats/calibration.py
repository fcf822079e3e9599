"""Stated confidences: whether they are true, and whether they tell right from wrong answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import (
    check_count,
    check_probability,
    codes,
    in_unit_interval,
    mask,
    same_length,
    vector,
)
from ember_bench.stats.intervals import (
    Estimate,
    Interval,
    score_bounds,
    t_critical,
    wilson_interval,
)
from ember_bench.stats.scores import mean_score

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import BoolArray, FloatArray, IntArray, Labels

_DRAWS: Final = 4_000
_ADDED: Final = (0.0, 1.0)
"""Added to placements before their variance is taken, as `scores.mean_score` does to scores."""


def brier_score(
    confidences: npt.ArrayLike,
    correct: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate the mean of (confidence - correct)^2, Brier 1950; 0 is best. None without items.

    Args:
        confidences: That the answer is right, in [0, 1], shape ``(n_items,)``.
        correct: Whether it is, 0 or 1, same shape.
        clusters: One label per item.
        level: Nominal coverage, of :func:`mean_score`'s interval.

    Raises:
        ValueError: on a confidence outside [0, 1], or arrays of different lengths.
    """
    stated, right = _pairs(confidences, correct)
    return mean_score((stated - right) ** 2, clusters=clusters, level=level)


def expected_calibration_error(
    confidences: npt.ArrayLike,
    correct: npt.ArrayLike,
    *,
    bins: int = 10,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate | None:
    """Estimate the calibration error in bins of equal width; None without items.

    The mean over items of |accuracy - mean confidence| of the item's bin, Naeini et al. 2015,
    "Obtaining well calibrated probabilities using Bayesian binning". It is never 0 by chance: with
    few items a calibrated model has a high one. The interval therefore goes down to where the noise
    of the bins, drawn from normal distributions, would have made all of it: it covers at least
    ``level``, by the triangle inequality, and it holds 0 for a calibrated model. It is of the error
    with these bins.

    Args:
        confidences: In [0, 1], shape ``(n_items,)``.
        correct: 0 or 1, same shape.
        bins: How many there are.
        level: Nominal coverage.
        seed: Of the draws.

    Raises:
        ValueError: as for :func:`brier_score`, or for no bins.
    """
    check_count(bins, "bins")
    check_probability(level, "level")
    stated, right = _pairs(confidences, correct)
    n = stated.size
    if n == 0:
        return None
    number = _bin_of(stated, bins)
    size, wrong_by = (np.bincount(number, weights=w, minlength=bins) for w in (
        np.ones(n), right - stated
    ))  # fmt: skip
    value = float(np.abs(wrong_by).sum() / n)
    used = size > 0
    hits = np.bincount(number, weights=right, minlength=bins)[used]
    # One right and one wrong item more: bins without a mistake have noise as well.
    share = (hits + 1) / (size[used] + 2)
    noise = np.sqrt(size[used] * share * (1 - share))
    draws = np.random.default_rng(seed).standard_normal((_DRAWS, noise.size))
    reach = float(np.quantile(np.abs(draws) @ noise / n, level))
    interval = Interval(max(0.0, value - reach), min(1.0, value + reach), level)
    return Estimate(value, interval, None, n, "noise of the bins")


@dataclass(frozen=True)
class CalibrationBin:
    """Outputs that were given about the same value.

    Attributes:
        low: The lowest value.
        high: The highest.
        stated: Their mean.
        true: The mean of what is true of these outputs, in [0, 1].
    """

    low: float
    high: float
    stated: float
    true: Estimate


def calibration_curve(
    stated: npt.ArrayLike,
    true: npt.ArrayLike,
    *,
    bins: int = 10,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> list[CalibrationBin]:
    """Estimate the mean of what is true by what was stated: a reliability diagram.

    With at most ``bins`` different values each is a bin; otherwise bins have the same width, as for
    :func:`expected_calibration_error`. Empty ones are left out. Intervals are those of
    :func:`mean_score`, each for its bin alone.

    Args:
        stated: Confidences, or scores of a judge, in [0, 1], shape ``(n_outputs,)``.
        true: Whether the answer is right, or the label that people gave, in [0, 1], same shape.
        bins: How many there are at most.
        clusters: One label per output.
        level: Nominal coverage.

    Raises:
        ValueError: on a value outside [0, 1], arrays of different lengths, or no bins.
    """
    check_count(bins, "bins")
    given = in_unit_interval(vector(stated, "stated"), "stated")
    found = in_unit_interval(vector(true, "true"), "true")
    same_length(given, found, "stated and true")
    values, number = np.unique(given, return_inverse=True)
    if values.size > bins:
        number = _bin_of(given, bins)
    owners = None if clusters is None else codes(clusters, given.size, "clusters")
    curve = []
    for one in np.unique(number).tolist():
        inside = number == one
        within = None if owners is None else owners[inside]
        mean = mean_score(found[inside], clusters=within, level=level)
        if mean is not None:
            part = given[inside]
            curve.append(
                CalibrationBin(float(part.min()), float(part.max()), float(part.mean()), mean)
            )
    return curve


def auroc(
    confidences: npt.ArrayLike, correct: npt.ArrayLike, *, level: float = 0.95
) -> Estimate | None:
    """Estimate the probability that a right answer has a higher confidence than a wrong one.

    Ties count half: the area under the ROC curve. .5 is chance. The variance is that of DeLong et
    al. 1988, "Comparing the areas under two or more correlated receiver operating characteristic
    curves", with a placement of 0 and one of 1 added to each group; the bounds are Wilson's at the
    effective number of items. None if there is no right answer, or no wrong one.

    Args:
        confidences: Any numbers, shape ``(n_items,)``.
        correct: 0 or 1, same shape.
        level: Nominal coverage.

    Raises:
        ValueError: for arrays of different lengths.
    """
    stated = vector(confidences, "confidences")
    right = mask(correct, "correct")
    same_length(stated, right.astype(np.float64), "confidences and correct")
    above, below = stated[right], np.sort(stated[~right])
    if not above.size or not below.size:
        return None
    of_right = _placements(above, below)
    of_wrong = 1 - _placements(np.sort(stated[~right]), np.sort(above))
    value = float(of_right.mean())
    parts = np.array([np.append(p, _ADDED).var(ddof=1) / p.size for p in (of_right, of_wrong)])
    sizes = np.array([of_right.size, of_wrong.size])
    variance = float(parts.sum())
    dof = variance**2 / float(np.sum(parts**2 / sizes))
    centre = (value * stated.size + 1) / (stated.size + 2)
    size = centre * (1 - centre) / variance
    interval = score_bounds(value, size, t_critical(level, dof), level)
    return Estimate(value, interval, variance**0.5, stated.size, "DeLong, effective n")


def _bin_of(stated: FloatArray, bins: int) -> IntArray:
    """Return the number of each value's bin, of (0, .1], (.1, .2], ...; 0 is in the first."""
    return np.clip(np.ceil(stated * bins).astype(np.int64) - 1, 0, bins - 1)


def _placements(values: FloatArray, others: FloatArray) -> FloatArray:
    """Return the share of sorted ``others`` below each value, ties counting half."""
    low = np.searchsorted(others, values, side="left")
    high = np.searchsorted(others, values, side="right")
    return np.asarray((low + high) / (2 * others.size), dtype=np.float64)


def accuracy_at_coverage(
    confidences: npt.ArrayLike, correct: npt.ArrayLike, coverage: float, *, level: float = 0.95
) -> Estimate | None:
    """Estimate the accuracy on the most confident share of items, the others being abstained from.

    El-Yaniv & Wiener 2010, "On the foundations of noise-free selective classification". Of items
    with the same confidence at the threshold, each is taken in part. The bounds are Wilson's at an
    effective number of items, since the threshold is estimated too: its variance adds
    (1 - coverage) (accuracy - accuracy at the threshold)^2. None without items.

    Args:
        confidences: Any numbers, shape ``(n_items,)``.
        correct: 0 or 1, same shape.
        coverage: The share of items that are answered, in (0, 1].
        level: Nominal coverage of the interval.

    Raises:
        ValueError: for a coverage outside (0, 1], or arrays of different lengths.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage must lie in (0, 1], not {coverage}")
    stated = vector(confidences, "confidences")
    right = mask(correct, "correct")
    same_length(stated, right.astype(np.float64), "confidences and correct")
    n = stated.size
    if n == 0:
        return None
    taken = _taken(stated, coverage * n)
    covered = float(taken.sum())
    value = min(1.0, float(taken @ right) / covered)
    edge = _accuracy_at_threshold(stated, right, coverage)
    smooth = (value * covered + 1) / (covered + 2)
    spread = smooth * (1 - smooth)
    size = covered * spread / (spread + (1 - coverage) * (value - edge) ** 2)
    error = float(np.sqrt(spread / size))
    interval = wilson_interval(value * size, size, level=level)
    return Estimate(value, interval, error, n, "wilson, effective n")


def _taken(stated: FloatArray, wanted: float) -> FloatArray:
    """Return the part of each item that is taken, of ``wanted`` items in all."""
    _, group, sizes = np.unique(-stated, return_inverse=True, return_counts=True)
    before = np.cumsum(sizes) - sizes
    part = np.clip((wanted - before) / sizes, 0, 1)
    return np.asarray(part[group], dtype=np.float64)


def _accuracy_at_threshold(stated: FloatArray, right: BoolArray, coverage: float) -> float:
    """Return the accuracy of the items around the threshold, as many as the root of all."""
    order = np.argsort(-stated, kind="stable")
    n = stated.size
    reach = int(np.ceil(np.sqrt(n) / 2))
    middle = round(coverage * n)
    near = order[max(0, middle - reach) : min(n, middle + reach)]
    return float(right[near].mean())


def _pairs(confidences: npt.ArrayLike, correct: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    stated = in_unit_interval(vector(confidences, "confidences"), "confidences")
    right = mask(correct, "correct").astype(np.float64)
    same_length(stated, right, "confidences and correct")
    return stated, right
