"""The averages of suites: one row for each system over all datasets of a suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.experiment.results.few_items import shrunken_accuracies
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.pairs import SAME_CALLS
from ember_bench.experiment.results.summary import (
    CellSummary,
    SuiteSummary,
)

if TYPE_CHECKING:
    from ember_bench.datasets.suites import Suite
    from ember_bench.experiment.results.cells import BoolArray, FloatArray, StoredCells
    from ember_bench.experiment.results.description import Description
    from ember_bench.stats.strata import Average


class SuiteAverages:
    """Computes the averages of an experiment's suites.

    Args:
        read: The cells.
        cells: Their summaries, in the same order.
    """

    def __init__(self, read: StoredCells, cells: Sequence[CellSummary]) -> None:
        self._read = read
        self._asked: Description = read.rows.description
        self._cells = cells
        self._scores: dict[int, FloatArray] = {}

    def all(self) -> list[SuiteSummary]:
        """Return the rows of all suites, the systems of each in grid order."""
        return [
            self._row(suite, name, places)
            for suite in self._asked.suites
            for name, places in self._systems(suite).items()
        ]

    def _systems(self, suite: Suite) -> dict[str, dict[str, int]]:
        """Return the places of the cells of each system, by dataset."""
        systems: dict[str, dict[str, int]] = {}
        for place, cell in enumerate(self._asked.cells):
            if cell.dataset in suite.datasets:
                name = cell.name.removeprefix(f"{cell.dataset}/")
                systems.setdefault(name, {})[cell.dataset] = place
        return systems

    def _row(self, suite: Suite, name: str, places: dict[str, int]) -> SuiteSummary:
        first = self._cells[min(places.values())]
        cells = [self._cells[places[dataset]] for dataset in suite.datasets if dataset in places]
        row = SuiteSummary(
            suite=suite.name,
            name=name,
            label=first.label,
            cells=[cell.name for cell in cells],
            oracle=any(cell.oracle for cell in cells),
            simulated=any(cell.simulated for cell in cells),
            missing=[
                dataset
                for dataset in suite.datasets
                if dataset not in places or np.isnan(self._of(places[dataset])).all()
            ],
        )
        if row.missing:
            # An average over other tasks is another figure.
            return row
        whole = self._pool(suite, places, None)
        macro, micro = self._differences(suite, places)
        return msgspec.structs.replace(
            row,
            strata=len(np.unique(whole.strata)),
            items=whole.scores.size,
            macro=whole.score("macro", self._asked.level),
            micro=whole.score("micro", self._asked.level),
            macro_difference=macro,
            micro_difference=micro,
            shrunken=self._shrunken(suite, whole),
        )

    def _shrunken(self, suite: Suite, pool: _Pool) -> dict[str, Quantity]:
        """Return the accuracy by dataset drawn towards that of all, if the grid asks for it."""
        if not self._asked.shrinkage or pool.clusters is not None:
            return {}
        groups = {
            dataset: pool.scores[pool.datasets == number]
            for number, dataset in enumerate(suite.datasets)
        }
        return shrunken_accuracies(groups, self._asked.level)

    def _differences(
        self, suite: Suite, places: dict[str, int]
    ) -> tuple[Quantity | None, Quantity | None]:
        """Return the differences of both averages to the baseline's; none for the baseline."""
        against = {
            dataset: self._asked.places[cell]
            for dataset, cell in self._asked.baselines.items()
            if dataset in suite.datasets
        }
        if len(against) < len(suite.datasets) or against == places:
            return None, None
        common = self._pool(suite, places, against)
        if len(np.unique(common.datasets)) < len(suite.datasets):
            return None, None
        level = self._asked.level
        macro, micro = common.difference("macro", level), common.difference("micro", level)
        comparisons = [self._cells[place].comparison for place in places.values()]
        if all(found is not None and found.same_calls for found in comparisons):
            return _without_interval(macro), _without_interval(micro)
        return macro, micro

    def _of(self, place: int) -> FloatArray:
        """Return the scores of a cell's items."""
        if place not in self._scores:
            self._scores[place] = self._read.cell(place)[0].scores
        return self._scores[place]

    def _pool(self, suite: Suite, places: dict[str, int], against: dict[str, int] | None) -> _Pool:
        """Return the items of all datasets together, those that both cells have a score of."""
        pools = []
        for number, dataset in enumerate(suite.datasets):
            scores = self._of(places[dataset])
            others = scores if against is None else self._of(against[dataset])
            known = ~np.isnan(scores) & ~np.isnan(others)
            pools.append(self._part(suite, number, dataset, known, scores, others))
        return _Pool.joined(pools)

    def _part(
        self,
        suite: Suite,
        number: int,
        dataset: str,
        known: BoolArray,
        scores: FloatArray,
        others: FloatArray,
    ) -> _Pool:
        items = self._asked.items[dataset]
        size = int(np.count_nonzero(known))
        categories = np.zeros(len(items), dtype=np.int64)
        if suite.strata == "category":
            categories = items.categories[1].astype(np.int64) + 1
        return _Pool(
            scores[known],
            others[known],
            np.full(size, number),
            (number << _SHIFT) + categories[known],
            items.clusters(known),
        )


# No dataset has as many categories.
_SHIFT: Final = 32


def _without_interval(found: Quantity | None) -> Quantity | None:
    return None if found is None else Quantity(found.value, None, None, SAME_CALLS)


@dataclass(frozen=True)
class _Pool:
    """Items of several datasets; all arrays have the shape (n_items,).

    Attributes:
        scores: Of the cells.
        others: Of their baselines, on the same items.
        datasets: Number of each item's dataset.
        strata: Number of its stratum.
        clusters: Labels of the clusters; None if no item has one.
    """

    scores: FloatArray
    others: FloatArray
    datasets: npt.NDArray[np.int64]
    strata: npt.NDArray[np.int64]
    clusters: Sequence[object] | None

    @classmethod
    def joined(cls, parts: Sequence[_Pool]) -> _Pool:
        """Return the items of all parts; an item without a cluster is one of its own."""
        clusters: list[object] | None = None
        if any(part.clusters is not None for part in parts):
            clusters = [
                (number, label)
                for number, part in enumerate(parts)
                for label in (range(part.scores.size) if part.clusters is None else part.clusters)
            ]
        return cls(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.others for part in parts]),
            np.concatenate([part.datasets for part in parts]),
            np.concatenate([part.strata for part in parts]),
            clusters,
        )

    def score(self, average: Average, level: float) -> Quantity | None:
        found = stats.stratified_score(
            self.scores, self.strata, average=average, clusters=self.clusters, level=level
        )
        return None if found is None else Quantity.of(found)

    def difference(self, average: Average, level: float) -> Quantity | None:
        found = stats.stratified_difference(
            self.scores,
            self.others,
            self.strata,
            average=average,
            clusters=self.clusters,
            level=level,
        )
        return None if found is None else Quantity.of(found)
