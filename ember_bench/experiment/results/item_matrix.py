"""The scores of all systems on the items of a dataset: which are hard, and who fails where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from ember_bench.experiment.results.cells import BoolArray, CellResults, FloatArray, IntArray

_Alike = Callable[[FloatArray, FloatArray], BoolArray]
"""(scores of one cell, scores of all cells) -> which are alike."""

# Means of the same scores in another order differ by less.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, eq=False)
class ItemMatrix:
    """Mean scores over the epochs of each item, the hardest item first.

    Attributes:
        cells: The systems, the most accurate first.
        places: Places of the items in the dataset, shape (n_items,).
        scores: In [0, 1], NaN without a trial that counts; shape (n_cells, n_items).
        difficulty: Mean score of each item over the systems that are no oracles, shape (n_items,).
    """

    cells: Sequence[CellResults]
    places: IntArray
    scores: FloatArray
    difficulty: FloatArray

    @property
    def unsolved(self) -> int:
        """Number of items that every system scores 0 on."""
        return int(np.count_nonzero(self.difficulty < _ROUNDING))

    @property
    def solved(self) -> int:
        """Number of items that every system scores 1 on."""
        return int(np.count_nonzero(self.difficulty > 1 - _ROUNDING))

    @cached_property
    def agreement(self) -> FloatArray:
        """Share of the common items that two systems score the same, shape (n_cells, n_cells).

        NaN without a common item.
        """
        return self._shares(lambda one, others: np.abs(others - one) < _ROUNDING)

    @cached_property
    def both_fail(self) -> FloatArray:
        """Share of the common items that two systems both score 0, shape (n_cells, n_cells)."""
        return self._shares(lambda one, others: (others < _ROUNDING) & (one < _ROUNDING))

    def _shares(self, alike: _Alike) -> FloatArray:
        found = np.full((len(self.cells), len(self.cells)), np.nan)
        for row, one in enumerate(self.scores):
            known = ~np.isnan(self.scores) & ~np.isnan(one)
            counts = known.sum(axis=1)
            with np.errstate(invalid="ignore"):
                same = (alike(one, self.scores) & known).sum(axis=1)
            np.divide(same, counts, out=found[row], where=counts > 0)
        return found


def item_matrix(results: Sequence[CellResults]) -> ItemMatrix | None:
    """Return the scores of cells on the items of their one dataset; None without any.

    Items that no system but oracles has a score on are left out. Items of one difficulty, and
    systems of one accuracy, stay in the order of the dataset and of the grid.
    """
    measured = [cell for cell in results if not np.isnan(cell.scores).all()]
    systems = [cell.scores for cell in measured if not cell.oracle]
    if not systems:
        return None
    stacked = np.vstack(systems)
    known = ~np.isnan(stacked)
    counts = known.sum(axis=0)
    places = np.flatnonzero(counts)
    difficulty = np.where(known, stacked, 0.0).sum(axis=0)[places] / counts[places]
    order = np.argsort(difficulty, kind="stable")
    ranked = sorted(measured, key=lambda cell: -float(np.nanmean(cell.scores)))
    places = places[order]
    scores = np.vstack([cell.scores[places] for cell in ranked])
    return ItemMatrix(ranked, places, scores, difficulty[order])
