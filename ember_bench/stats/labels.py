"""Metrics of labels over a set of items: macro F1, balanced accuracy, two correlations.

Unlike accuracy they are no means over items. Their intervals are by the delta method: each item has
an influence on the metric, and the spread of influences gives its variance, of clusters as well.
Half an item that is right and half of one that is wrong are added to each label before that:
otherwise labels without a mistake have no spread. Bounds are Wilson's at the effective number of
items, as those of mean scores are (`scores`), with the degrees of freedom that rare labels leave.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import codes
from ember_bench.stats.bootstrap import cluster_sums
from ember_bench.stats.clusters import robust_error
from ember_bench.stats.intervals import Estimate, Interval, score_bounds, t_critical

if TYPE_CHECKING:
    from ember_bench.stats._arrays import FloatArray, IntArray, Labels

_ADDED: Final = 0.5
"""Of an item of each label that is right, and of one that is wrong."""

_NO_ERROR: Final = 1e-9

Metric = Callable[["FloatArray"], "tuple[float, FloatArray]"]
"""(shares of targets and answers, shape (n_labels, n_labels + 1)) -> the metric, and its
derivative by each share. The last column has the answers that are no label."""


def macro_f1(
    targets: Sequence[Hashable],
    answers: Sequence[Hashable],
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate the mean of the labels' F1; None without items.

    The labels are those of the targets. Any other answer, such as None for one that could not be
    read, is wrong for the label of its target and counts as no label. Takahashi et al. 2022,
    "Confidence interval for micro-averaged F1 and macro-averaged F1 scores", has the variance.

    Args:
        targets: The right label of each item.
        answers: The label that was given.
        clusters: One label per item.
        level: Nominal coverage.

    Raises:
        ValueError: if there are not as many answers, or clusters, as targets.
    """
    return _estimate(_macro_f1, targets, answers, clusters, level, signed=False)


