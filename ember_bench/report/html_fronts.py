"""The front of the cells of a dataset, and the probability of each to be on it, on either axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ember_bench import stats
from ember_bench.experiment.results.cells import CellResults, FloatArray, IntArray
from ember_bench.experiment.results.summary import CellSummary, DatasetSummary
from ember_bench.report.html_contents import Contents

Axis = Literal["cost_per_item", "latency_seconds"]
AXES: tuple[Axis, ...] = ("cost_per_item", "latency_seconds")

# Means of the same scores in another order differ by less.
_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class Front:
    """Which cells of a dataset no other one beats on accuracy without being worse in another way.

    Attributes:
        on: Names of the cells on it, cheapest (or fastest) first.
        by: For each dominated cell, the name of one on the front that dominates it.
    """

    on: Sequence[str]
    by: Mapping[str, str]


@dataclass(frozen=True)
class _Place:
    """A cell's place: its accuracy, between which values failed trials leave it, and its axis."""

    name: str
    accuracy: float
    low: float
    high: float
    x: float


def front(
    cells: Sequence[CellSummary], axis: str, results: Mapping[str, CellResults] | None = None
) -> Front:
    """Return the front of the cells with known accuracy and `axis`, oracles left out.

    A cell is dominated only if it would be whatever the failed trials had scored.

    Args:
        cells: The cells of one dataset.
        axis: `cost_per_item` or `latency_seconds`.
        results: Their trials by name: the cells are held against each other on the items that all
            of them have. By default each by its own summary.
    """
    chosen = [cell for cell in cells if not cell.oracle and cell.accuracy and getattr(cell, axis)]
    places = [_summarised(cell, axis) for cell in chosen]
    if results is not None and chosen:
        places = _on_common_items([results[cell.name] for cell in chosen], axis) or places
    if not places:
        return Front([], {})
    found = stats.pareto_front([p.accuracy for p in places], [p.x for p in places])
    dominated = {
        number: [other for other in others if places[other].low >= places[number].high - _ROUNDING]
        for number, others in enumerate(found.dominated_by)
    }
    on = [number for number, others in dominated.items() if not others]
    on.sort(key=lambda number: (places[number].x, -places[number].accuracy))
    by = {
        places[number].name: places[min(others, key=lambda other: other not in on)].name
        for number, others in dominated.items()
        if others
    }
    return Front([places[number].name for number in on], by)


def _summarised(cell: CellSummary, axis: str) -> _Place:
    accuracy = cell.accuracy.value if cell.accuracy else 0.0
    low = accuracy if cell.accuracy_worst is None else cell.accuracy_worst
    high = accuracy if cell.accuracy_best is None else cell.accuracy_best
    return _Place(cell.name, accuracy, low, high, getattr(cell, axis).value)


def _on_common_items(results: Sequence[CellResults], axis: str) -> list[_Place]:
    """Return the places on the items that all cells have; nothing if there are none."""
    scores, x = _values(results, "scores"), _values(results, axis)
    low, high = (
        np.column_stack(values) for values in zip(*(r.score_range for r in results), strict=True)
    )
    scored, known, done = (~np.isnan(values).any(axis=1) for values in (scores, x, low))
    if not (scored.any() and known.any()):
        return []
    columns = zip(
        results,
        scores[scored].mean(axis=0).tolist(),
        low[done].mean(axis=0).tolist(),
        high[done].mean(axis=0).tolist(),
        x[known].mean(axis=0).tolist(),
        strict=True,
    )
    return [
        _Place(cell.name, accuracy, *(worst, best) if cell.failed else (accuracy, accuracy), value)
        for cell, accuracy, worst, best, value in columns
    ]


def front_probabilities(
    contents: Contents, dataset: DatasetSummary
) -> dict[Axis, dict[str, float]]:
    """Return the probability of each system to be on the front, on the common items, by axis.

    Axes of the same systems and items are drawn together: one draw serves both.
    """
    found: dict[Axis, dict[str, float]] = {axis: {} for axis in AXES}
    alike: dict[tuple[tuple[str, ...], bytes], list[Axis]] = {}
    for axis in AXES:
        systems = _systems(contents.of(dataset), axis)
        items = _items(_results(contents, systems), axis)
        if len(systems) > 1 and _enough(contents, systems, items):
            alike.setdefault((tuple(cell.name for cell in systems), items.tobytes()), []).append(
                axis
            )
    for (names, encoded), axes in alike.items():
        items = np.frombuffer(encoded, dtype=np.int64)
        results = [contents.results[name] for name in names]
        accuracy, *others = stats.shrunken_means(
            *(_values(results, name)[items] for name in ("scores", *axes)),
            clusters=results[0].items.clusters(items),
            seed=contents.summary.seed,
        )
        for axis, means in zip(axes, others, strict=True):
            shares = stats.front_shares(accuracy, means).tolist()
            found[axis] = dict(zip(names, shares, strict=True))
    return found


def _enough(contents: Contents, systems: Sequence[CellSummary], items: IntArray) -> bool:
    clusters = contents.results[systems[0].name].items.clusters(items)
    return stats.enough_to_rank(items.size, clusters)


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


def _values(results: Sequence[CellResults], name: str) -> FloatArray:
    """Return the values of each item in each cell, shape (n_items, n_cells)."""
    return np.column_stack(
        [
            {"scores": r.scores, "cost_per_item": r.costs, "latency_seconds": r.latencies}[name]
            for r in results
        ]
    )
