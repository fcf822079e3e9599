"""One cell's results, wherever they were read: what comparing it with another one takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ember_bench.experiment.asked import AskedItem
from ember_bench.experiment.description import CellDescription
from ember_bench.experiment.rows import TrialRows
from ember_bench.experiment.summary import DatasetSummary

FloatArray = npt.NDArray[np.float64]


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
        scheduled: The items that its grid asks, by id; None where that is not known.
        known: What is known of the items, by id.
        item: Id of each trial's item, shape (n_trials,) as all that follow.
        outcome: Of each trial.
        score: In [0, 1], 0 where the trial failed.
        cost: US dollars; NaN where a price is unknown.
        answer: As it was read out; None where none was.
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
    scheduled: frozenset[str] | None
    known: Mapping[str, AskedItem]
    item: Sequence[str]
    outcome: Sequence[str]
    score: FloatArray
    cost: FloatArray
    answer: Sequence[str | None]

    @cached_property
    def scores(self) -> dict[str, float]:
        """The mean score of each item over its epochs, failures counted as the grid says."""
        keep = [self.failures == "wrong" or outcome != "error" for outcome in self.outcome]
        return self._means(self.score, np.asarray(keep, dtype=np.bool_))

    @cached_property
    def costs(self) -> dict[str, float]:
        """The mean cost of each item over the trials that did not fail, where it is known."""
        finished = np.asarray([outcome != "error" for outcome in self.outcome], dtype=np.bool_)
        return self._means(self.cost, finished & ~np.isnan(self.cost))

    @cached_property
    def answers(self) -> dict[str, list[str | None]]:
        """The answers to each item, by epoch."""
        found: dict[str, list[str | None]] = {}
        for item, answer in zip(self.item, self.answer, strict=True):
            found.setdefault(item, []).append(answer)
        return found

    @property
    def failed(self) -> int:
        """How many of its trials ended in an error."""
        return sum(outcome == "error" for outcome in self.outcome)

    def _means(self, values: FloatArray, keep: npt.NDArray[np.bool_]) -> dict[str, float]:
        sums: dict[str, list[float]] = {}
        for index in np.flatnonzero(keep).tolist():
            sums.setdefault(self.item[index], []).append(float(values[index]))
        return {item: float(np.mean(found)) for item, found in sums.items()}


def stored_results(rows: TrialRows, cell: CellDescription, source: str) -> CellResults:
    """Return the results of a cell that a trial store has; `source` is what it is called."""
    asked = rows.description
    items = asked.items[cell.dataset]
    names = ("outcome", "score", "cost_usd", "answer")
    found = list(rows.columns(asked.places[cell.name], names))
    columns = list(zip(*found, strict=True)) if found else [()] * (2 + len(names))
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
        scheduled=frozenset(item.id for item in items),
        known={item.id: item for item in items},
        item=[items[number].id for number in columns[0]],
        outcome=columns[2],
        score=np.asarray(columns[3], dtype=np.float64),
        cost=np.asarray(columns[4], dtype=np.float64),
        answer=columns[5],
    )
