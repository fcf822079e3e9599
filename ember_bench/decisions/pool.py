"""The trials of several cells side by side, from which combinations of them are made."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ember_bench.errors import ConfigError
from ember_bench.experiment.results.cells import CellResults, IntArray


class Pool:
    """The answers of cells of one dataset to the same items, trial by trial.

    Args:
        cells: At least one; all on the same items.
    """

    def __init__(self, cells: Sequence[CellResults]) -> None:
        self.cells = list({id(cell): cell for cell in cells}.values())
        first = self.cells[0]
        if others := [c.asked.name for c in self.cells if c.asked.name != first.asked.name]:
            raise ConfigError(
                f"members must be on one dataset, not on {first.asked.name} and {others[0]}"
            )
        self.items = first.items
        self.level, self.seed = first.level, first.seed
        # Epochs that not all have are left aside.
        self.epochs = max(1, min(int(cell.data.epochs.max(initial=0)) for cell in self.cells))
        shape = len(self.items) * self.epochs, len(self.cells)
        self.scores, self.costs = np.full(shape, np.nan), np.full(shape, np.nan)
        self.answers = np.full(shape, -1, dtype=np.int64)
        texts: list[dict[str, int]] = [{} for _ in range(shape[0])]
        for column, cell in enumerate(self.cells):
            self._read(column, cell, texts)

    def _read(self, column: int, cell: CellResults, texts: list[dict[str, int]]) -> None:
        """Read a cell's trials: its items stand in the order of the first cell's."""
        data = cell.data
        place_of = np.full(len(cell.items), -1, dtype=np.int64)
        match = self.items.match(cell.items)
        place_of[match.places[match.places >= 0]] = np.flatnonzero(match.places >= 0)
        starts = np.searchsorted(data.item, np.arange(len(cell.items)))
        epoch = np.arange(len(data.item)) - starts[data.item]
        # A judge that gave no verdict leaves the score unknown; so does a cell without an answer.
        wrong = cell.failures == "wrong" and cell.measured
        unknown = data.unjudged if wrong else data.failed
        # What a failed trial cost before it failed is not the cost of the system.
        priced = data.cost[~data.broken & ~np.isnan(data.cost)]
        mean = float(priced.mean()) if priced.size else np.nan
        for trial, answer in enumerate(cell.answers):
            place = int(place_of[data.item[trial]])
            if place < 0 or epoch[trial] >= self.epochs or unknown[trial]:
                continue
            row = place * self.epochs + int(epoch[trial])
            self.scores[row, column] = data.score[trial]
            self.costs[row, column] = mean if data.broken[trial] else data.cost[trial]
            if data.failed[trial] or answer is None:
                continue
            # Answers of full score count as one, however they are written.
            key = "\0right" if data.score[trial] >= 1 else answer
            self.answers[row, column] = texts[row].setdefault(key, len(texts[row]))

    @cached_property
    def item(self) -> IntArray:
        """The item of each row."""
        return np.repeat(np.arange(len(self.items)), self.epochs)

    def columns(self, cells: Sequence[CellResults]) -> list[int]:
        """Return the columns of cells."""
        numbers = {id(cell): column for column, cell in enumerate(self.cells)}
        return [numbers[id(cell)] for cell in cells]

    def clusters(self, items: IntArray) -> list[str] | None:
        """Return the clusters of items."""
        return self.items.clusters(items)

    def categories(self, rows: IntArray) -> list[str]:
        """Return the category of the items of rows; "" for those without."""
        names, numbers = self.items.categories
        return [names[n] if n >= 0 else "" for n in numbers[self.item[rows]].tolist()]
