"""What a report is made of: the rows, and all that is computed from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import msgspec

from ember_bench.errors import ConfigError
from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.attribution import ChoiceSummary
from ember_bench.experiment.results.cell_data import StoredCells
from ember_bench.experiment.results.cell_results import CellResults, stored_results
from ember_bench.experiment.results.comparison import (
    ComparisonTable,
    Pair,
    PairedComparison,
    compare,
)
from ember_bench.experiment.results.description import CellDescription
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import (
    CellSummary,
    DatasetSummary,
    ExperimentSummary,
    RunSummary,
)
from ember_bench.report.html_data import Calls, items_shown

MOST_TRIALS: Final = 20_000
"""Such a page has some ten megabytes, and stays smooth."""


@dataclass(frozen=True)
class Contents:
    """What a report is made of, computed once.

    Attributes:
        rows: The trial store.
        chosen: Names of the cells that are wanted.
        answers: Prompts and answers by call key; None if they are not there.
        choices: How well nodes choose, by the cell's name; empty where the graphs were not run.
        notes: What else a reader is to know.
        trials: How many the explorer has at most; 0 for all.
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
    def summary(self) -> ExperimentSummary:
        """What the experiment found, for the cells that are wanted."""
        run = RunSummary("partial", "", 0.0, 0, 0, 0, 0, 0.0, [])  # of which nothing is shown
        summary = Analysis(self.rows, self.read).summary(run)
        cells = [cell for cell in summary.cells if cell.name in self.chosen]
        used = {cell.dataset for cell in cells}
        datasets = [dataset for dataset in summary.datasets if dataset.name in used]
        return msgspec.structs.replace(
            summary,
            cells=cells,
            datasets=datasets,
            simulated=any(cell.simulated for cell in cells),
        )

    @cached_property
    def results(self) -> dict[str, CellResults]:
        """The trials of the cells that are wanted, and of their baselines, by the cell's name."""
        asked = self.rows.description
        wanted = {cell.name for cell in self.cells} | {
            asked.baselines[cell.dataset] for cell in self.cells if cell.dataset in asked.baselines
        }
        return {
            cell.name: stored_results(self.read, cell, asked.name)
            for cell in asked.cells
            if cell.name in wanted
        }

    @cached_property
    def comparisons(self) -> ComparisonTable | None:
        """Each cell against its baseline, without the flips; None if no two share an item."""
        baselines = self.rows.description.baselines
        pairs = [
            Pair(self.results[cell.name], self.results[baseline])
            for cell in self.cells
            if (baseline := baselines.get(cell.dataset)) is not None and baseline != cell.name
        ]
        try:
            return compare(pairs, flips=False) if pairs else None
        except ConfigError:  # nothing is done yet
            return None

    @cached_property
    def compared(self) -> dict[str, PairedComparison]:
        """The same by the name of the cell."""
        table = self.comparisons
        return {} if table is None else {pair.cell.cell: pair for pair in table.pairs}

    @cached_property
    def shown(self) -> int:
        """How many items of each dataset are in the explorer, the first ones."""
        scheduled = sum(map(self.rows.description.scheduled, self.cells))
        return items_shown(self.rows, self.cells, self.trials or scheduled)

    def of(self, dataset: DatasetSummary) -> list[CellSummary]:
        """Return the cells on a dataset, in grid order."""
        return [cell for cell in self.summary.cells if cell.dataset == dataset.name]

    def simulated(self, dataset: DatasetSummary) -> str:
        """Return the label of what shows the dataset's cells: `" (simulated)"`, or nothing."""
        return " (simulated)" if any(cell.simulated for cell in self.of(dataset)) else ""

    def colour(self, architecture: str) -> int:
        """Return the number by which an architecture's colour goes."""
        names = list(dict.fromkeys(cell.architecture for cell in self.summary.cells))
        return names.index(architecture)
