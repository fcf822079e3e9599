"""The scores of a run's systems while it goes on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ember_bench import stats
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import FAILED
from ember_bench.experiment.trial import TrialResult


class Scores:
    """Adds up the scores of finished trials, system by system and item by item.

    Args:
        rows: The trial store, before the run begins: what earlier runs did counts too.
    """

    def __init__(self, rows: TrialRows) -> None:
        asked = rows.description
        several = len({cell.dataset for cell in asked.cells}) > 1
        self._labels = [
            f"{cell.dataset}: {cell.label}" if several else cell.label for cell in asked.cells
        ]
        self._level = asked.level
        self._mean_score = stats.mean_score  # loaded now, and not while answers wait to be read
        self._counts_failed = asked.failures == "wrong"
        self._asked = [asked.items[cell.dataset] for cell in asked.cells]
        for items in self._asked:
            items.clusters(np.zeros(len(items), bool))  # read now: later the store may be closed
        self._sums = [np.zeros(len(items)) for items in self._asked]
        self._trials = [np.zeros(len(items), np.int32) for items in self._asked]
        for place in range(len(asked.cells)):
            for item, _, outcome, score in rows.columns(place, ("outcome", "score")):
                if outcome not in FAILED:  # those are run again
                    self._add(place, item, outcome, score)

    def add(self, results: Iterable[TrialResult]) -> None:
        """Count trials."""
        for result in results:
            self._add(result.trial.cell, result.trial.item, result.outcome, result.score)

    def best(self, most: int) -> list[tuple[str, Quantity]]:
        """Return the labels of the most accurate systems so far, and their mean scores.

        Args:
            most: The number of systems at most.
        """
        means = {
            place: float(np.mean(sums[trials > 0] / trials[trials > 0]))
            for place, (sums, trials) in enumerate(zip(self._sums, self._trials, strict=True))
            if trials.any()
        }
        chosen = sorted(means, key=lambda place: -means[place])[:most]
        return [(self._labels[place], self._mean(place)) for place in chosen]

    def _add(self, cell: int, item: int, outcome: str, score: float) -> None:
        if outcome != "unjudged" and (self._counts_failed or outcome not in FAILED):
            self._sums[cell][item] += score
            self._trials[cell][item] += 1

    def _mean(self, place: int) -> Quantity:
        scored = self._trials[place] > 0
        found = self._mean_score(
            self._sums[place][scored] / self._trials[place][scored],
            clusters=self._asked[place].clusters(scored),
            level=self._level,
        )
        assert found is not None  # noqa: S101 - there are scores
        return Quantity.of(found)
