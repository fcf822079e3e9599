"""The stored rows that a decision on one dataset stands on, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.errors import StoreError
from ember_bench.experiment.results.cells import CellResults, StoredCells
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.rows import TrialRows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass
class Evidence:
    """The items of some cells of one dataset, as far as all of their epochs are stored.

    Attributes:
        rows: The trial store.
        cells: Places of the cells in the grid.
        low: Lowest mean score of each item that failed trials allow, shape (n_items, n_cells) as
            all that follow; NaN if the item is not whole.
        high: Highest one.
        cost: Mean cost of a trial in US dollars; NaN if unknown.
        failed: Number of failed trials.
    """

    rows: TrialRows
    cells: Sequence[int]

    def __post_init__(self) -> None:
        described = self.rows.description
        self.items = described.items[described.cells[self.cells[0]].dataset]
        shape = len(self.items), len(self.cells)
        self.low, self.high, self.cost = (np.full(shape, np.nan) for _ in range(3))
        self.failed = np.zeros(shape, dtype=np.int64)

    def read(self, columns: Sequence[int]) -> None:
        """Read the trials of the cells in some columns again."""
        stored = StoredCells(self.rows, keep=False)
        for column in columns:
            cell, _ = stored.cell(self.cells[column])
            for array, values in zip(
                (self.low, self.high, self.cost, self.failed),
                self._values(cell),
                strict=True,
            ):
                array[:, column] = values

    def _values(self, cell: CellResults) -> Sequence[FloatArray | IntArray]:
        data = cell.data
        whole = data.epochs == self.rows.description.epochs
        low, high = cell.score_range
        failed = np.bincount(data.item[data.failed], minlength=data.n_items)
        scores = (np.where(whole, values, np.nan) for values in (low, high))
        return *scores, np.where(whole, data.means(data.cost), np.nan), failed

    @property
    def whole(self) -> IntArray:
        """Number of items without a gap from the first on, of each cell; shape (n_cells,)."""
        gaps = np.vstack([np.isnan(self.low), np.ones((1, len(self.cells)), dtype=np.bool_)])
        counts: IntArray = gaps.argmax(axis=0)
        return counts

    def held_out(self, column: int, start: int) -> int:
        """Return the number of items without a gap from an item on, of one cell."""
        gaps = np.append(np.isnan(self.low[start:, column]), True)
        return int(gaps.argmax())

    def accuracy(self, column: int, start: int, end: int) -> Quantity | None:
        """Return the mean score of a cell over some items; failed trials count as wrong."""
        if start >= end:
            return None
        chosen = np.zeros(len(self.items), dtype=np.bool_)
        chosen[start:end] = True
        found = stats.mean_score(
            self.low[start:end, column],
            clusters=self.items.clusters(chosen),
            level=self.rows.description.level,
        )
        return None if found is None else Quantity.of(found)

    def unpriced(self, asked: IntArray) -> bool:
        """Return whether the cost of one of the first ``asked`` items of a cell is unknown."""
        return bool((np.isnan(self.cost) & self.taken(asked)).any())

    def prices(self, asked: IntArray) -> FloatArray | None:
        """Return the mean cost of the first ``asked`` items of each cell; None if one is unknown.

        Shape (n_cells,), in US dollars of a trial.
        """
        if not asked.all() or self.unpriced(asked):
            return None
        sums: FloatArray = np.where(self.taken(asked), self.cost, 0.0).sum(axis=0)
        return sums / asked

    def measured(self, asked: IntArray) -> npt.NDArray[np.bool_]:
        """Return which cells did not fail in all of their first ``asked`` items."""
        failed = np.where(self.taken(asked), self.failed, 0).sum(axis=0)
        known: npt.NDArray[np.bool_] = (asked == 0) | (
            failed < asked * self.rows.description.epochs
        )
        return known

    def taken(self, asked: IntArray) -> npt.NDArray[np.bool_]:
        """Return which rows are among the first ``asked`` of each cell."""
        rows: npt.NDArray[np.bool_] = np.arange(len(self.items))[:, np.newaxis] < asked
        return rows

    def digest(self, asked: IntArray) -> str:
        """Return a digest of the ids, scores and costs of the first ``asked`` items."""
        found = blake2b(digest_size=16)
        for item in self.items[: int(asked.max(initial=0))]:
            found.update(item.id.encode() + b"\0")
        for column, number in enumerate(asked.tolist()):
            found.update(self.rows.description.cells[self.cells[column]].name.encode() + b"\0")
            for array in (self.low, self.high, self.cost):
                found.update(np.round(array[:number, column], 12).tobytes())
        return found.hexdigest()


def stored_evidence(rows: TrialRows, names: Sequence[str]) -> Evidence:
    """Return the evidence of a trial store on cells of one dataset, read whole.

    Args:
        rows: The trial store.
        names: Names of the cells.

    Raises:
        StoreError: if it has no such cell.
    """
    try:
        cells = [rows.description.places[name] for name in names]
    except KeyError as error:
        raise StoreError(f"{rows.path}: there is no cell {error} any more") from None
    found = Evidence(rows, cells)
    found.read(range(len(cells)))
    return found
