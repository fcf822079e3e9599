"""One cell's results, wherever they were read: what comparing it with another one takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ember_bench.experiment.results.cell_data import CellData, FloatArray, Items, StoredCells
from ember_bench.experiment.results.description import CellDescription
from ember_bench.experiment.results.summary import DatasetSummary


@dataclass(frozen=True)
class CellResults:
    """The trials of one cell that are done.

    Attributes:
        source: What it is part of: an experiment's name, or a run of MLflow.
        name: Of the cell, unique in its source.
        label: How tables call it.
        asked: The dataset as it was used.
        simulated: Whether any of its answers was made up by a simulated model.
        oracle: Whether it looks at the target.
        failures: How failed trials are scored: `wrong`, or `excluded`.
        level: Confidence level of its intervals.
        seed: Of what is random in its analysis.
        items: The items that it was asked, as far as they are known.
        data: Its trials, which have the places of their items in `items`.
        read_answers: Reads the answer of each trial; None where none could be read out.
    """

    source: str
    name: str
    label: str
    asked: DatasetSummary
    simulated: bool
    oracle: bool
    failures: str
    level: float
    seed: int
    items: Items
    data: CellData
    read_answers: Callable[[], Sequence[str | None]]

    @cached_property
    def scores(self) -> FloatArray:
        """The mean score of each item over its epochs, failures counted as the grid says.

        Shape (n_items,) as the other two; NaN for items without a trial that counts.
        """
        keep = None if self.failures == "wrong" else ~self.data.failed
        return self.data.means(self.data.score, keep)

    @cached_property
    def costs(self) -> FloatArray:
        """The mean cost of each item over the trials that did not fail, where it is known."""
        return self.data.means(self.data.cost, ~self.data.failed & ~np.isnan(self.data.cost))

    @cached_property
    def latencies(self) -> FloatArray:
        """The mean latency of the same."""
        known = ~self.data.failed & ~np.isnan(self.data.latency)
        return self.data.means(self.data.latency, known)

    @cached_property
    def priced(self) -> bool:
        """Whether the price of every trial that did not fail is known."""
        return not np.isnan(self.data.cost[~self.data.failed]).any()

    @cached_property
    def answers(self) -> Sequence[str | None]:
        """The answer of each trial, shape (n_trials,)."""
        return self.read_answers()

    def answers_to(self, item: int) -> list[str | None]:
        """Return the answers to the item at a place, by epoch."""
        first = self.data.first(item)
        return list(self.answers[first : first + int(self.data.epochs[item])])

    @property
    def scheduled(self) -> int | None:
        """How many items its grid asks; None where that is not known."""
        return len(self.items) if self.items.whole else None

    @property
    def failed(self) -> int:
        """How many of its trials ended in an error."""
        return int(np.count_nonzero(self.data.failed))


def stored_results(cells: StoredCells, cell: CellDescription, source: str) -> CellResults:
    """Return the results of a cell that a trial store has; `source` is what it is called.

    Its answers are read when they are asked for, while the store is open.
    """
    asked = cells.rows.description
    place = asked.places[cell.name]
    return CellResults(
        source=source,
        name=cell.name,
        label=cell.label,
        asked=asked.dataset(cell.dataset),
        simulated=cell.simulated,
        oracle=cell.oracle,
        failures=asked.failures,
        level=asked.level,
        seed=asked.seed,
        items=cells.items(cell.dataset),
        data=cells.data(place),
        read_answers=lambda: [row[2] for row in cells.rows.columns(place, ["answer"])],
    )
