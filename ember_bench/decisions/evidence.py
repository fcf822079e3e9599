"""The stored rows that a decision stands on, as arrays."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.errors import StoreError
from ember_bench.experiment.results.cells import CellResults, StoredCells
from ember_bench.experiment.results.certificate import on_dataset
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.rows import TrialRows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass
class Evidence:
    """The items of some cells of one dataset, as far as all of their epochs are stored.

    Cells with the same system on further datasets make one column. The items of all datasets are
    then in one random order, and each counts the same.

    Attributes:
        rows: The trial store.
        cells: Places of the cells in the grid.
        beside: Places of the cells of the same systems on each further dataset.
        datasets: Names of the datasets.
        dataset: Index of the dataset of each row, shape (n_items,).
        item: Place of the item of each row in its dataset, same shape.
        low: Lowest mean score of each item that failed trials allow, shape (n_items, n_cells) as
            all that follow; NaN if the item is not whole.
        high: Highest one.
        cost: Mean cost of a trial in US dollars; NaN if unknown.
        failed: Number of failed trials.
    """

    rows: TrialRows
    cells: Sequence[int]
    beside: Sequence[Sequence[int]] = ()

    def __post_init__(self) -> None:
        described = self.rows.description
        self._parts = [self.cells, *self.beside]
        self.datasets = [described.cells[part[0]].dataset for part in self._parts]
        self._items = [described.items[name] for name in self.datasets]
        sizes = [len(items) for items in self._items]
        order = [number for number, size in enumerate(sizes) for _ in range(size)]
        if len(sizes) > 1:
            random.Random(f"{described.seed}/datasets").shuffle(order)
        self.dataset = np.asarray(order, dtype=np.int64)
        self.item = np.empty_like(self.dataset)
        for part, size in enumerate(sizes):
            self.item[self.dataset == part] = np.arange(size)
        shape = self.dataset.size, len(self.cells)
        self.low, self.high, self.cost = (np.full(shape, np.nan) for _ in range(3))
        self.failed = np.zeros(shape, dtype=np.int64)

    def read(self, columns: Sequence[int]) -> None:
        """Read the trials of the cells in some columns again."""
        stored = StoredCells(self.rows, keep=False)
        for column in columns:
            for number, part in enumerate(self._parts):
                cell, _ = stored.cell(part[column])
                own = self.dataset == number
                for array, values in zip(
                    (self.low, self.high, self.cost, self.failed),
                    self._values(cell),
                    strict=True,
                ):
                    array[own, column] = values

    def __len__(self) -> int:
        """Return the number of items, of all datasets."""
        return self.dataset.size

    def asked(self, row: int, column: int) -> tuple[int, int]:
        """Return the place of the cell that a row and a column stand for, and of its item."""
        return self._parts[self.dataset[row]][column], int(self.item[row])

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

    def accuracy(
        self, column: int, start: int, end: int, dataset: int | None = None
    ) -> Quantity | None:
        """Return the mean score of a cell over some items; failed trials count as wrong.

        Args:
            column: The cell.
            start: The first item.
            end: The item behind the last one.
            dataset: Index of the dataset whose items alone count; None for all of them.
        """
        chosen = np.arange(start, end)
        if dataset is not None:
            chosen = chosen[self.dataset[chosen] == dataset]
        if not chosen.size:
            return None
        found = stats.mean_score(
            self.low[chosen, column],
            clusters=self._clusters(chosen),
            level=self.rows.description.level,
        )
        return None if found is None else Quantity.of(found)

    def _clusters(self, chosen: IntArray) -> list[str] | None:
        """Return the clusters of some items; None if none of them is in one."""
        found = [str(row) for row in chosen.tolist()]
        clustered = False
        for number, items in enumerate(self._items):
            own = np.flatnonzero(self.dataset[chosen] == number)
            if (names := items.clusters(self.item[chosen[own]])) is not None:
                clustered = True
                for place, name in zip(own.tolist(), names, strict=True):
                    found[place] = f"{number}/{name}"
        return found if clustered else None

    def usd(self, column: int, asked: int, start: int, held_out: int) -> float | None:
        """Return the mean cost of a trial over the first items and some held-out ones."""
        costs = self.cost[np.r_[0:asked, start : start + held_out], column]
        return float(costs.mean()) if costs.size and not np.isnan(costs).any() else None

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
        rows: npt.NDArray[np.bool_] = np.arange(len(self))[:, np.newaxis] < asked
        return rows

    def digest(self, asked: IntArray) -> str:
        """Return a digest of the ids, scores and costs of the first ``asked`` items."""
        found = blake2b(digest_size=16)
        several = len(self.datasets) > 1
        for row in range(int(asked.max(initial=0))):
            number = int(self.dataset[row])
            name = f"{self.datasets[number]}/" if several else ""
            found.update(f"{name}{self._items[number][int(self.item[row])].id}\0".encode())
        for column, number in enumerate(asked.tolist()):
            found.update(self.rows.description.cells[self.cells[column]].name.encode() + b"\0")
            for array in (self.low, self.high, self.cost):
                found.update(np.round(array[:number, column], 12).tobytes())
        return found.hexdigest()


def stored_evidence(
    rows: TrialRows, names: Sequence[str], datasets: Sequence[str] = ()
) -> Evidence:
    """Return the evidence of a trial store on systems, read whole.

    Args:
        rows: The trial store.
        names: Names of the cells, which are of one dataset.
        datasets: That dataset and further ones that the same systems were asked; empty for none.

    Raises:
        StoreError: if it has no such cell.
    """
    places = rows.description.places
    try:
        parts = [
            [places[on_dataset(name, datasets, dataset)] for name in names]
            for dataset in datasets or [""]
        ]
    except KeyError as error:
        raise StoreError(f"{rows.path}: there is no cell {error} any more") from None
    found = Evidence(rows, parts[0], parts[1:])
    found.read(range(len(names)))
    return found
