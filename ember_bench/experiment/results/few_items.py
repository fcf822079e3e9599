"""Accuracies of few items: drawn towards those of other groups, or sharpened by a control."""

from __future__ import annotations

import numpy as np
from msgspec import UNSET, UnsetType

from ember_bench import stats
from ember_bench.experiment.results.cells import BoolArray, CellResults, FloatArray
from ember_bench.experiment.results.description import CellDescription, Description
from ember_bench.experiment.results.figures import Quantity


class FewItems:
    """Computes them for the cells of an experiment, as far as its grid asks for them.

    Args:
        asked: The experiment.
    """

    def __init__(self, asked: Description) -> None:
        self.asked = asked
        self._controls: dict[str, FloatArray] = {}

    def shrunken(self, cell: CellResults) -> dict[str, Quantity] | UnsetType:
        """Return the accuracy by category drawn towards the mean of all categories."""
        if not self.asked.shrinkage:
            return UNSET
        names, numbers = cell.items.categories
        known = ~np.isnan(cell.scores) & (numbers >= 0)
        if cell.items.clusters(known) is not None:
            return {}
        return shrunken_accuracies(
            {name: cell.scores[known & (numbers == place)] for place, name in enumerate(names)},
            self.asked.level,
        )

    def controlled(
        self, cell: CellResults, described: CellDescription
    ) -> Quantity | UnsetType | None:
        """Return the accuracy by the scores of a cell and of its dataset's control.

        The control comes before the other cells of its dataset. `UNSET` for the control itself,
        and for cells that were asked all items that it was.
        """
        name = self.asked.controls.get(described.dataset)
        if name is None:
            return UNSET
        if name == cell.name:
            # An item that it failed on and that is left out would not be missing at random.
            self._controls[described.dataset] = np.where(_asked(cell), cell.scores, np.nan)
            return UNSET
        control = self._controls[described.dataset]
        asked = _asked(cell)
        rest = ~asked & ~np.isnan(control)
        if not rest.any():
            return UNSET
        part = asked & ~np.isnan(control)
        if described.left_out or np.isnan(cell.scores[part]).any():
            return None
        if cell.items.clusters(part | rest) is not None:
            return None
        found = stats.controlled_mean(
            cell.scores[part], control[part], control[rest], level=self.asked.level
        )
        return None if found is None else Quantity.of(found)


def _asked(cell: CellResults) -> BoolArray:
    """Say of which items a cell has a trial."""
    asked: BoolArray = cell.data.epochs > 0
    return asked


def shrunken_accuracies(groups: dict[str, FloatArray], level: float) -> dict[str, Quantity]:
    """Return the accuracy on each group of items drawn towards the mean of all groups.

    Empty for scores other than 0 and 1, and for fewer than five groups with items.

    Args:
        groups: Scores of independent items by the group's name; groups without items are left out.
        level: With which intervals hold on average over groups.
    """
    kept = {name: scores for name, scores in groups.items() if scores.size}
    if not all(np.isin(scores, (0.0, 1.0)).all() for scores in kept.values()):
        return {}
    found = stats.shrunken_rates(
        [float(scores.sum()) for scores in kept.values()],
        [scores.size for scores in kept.values()],
        level=level,
    )
    if found is None:
        return {}
    return {name: Quantity.of(value) for name, value in zip(kept, found, strict=True)}
