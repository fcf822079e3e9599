"""Cells compared on the items they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import (
    in_unit_interval,
    is_binary,
    matrix,
    same_length,
    vector,
)
from ember_bench.stats.bootstrap import enough_to_rank
from ember_bench.stats.clusters import cluster_mean
from ember_bench.stats.intervals import Interval, all_equal, normal_critical, standard_error
from ember_bench.stats.permutation import mcnemar_exact, sign_flip_test
from ember_bench.stats.shrinkage import shrunken_means

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, Labels


@dataclass(frozen=True, slots=True)
class Aligned:
    """The values of several cells on the items that all of them have."""

    ids: tuple[Hashable, ...]
    """In the first cell's order."""
    values: FloatArray
    """Shape ``(n_items, n_cells)``."""
    dropped: tuple[int, ...]
    """For each cell, how many of its items another cell lacks."""


def align(*cells: tuple[Sequence[Hashable], npt.ArrayLike]) -> Aligned:
    """Keep the items that all cells have; each cell is a pair of ids and values.

    Raises:
        ValueError: no cells, ids and values of different length, or an id twice in a cell
            (average its epochs first, see :func:`item_means`).
    """
    if not cells:
        raise ValueError("there are no cells to align")
    tables = [_table(number, ids, values) for number, (ids, values) in enumerate(cells)]
    shared = tuple(name for name in tables[0] if all(name in table for table in tables))
    rows = [[table[name] for table in tables] for name in shared]
    return Aligned(
        ids=shared,
        values=np.array(rows, dtype=np.float64).reshape(len(shared), len(tables)),
        dropped=tuple(len(table) - len(shared) for table in tables),
    )


def _table(number: int, ids: Sequence[Hashable], values: npt.ArrayLike) -> dict[Hashable, float]:
    x = vector(values, f"values of cell {number}")
    if len(ids) != x.size:
        raise ValueError(f"cell {number} has {len(ids)} ids for {x.size} values")
    table = dict(zip(ids, x.tolist(), strict=True))
    if len(table) != len(ids):
        twice = next(name for i, name in enumerate(ids) if name in ids[:i])
        raise ValueError(f"cell {number} has item {twice!r} twice: average its epochs first")
    return table


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much better cell a is than cell b on the same items."""

    difference: float
    """Mean score of a less mean score of b."""
    interval: Interval | None
    standard_error: float | None
    p_value: float
    """Two-sided, of no difference."""
    test: str
    """``"mcnemar"`` or ``"sign-flip"``."""
    n: int
    wins: int
    """Items on which a scores more than b."""
    losses: int
    """Items on which b scores more than a."""

    @property
    def points(self) -> float:
        """Return the difference in percentage points."""
        return 100 * self.difference

    @property
    def items(self) -> float:
        """Return the difference in items: how many more of the n items a gets right."""
        return self.difference * self.n

    @property
    def ties(self) -> int:
        """Return the number of items on which both score the same."""
        return self.n - self.wins - self.losses


def paired_difference(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
    n_draws: int = 10_000,
    seed: int = 0,
) -> PairedDifference | None:
    """Compare the scores of two cells on the same items; None without items.

    The p-value is the exact McNemar test's where both cells score 0 or 1 and there are no
    clusters, else the sign-flip test's.

    The interval is Bonett & Price's (2012, "Adjusted Wald confidence interval for a difference
    of binomial proportions based on paired data"): two items are added, one won and one lost,
    before the normal interval is taken. Computed exactly for 2 % to 50 % of items that differ, at
    n = 20, 50 and 200, it covers at least 94.5 %. Student's interval of the differences does not
    where few items differ, because of samples in which none or only one does. Where scores have
    partial credit the two added differences are as large as the largest that was seen, or 1.

    With clusters the mean and error are cluster-robust (:func:`cluster_mean`), the two items
    added as clusters of their own. If no item differs, each cluster counts as one item.

    Args:
        a: scores in [0, 1], shape ``(n_items,)``, one per item (average epochs first).
        b: scores of the same items in the same order.
        clusters: one label per item.
        level: nominal coverage.
        n_draws: of the sign-flip test where it is not exact.
        seed: of its random number generator.

    Raises:
        ValueError: scores outside [0, 1], or arrays of different length.
    """
    first = in_unit_interval(vector(a, "a"), "a")
    second = in_unit_interval(vector(b, "b"), "b")
    same_length(first, second, "a and b")
    if first.size == 0:
        return None
    d = first - second
    robust = None if clusters is None else cluster_mean(d, clusters, level=level)
    if clusters is None and is_binary(first) and is_binary(second):
        test, p_value = "mcnemar", mcnemar_exact(first, second).p_value
    else:
        flips = sign_flip_test(d, clusters=clusters, n_draws=n_draws, seed=seed)
        test, p_value = "sign-flip", flips.p_value
    return PairedDifference(
        difference=float(d.mean()),
        interval=difference_interval(d, clusters, level),
        standard_error=standard_error(d) if robust is None else robust.standard_error,
        p_value=p_value,
        test=test,
        n=d.size,
        wins=int(np.count_nonzero(d > 0)),
        losses=int(np.count_nonzero(d < 0)),
    )


def difference_interval(d: FloatArray, clusters: Labels | None, level: float) -> Interval | None:
    """Return the interval of :func:`paired_difference`; ``d`` has shape ``(n_items,)``."""
    largest = float(np.abs(d).max()) or 1.0
    added = np.append(d, [largest, -largest])
    if clusters is not None and not all_equal(d):
        return _clipped(_with_two_clusters(added, clusters, level), level)
    n = d.size
    if clusters is not None:
        n = len(set(clusters))
        added = np.append(np.full(n, d[0]), [largest, -largest])
    mean, half = added.mean(), normal_critical(level) * added.std() / np.sqrt(n + 2)
    return _clipped(Interval(float(mean - half), float(mean + half), level), level)


def _with_two_clusters(added: FloatArray, clusters: Labels, level: float) -> Interval | None:
    if len(set(clusters)) < 2:
        return None
    labels = [*((0, label) for label in clusters), (1, "won"), (1, "lost")]
    robust = cluster_mean(added, labels, level=level)
    return None if robust is None else robust.interval


def _clipped(interval: Interval | None, level: float) -> Interval | None:
    if interval is None:
        return None
    return Interval(max(-1.0, interval.low), min(1.0, interval.high), level)


def best_probabilities(
    values: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    n_draws: int = 10_000,
    seed: int = 0,
) -> FloatArray | None:
    """Return each cell's probability of having the highest mean, shape ``(n_cells,)``.

    Of draws of their true means (:func:`shrunken_means`), from the same items, so that what cells
    share cancels. Cells that tie for the highest mean share it. The probabilities sum to 1. None
    for fewer than 5 items, or clusters (:func:`enough_to_rank`).

    Args:
        values: shape ``(n_items, n_cells)``, higher is better (negate costs).
        clusters: one label per item; whole clusters are resampled.
        n_draws: of the means.
        seed: of the random number generator.
    """
    x = matrix(values, "values")
    if not enough_to_rank(x.shape[0], clusters):
        return None
    if x.shape[1] == 0:
        return np.empty(0)
    (means,) = shrunken_means(x, clusters=clusters, n_draws=n_draws, seed=seed)
    best = means.max(axis=1, keepdims=True)
    # Sums of the same scores in another order differ in their last bits.
    first = means >= best - 1e-12 * np.maximum(1.0, np.abs(best))
    shared: FloatArray = np.mean(first / first.sum(axis=1, keepdims=True), axis=0)
    return shared