def balanced_accuracy(
    targets: Sequence[Hashable],
    answers: Sequence[Hashable],
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate the mean of the labels' recalls: the accuracy if all labels were equally frequent.

    Arguments, labels and errors as of :func:`macro_f1`.
    """
    return _estimate(_balanced_accuracy, targets, answers, clusters, level, signed=False)


def matthews_correlation(
    targets: Sequence[Hashable],
    answers: Sequence[Hashable],
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate Matthews' correlation of labels, in [-1, 1]; 0 is chance, also for rare labels.

    Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient",
    equation (8), of any number of labels. None without items, and where all targets or all answers
    have one label: a correlation is then not defined. Arguments and errors as of :func:`macro_f1`.
    """
    return _estimate(_matthews, targets, answers, clusters, level, signed=True)


def cohens_kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate Cohen's kappa of two raters, in [-1, 1]; 0 is agreement by chance.

    Cohen 1960, "A coefficient of agreement for nominal scales"; the variance is that of Fleiss,
    Cohen & Everitt 1969, "Large sample standard errors of kappa and weighted kappa". None without
    items, and where both raters give one and the same label to all: kappa is then not defined. If
    only one of them does, it is 0, without an interval.

    Args:
        first: The label that one rater gave to each item; None for no label is a label, too.
        second: The label that the other one gave.
        clusters: One label per item.
        level: Nominal coverage.

    Raises:
        ValueError: as for :func:`macro_f1`.
    """
    return _estimate(_kappa, first, second, clusters, level, signed=True)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Items by target and answer.

    Attributes:
        table: Counts, shape (n_labels, n_labels + 1).
        cells: The cell of each item in the flattened table, shape (n_items,).
    """

    table: FloatArray
    cells: IntArray


def _counted(targets: Sequence[Hashable], answers: Sequence[Hashable]) -> _Counted:
    if len(targets) != len(answers):
        raise ValueError(f"{len(targets)} targets and {len(answers)} answers are not of one set")
    numbers: dict[Hashable, int] = {}
    rows = [numbers.setdefault(target, len(numbers)) for target in targets]
    n_labels = len(numbers)
    columns = [numbers.get(answer, n_labels) for answer in answers]
    cells = np.array(rows, dtype=np.int64) * (n_labels + 1) + np.array(columns, dtype=np.int64)
    size = n_labels * (n_labels + 1)
    table = np.bincount(cells, minlength=size).astype(np.float64)
    return _Counted(table.reshape(n_labels, n_labels + 1), cells)


def _estimate(
    metric: Metric,
    targets: Sequence[Hashable],
    answers: Sequence[Hashable],
    clusters: Labels | None,
    level: float,
    *,
    signed: bool,
) -> Estimate | None:
    n = len(targets)
    counted = _counted(targets, answers)
    if n == 0:
        return None
    value, _ = metric(counted.table / n)
    if np.isnan(value):
        return None
    smooth = _smoothed(counted.table)
    shares = smooth / smooth.sum()
    centre, slope = metric(shares)
    influence = slope - np.sum(slope * shares)
    if clusters is None:
        error, dof = _independent_error(influence, smooth, n)
    elif (robust := _robust_error(influence, counted, smooth, clusters)) is not None:
        error, dof = robust
    else:
        error, dof = 0.0, 1.0
    if error < _NO_ERROR:
        return Estimate(value, None, None, n, "delta method")
    low, high = (-1.0, 1.0) if signed else (0.0, 1.0)
    width = high - low
    size = (centre - low) * (high - centre) / error**2
    bounds = score_bounds((value - low) / width, size, t_critical(level, dof), level)
    interval = Interval(low + width * bounds.low, low + width * bounds.high, level)
    return Estimate(value, interval, error, n, "delta method")


def _smoothed(table: FloatArray) -> FloatArray:
    """Add half a right item and half a wrong one to each label, wrong by any other answer."""
    n_labels = len(table)
    wrong = np.ones_like(table)
    wrong[:, n_labels] = table[:, n_labels].any()
    np.fill_diagonal(wrong, 0)
    spread = wrong.sum(axis=1, keepdims=True)
    wrong[:, n_labels][spread[:, 0] == 0] = 1
    wrong /= wrong.sum(axis=1, keepdims=True)
    return table + _ADDED * (wrong + np.eye(n_labels, n_labels + 1))


def _independent_error(influence: FloatArray, smooth: FloatArray, n: int) -> tuple[float, float]:
    """Return the standard error of independent items and its degrees of freedom.

    Satterthwaite's, of a sum of the labels' variances, each estimated on its own items.
    """
    sizes = smooth.sum(axis=1)
    parts = np.sum(smooth / smooth.sum() * influence**2, axis=1) / n
    if parts.sum() < _NO_ERROR**2:  # kappa, where one rater gives one label to all
        return 0.0, 1.0
    dof = parts.sum() ** 2 / np.sum(parts**2 / sizes)
    return float(np.sqrt(parts.sum())), float(dof)


def _robust_error(
    influence: FloatArray, counted: _Counted, smooth: FloatArray, clusters: Labels
) -> tuple[float, float] | None:
    """Return the cluster-robust standard error and its degrees of freedom; None for one cluster."""
    of_items = influence.reshape(-1)[counted.cells]
    codes(clusters, of_items.size, "clusters")
    sums, sizes = cluster_sums(of_items[:, np.newaxis], clusters)
    if sizes.size < 2:
        return None
    error, dof = robust_error(sums[:, 0] - of_items.mean() * sizes, sizes)
    # As of independent items at the least: a few clusters without a mistake have no spread.
    independent, dof_of_items = _independent_error(influence, smooth, of_items.size)
    return max(error, independent), min(dof, dof_of_items)


def _margins(shares: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the shares of right answers, of targets, and of answers, by label."""
    return np.diagonal(shares).copy(), shares.sum(axis=1), shares.sum(axis=0)[:-1]


def _macro_f1(shares: FloatArray) -> tuple[float, FloatArray]:
    right, target, answer = _margins(shares)
    both = target + answer
    f1 = 2 * right / both
    n = len(f1)
    slope = np.zeros_like(shares)
    slope -= (f1 / both)[:, np.newaxis]
    slope[:, :n] -= (f1 / both)[np.newaxis, :]
    slope[range(n), range(n)] += 2 / both
    return float(f1.mean()), slope / n


def _balanced_accuracy(shares: FloatArray) -> tuple[float, FloatArray]:
    right, target, _ = _margins(shares)
    recall = right / target
    n = len(recall)
    slope = np.repeat((-recall / target)[:, np.newaxis], n + 1, axis=1)
    slope[range(n), range(n)] += 1 / target
    return float(recall.mean()), slope / n


def _matthews(shares: FloatArray) -> tuple[float, FloatArray]:
    right, target, _ = _margins(shares)
    # Answers that are no label are a category of their own, which no target has.
    answer = shares.sum(axis=0)
    above = right.sum() - np.sum(target * answer[:-1])
    spread_target, spread_answer = 1 - np.sum(target**2), 1 - np.sum(answer**2)
    if min(spread_target, spread_answer) <= 0:
        return float("nan"), np.zeros_like(shares)
    below = np.sqrt(spread_target * spread_answer)
    n = len(target)
    padded = np.append(target, 0.0)
    slope_above = -answer[:n, np.newaxis] - padded[np.newaxis, :]
    slope_above[range(n), range(n)] += 1
    share = target[:, np.newaxis] / spread_target + answer[np.newaxis, :] / spread_answer
    value = float(above / below)
    return value, slope_above / below + value * share


def _kappa(shares: FloatArray) -> tuple[float, FloatArray]:
    right, target, _ = _margins(shares)
    # Labels of the second rater that the first one never gives agree with none, as one label does.
    answer, padded = shares.sum(axis=0), np.append(target, 0.0)
    disagreement = 1 - right.sum()
    by_chance = 1 - float(np.sum(padded * answer))
    if by_chance <= 0:
        return float("nan"), np.zeros_like(shares)
    n = len(target)
    slope = -disagreement / by_chance**2 * (answer[:n, np.newaxis] + padded[np.newaxis, :])
    slope[range(n), range(n)] += 1 / by_chance
    return float(1 - disagreement / by_chance), slope
