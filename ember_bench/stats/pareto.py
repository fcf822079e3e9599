"""The front of accuracy against cost, or against latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import BoolArray, matrix, same_length, vector
from ember_bench.stats.bootstrap import enough_to_rank
from ember_bench.stats.shrinkage import shrunken_means

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, IntArray, Labels

# Sums of the same numbers in another order differ by less, relative to their size.
_ROUNDING = 1e-12
_CHUNK_VALUES = 1 << 17


@dataclass(frozen=True, slots=True)
class ParetoFront:
    """Which cells no other cell beats on one axis without losing on the other."""

    on_front: BoolArray
    """Shape ``(n_cells,)``."""
    dominated_by: tuple[tuple[int, ...], ...]
    """For each cell, the cells that dominate it; those on the front first."""


def pareto_front(accuracy: npt.ArrayLike, cost: npt.ArrayLike) -> ParetoFront:
    """Find the cells on the front of higher accuracy and lower cost.

    A cell dominates another if it is at least as accurate and at most as costly, and better in
    one of the two. Cells that are equal in both do not dominate each other.

    Args:
        accuracy: shape ``(n_cells,)``, higher is better.
        cost: shape ``(n_cells,)``, lower is better: usd, or seconds of latency.
    """
    a, c = vector(accuracy, "accuracy"), vector(cost, "cost")
    same_length(a, c, "accuracy and cost")
    beats = _dominates(a[np.newaxis], c[np.newaxis])[0]
    on_front: BoolArray = ~beats.any(axis=0)
    dominated_by = []
    for cell in range(a.size):
        by = np.flatnonzero(beats[:, cell])
        ordered = sorted(by.tolist(), key=lambda other: (not on_front[other], c[other], other))
        dominated_by.append(tuple(ordered))
    return ParetoFront(on_front, tuple(dominated_by))


def order_by_layers(accuracy: FloatArray, cost: FloatArray) -> IntArray:
    """Return cells in an order: those that none dominates first, then the next such layer.

    Within a layer the most accurate is first, and then always the one farthest from those before
    (Schmucker et al. 2021, "Multi-objective asynchronous successive halving").
    """
    points = np.column_stack([accuracy, -np.log(np.maximum(cost, 1e-12))])
    points = (points - points.min(axis=0)) / np.maximum(np.ptp(points, axis=0), 1e-12)
    left, found = np.arange(len(points)), list[int]()
    while left.size:
        front = left[pareto_front(accuracy[left], cost[left]).on_front]
        left = np.setdiff1d(left, front)
        place = int(front[np.argmax(accuracy[front])])
        apart = np.full(front.size, np.inf)
        for _ in range(front.size):
            found.append(place)
            apart = np.minimum(apart, np.abs(points[front] - points[place]).sum(axis=1))
            apart[front == place] = -1.0
            place = int(front[np.argmax(apart)])
    return np.asarray(found, dtype=np.int64)


def front_probabilities(
    accuracy: npt.ArrayLike,
    cost: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    n_draws: int = 10_000,
    seed: int = 0,
) -> FloatArray | None:
    """Return the probability of each cell to be on the front, shape ``(n_cells,)``.

    Of draws of the true accuracies and of resampled costs (:func:`shrunken_means`): every draw
    is of the same items in all cells, so what cells share cancels. None for fewer than 5 items, or
    clusters (:func:`enough_to_rank`).

    Args:
        accuracy: score of each item in each cell, shape ``(n_items, n_cells)``.
        cost: cost of each item in each cell, same shape.
        clusters: one label per item; whole clusters are resampled.
        n_draws: of the means.
        seed: of the random number generator.

    Raises:
        ValueError: shapes that differ, or values that are not finite.
    """
    a, c = matrix(accuracy, "accuracy"), matrix(cost, "cost")
    if a.shape != c.shape:
        raise ValueError(f"accuracy has shape {a.shape} and cost {c.shape}")
    if not enough_to_rank(a.shape[0], clusters):
        return None
    return front_shares(*shrunken_means(a, c, clusters=clusters, n_draws=n_draws, seed=seed))


def front_shares(accuracy: npt.ArrayLike, cost: npt.ArrayLike) -> FloatArray:
    """Return in which share of several draws each cell is on the front, shape ``(n_cells,)``.

    What :func:`front_probabilities` returns, of draws that serve several axes.

    Args:
        accuracy: of each cell in each draw, shape ``(n_draws, n_cells)``.
        cost: same shape.

    Raises:
        ValueError: shapes that differ, or values that are not finite.
    """
    a, c = matrix(accuracy, "accuracy"), matrix(cost, "cost")
    if a.shape != c.shape:
        raise ValueError(f"accuracy has shape {a.shape} and cost {c.shape}")
    dominated = np.zeros(a.shape[1])
    rows = max(1, _CHUNK_VALUES // max(1, a.shape[1]))
    for start in range(0, len(a), rows):
        dominated += _dominated(a[start : start + rows], c[start : start + rows]).sum(axis=0)
    shares: FloatArray = 1 - dominated / len(a)
    return shares


def _dominated(accuracy: FloatArray, cost: FloatArray) -> BoolArray:
    """Say for each row which cells are dominated; costs that only rounding parts are equal.

    In order of cost a cell needs to be held against two others: the best of those that cost less,
    and the best of those that cost no more.
    """
    order = np.argsort(cost, axis=1)
    a, c = (np.take_along_axis(values, order, axis=1) for values in (accuracy, cost))
    best = np.maximum.accumulate(a, axis=1)
    place = np.arange(a.shape[1])
    dearer = np.ones(a.shape, dtype=np.bool_)
    dearer[:, 1:] = np.diff(c, axis=1) > _margins(cost)
    first = np.maximum.accumulate(np.where(dearer, place, 0), axis=1)
    ends = np.roll(dearer, -1, axis=1)  # the first is dearer than none, so the last one ends
    last = np.minimum.accumulate(np.where(ends, place, a.shape[1])[:, ::-1], axis=1)[:, ::-1]
    cheaper = np.where(first > 0, np.take_along_axis(best, np.maximum(first - 1, 0), axis=1), 0.0)
    no_dearer = np.take_along_axis(best, last, axis=1)
    margin = _margins(accuracy)
    found = ((first > 0) & (cheaper >= a - margin)) | (no_dearer > a + margin)
    dominated = np.empty_like(found)
    np.put_along_axis(dominated, order, found, axis=1)
    return dominated


def _margins(values: FloatArray) -> FloatArray:
    """Return for each row by how much its values may differ through rounding; ``(n_rows, 1)``."""
    margins: FloatArray = _ROUNDING * np.abs(values).max(axis=1, initial=0.0, keepdims=True)
    return margins


def _dominates(accuracy: FloatArray, cost: FloatArray) -> BoolArray:
    """Say for each row which cell (axis 1) dominates which (axis 2)."""
    more = _differences(accuracy)
    less = -_differences(cost)
    return (more >= 0) & (less >= 0) & ((more > 0) | (less > 0))


def _differences(values: FloatArray) -> npt.NDArray[np.int8]:
    """Return the signs of ``values[:, i] - values[:, j]``, 0 where only rounding differs."""
    margin = _margins(values)[:, np.newaxis]
    gaps = values[:, :, np.newaxis] - values[:, np.newaxis, :]
    signs: npt.NDArray[np.int8] = np.subtract(gaps > margin, gaps < -margin, dtype=np.int8)
    return signs
