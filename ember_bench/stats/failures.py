"""What failed trials could have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import codes, in_unit_interval, mask, vector
from ember_bench.stats.clusters import item_means
from ember_bench.stats.intervals import Estimate, Interval
from ember_bench.stats.paired import PairedDifference, paired_difference
from ember_bench.stats.scores import mean_score

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy.typing as npt

    from ember_bench.stats._arrays import BoolArray, FloatArray, IntArray, Labels


@dataclass(frozen=True, slots=True)
class FailureBounds:
    """The mean score when some trials failed and have no score."""

    worst: Estimate
    """Every failed trial scored 0: over all scheduled items."""
    best: Estimate
    """Every failed trial scored 1."""
    finished: Estimate | None
    """Over finished trials only; biased if what fails is harder or easier. None if all failed."""
    n_trials: int
    n_failed: int

    @property
    def interval(self) -> Interval | None:
        """Return the span from the worst case's lower to the best case's upper bound.

        It covers the mean score at the level of both, whatever the failed trials would have
        scored (Horowitz & Manski 2000, "Nonparametric analysis of randomized experiments with
        missing covariate and outcome data").
        """
        low, high = self.worst.interval, self.best.interval
        if low is None or high is None:
            return None
        return Interval(low.low, high.high, low.level)


def failure_bounds(
    scores: npt.ArrayLike,
    failed: npt.ArrayLike,
    *,
    items: Labels | None = None,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> FailureBounds | None:
    """Bound the mean score from below and above; None without trials.

    Args:
        scores: in [0, 1], shape ``(n_trials,)``; ignored, and free to be NaN, where failed.
        failed: whether each trial failed, shape ``(n_trials,)``.
        items: the item of each trial, where items have epochs; they are averaged first.
        clusters: one label per trial, the same for all trials of an item.
        level: nominal coverage of the intervals.

    Raises:
        ValueError: a finished trial without a score in [0, 1], arrays of different length, or an
            item in two clusters.
    """
    x, broken, units = _trials(scores, failed, items)
    done = np.flatnonzero(~broken)
    labels = None if clusters is None else codes(clusters, x.size, "clusters")
    worst = _mean(x, units, labels, level)
    best = _mean(np.where(broken, 1.0, x), units, labels, level)
    if worst is None or best is None:
        return None
    kept = None if labels is None else labels[done]
    return FailureBounds(
        worst=worst,
        best=best,
        finished=_mean(x[done], units[done], kept, level),
        n_trials=x.size,
        n_failed=x.size - done.size,
    )


def _trials(
    scores: npt.ArrayLike, failed: npt.ArrayLike, items: Labels | None
) -> tuple[FloatArray, BoolArray, IntArray]:
    """Return scores, 0 where failed, what failed, and the number of each trial's item."""
    broken = mask(failed, "failed")
    raw = np.asarray(scores, dtype=np.float64)
    if raw.shape != broken.shape:
        raise ValueError(f"scores have shape {raw.shape}, failed has shape {broken.shape}")
    x = in_unit_interval(vector(np.where(broken, 0.0, raw), "scores"), "scores")
    if items is None:
        return x, broken, np.arange(x.size)
    if len(items) != x.size:
        raise ValueError(f"items has {len(items)} entries for {x.size} trials")
    return x, broken, codes(items, x.size, "items")


def _mean(x: FloatArray, units: IntArray, labels: IntArray | None, level: float) -> Estimate | None:
    return mean_score(
        item_means(x, units).means,
        clusters=None if labels is None else _cluster_of_items(units, labels),
        level=level,
    )


def _cluster_of_items(units: IntArray, labels: IntArray) -> IntArray:
    """Return the cluster of each item, in order of first appearance."""
    _, first, numbers = np.unique(units, return_index=True, return_inverse=True)
    if np.any(labels != labels[first][numbers]):
        raise ValueError("an item is in two clusters")
    return labels[np.sort(first)]


@dataclass(frozen=True, slots=True)
class ScoreRanges:
    """Between which values each item's score lies, some of its trials having failed."""

    items: tuple[Hashable, ...]
    low: FloatArray
    """Mean over epochs, failed ones scored 0, shape ``(n_items,)``."""
    high: FloatArray
    """The same, failed ones scored 1."""


def score_ranges(
    scores: npt.ArrayLike, failed: npt.ArrayLike, *, items: Labels | None = None
) -> ScoreRanges:
    """Return the range of each item's score; items in order of first appearance.

    Args:
        scores: in [0, 1], shape ``(n_trials,)``; ignored, and free to be NaN, where failed.
        failed: whether each trial failed, shape ``(n_trials,)``.
        items: the item of each trial; numbers from 0 unless given.

    Raises:
        ValueError: a finished trial without a score in [0, 1], or arrays of different length.
    """
    x, broken, units = _trials(scores, failed, items)
    names: Labels = units if items is None else items
    low = item_means(x, names)
    return ScoreRanges(low.items, low.means, item_means(np.where(broken, 1.0, x), names).means)


@dataclass(frozen=True, slots=True)
class DifferenceBounds:
    """The difference between two cells when trials of either failed and have no score."""

    worst: PairedDifference
    """Every failed trial of a scored 0, of b 1."""
    best: PairedDifference
    """Every failed trial of a scored 1, of b 0."""

    @property
    def interval(self) -> Interval | None:
        """Return the span from the worst case's lower to the best case's upper bound.

        It covers the difference at the level of both, whatever the failed trials would have
        scored (Horowitz & Manski 2000).
        """
        low, high = self.worst.interval, self.best.interval
        if low is None or high is None:
            return None
        return Interval(low.low, high.high, low.level)

    @property
    def sign(self) -> int:
        """Return 1 if the interval lies above 0, -1 if below, else 0: nothing is shown."""
        if self.interval is None:
            return 0
        return int(self.interval.low > 0) - int(self.interval.high < 0)

    @property
    def p_value(self) -> float:
        """Return the larger p-value of both cases, and 1 where they differ in sign.

        For :func:`holm`: what is rejected by it is rejected in either case, and with one sign.
        """
        if self.worst.difference * self.best.difference <= 0:
            return 1.0
        return max(self.worst.p_value, self.best.p_value)


def difference_bounds(
    a: ScoreRanges,
    b: ScoreRanges,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
    n_draws: int = 10_000,
    seed: int = 0,
) -> DifferenceBounds | None:
    """Bound the paired difference of two cells from below and above; None without items.

    Both cases are :func:`paired_difference`'s. Without failed trials they are equal.

    Args:
        a: of one cell, see :func:`score_ranges`.
        b: of the other cell, the same items in the same order.
        clusters: one label per item.
        level: nominal coverage of the intervals.
        n_draws: of the sign-flip test where it is not exact.
        seed: of its random number generator.

    Raises:
        ValueError: items that differ, or labels of another length.
    """
    if a.items != b.items:
        raise ValueError("a and b must be of the same items in the same order")
    worst, best = (
        paired_difference(first, second, clusters=clusters, level=level, n_draws=n_draws, seed=seed)
        for first, second in ((a.low, b.high), (a.high, b.low))
    )
    return None if worst is None or best is None else DifferenceBounds(worst, best)
