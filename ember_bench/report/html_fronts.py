"""The probability of each cell to be on the front, on either axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ember_bench import stats
from ember_bench.experiment.results.cells import CellResults, FloatArray, IntArray
from ember_bench.experiment.results.summary import CellSummary, DatasetSummary
from ember_bench.report.html_contents import Contents

Axis = Literal["cost_per_item", "latency_seconds"]
AXES: tuple[Axis, ...] = ("cost_per_item", "latency_seconds")


def front_probabilities(
    contents: Contents, dataset: DatasetSummary
) -> dict[Axis, dict[str, float]]:
    """Return the probability of each system to be on the front, on the common items, by axis.

    Axes of the same systems and items are drawn together: one resample serves both.
    """
    found: dict[Axis, dict[str, float]] = {axis: {} for axis in AXES}
    alike: dict[tuple[tuple[str, ...], bytes], list[Axis]] = {}
    for axis in AXES:
        systems = _systems(contents.of(dataset), axis)
        items = _items(_results(contents, systems), axis)
        if len(systems) > 1 and items.size:
            alike.setdefault((tuple(cell.name for cell in systems), items.tobytes()), []).append(
                axis
            )
    for (names, encoded), axes in alike.items():
        items = np.frombuffer(encoded, dtype=np.int64)
        results = [contents.results[name] for name in names]
        columns = [_values(results, "scores"), *(_values(results, axis) for axis in axes)]
        accuracy, *others = np.split(
            stats.bootstrap_means(
                np.hstack(columns)[items],
                clusters=results[0].items.clusters(items),
                seed=contents.summary.seed,
            ),
            len(columns),
            axis=1,
        )
        for axis, means in zip(axes, others, strict=True):
            shares = stats.front_shares(accuracy, means).tolist()
            found[axis] = dict(zip(names, shares, strict=True))
    return found


def _systems(cells: Sequence[CellSummary], axis: Axis) -> list[CellSummary]:
    return [cell for cell in cells if not cell.oracle and cell.accuracy and getattr(cell, axis)]


def _results(contents: Contents, cells: Sequence[CellSummary]) -> list[CellResults]:
    return [contents.results[cell.name] for cell in cells]


def _items(results: Sequence[CellResults], axis: Axis) -> IntArray:
    """Return the places of the items with all values in all cells."""
    if not results:
        return np.empty(0, dtype=np.int64)
    values = np.hstack([_values(results, "scores"), _values(results, axis)])
    return np.flatnonzero(~np.isnan(values).any(axis=1))


def _values(results: Sequence[CellResults], name: Axis | Literal["scores"]) -> FloatArray:
    """Return the values of each item in each cell, shape (n_items, n_cells)."""
    return np.column_stack(
        [
            {"scores": r.scores, "cost_per_item": r.costs, "latency_seconds": r.latencies}[name]
            for r in results
        ]
    )
