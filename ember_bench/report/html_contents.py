"""The contents of a report: the trial store and everything computed from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import msgspec

from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.attribution import ChoiceSummary
from ember_bench.experiment.results.cells import CellResults, StoredCells
from ember_bench.experiment.results.checks import Checks
from ember_bench.experiment.results.compared import Comparison, ComparisonTable, Winner
from ember_bench.experiment.results.comparison import compare
from ember_bench.experiment.results.description import CellDescription
from ember_bench.experiment.results.item_matrix import ItemMatrix, item_matrix
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import (
    CellSummary,
    DatasetSummary,
    ExperimentSummary,
    RunSummary,
)
from ember_bench.report.html_data import Calls, items_shown

MOST_TRIALS: Final = 20_000
"""A page with so many has some ten megabytes and stays smooth."""


@dataclass(frozen=True)
class Contents:
    """The contents of a report, each computed once.

    Attributes:
        rows: The trial store.
        chosen: Names of the cells that are wanted.
        answers: Prompts and answers by call key; None if they are not there.
        choices: How well nodes choose, by the cell's name; empty where the graphs were not run.
        notes: Further notes for the reader.
        trials: Maximum number of trials in the explorer; 0 for all.
    """

    rows: TrialRows
    chosen: Collection[str]
    answers: Calls | None = None
    choices: Mapping[str, Sequence[ChoiceSummary]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    trials: int = MOST_TRIALS

    @cached_property
    def cells(self) -> list[CellDescription]:
        """The cells that are wanted, in grid order."""
        return [cell for cell in self.rows.description.cells if cell.name in self.chosen]

    @cached_property
    def read(self) -> StoredCells:
        """All cells, each read once."""
        return StoredCells(self.rows)

    @cached_property
    def analysis(self) -> Analysis:
        """The analysis of all cells, whose paired differences serve the comparisons too."""
        return Analysis(self.rows, self.read)

    @cached_property
    def summary(self) -> ExperimentSummary:
        """The summary of the experiment, for the cells that are wanted."""
        # The page shows nothing of the run.
        return self.analysis.summary(RunSummary.partial()).only(self.chosen)

    @cached_property
    def results(self) -> dict[str, CellResults]:
        """The trials of the cells that are wanted, by the cell's name."""
        return {cell.name: self.read.results(cell.name) for cell in self.cells}

    @cached_property
    def comparisons(self) -> ComparisonTable | None:
        """Each cell against its baseline, without the flips; None if no two share an item."""
        compared = {cell.name for cell in self.summary.cells if cell.comparison is not None}
        pairs = [self.analysis.pairs[c.name] for c in self.cells if c.name in compared]
        if not pairs:
            return None
        return compare(pairs, correction=self.summary.correction, flips=False)

    @cached_property
    def compared(self) -> dict[str, Comparison]:
        """The same by the name of the cell, corrected over the whole experiment."""
        table = self.comparisons
        pairs = {} if table is None else {pair.cell.cell: pair for pair in table.pairs}
        return {
            cell.name: msgspec.structs.replace(
                pairs[cell.name],
                difference=cell.comparison.difference,
                p_adjusted=cell.comparison.p_adjusted,
                sign=cell.comparison.sign,
            )
            for cell in self.summary.cells
            if cell.comparison is not None and cell.name in pairs
        }

    @cached_property
    def winners(self) -> dict[str, Winner]:
        """The most accurate of the systems on a dataset, and those that may be, by dataset.

        Without datasets that have no baseline, or too few items that all systems have.
        """
        table = self.comparisons
        if table is None:
            return {}
        datasets = {pair.baseline.cell: pair.baseline.dataset for pair in table.pairs}
        return {
            dataset: winner
            for dataset, winner in zip(datasets.values(), table.winners, strict=True)
            if winner is not None
        }

    @cached_property
    def matrices(self) -> dict[str, ItemMatrix]:
        """The scores of all systems on all items by dataset, of those with a score."""
        found = {
            dataset.name: item_matrix([self.results[cell.name] for cell in self.of(dataset)])
            for dataset in self.summary.datasets
        }
        return {name: matrix for name, matrix in found.items() if matrix is not None}

    @cached_property
    def checks(self) -> Checks:
        """The checks of evaluators by labels, and of stated confidences."""
        return Checks(self.rows)

    @cached_property
    def shown(self) -> int:
        """Number of items of each dataset in the explorer, the first ones."""
        scheduled = sum(map(self.rows.description.scheduled, self.cells))
        return items_shown(self.rows, self.cells, self.trials or scheduled)

    def of(self, dataset: DatasetSummary) -> list[CellSummary]:
        """Return the cells on a dataset, in grid order."""
        return [cell for cell in self.summary.cells if cell.dataset == dataset.name]

    def simulated(self, dataset: DatasetSummary) -> str:
        """Return `" (simulated)"` for captions if any of the dataset's cells is simulated."""
        return " (simulated)" if any(cell.simulated for cell in self.of(dataset)) else ""

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each cell on the page, which counts from 0, by its name."""
        return {cell.name: number for number, cell in enumerate(self.cells)}

    @cached_property
    def architectures(self) -> list[str]:
        """The architectures, in the order of their cells."""
        return list(dict.fromkeys(cell.architecture for cell in self.summary.cells))

    def colour(self, architecture: str) -> int:
        """Return the number of an architecture's colour."""
        return self.architectures.index(architecture)
