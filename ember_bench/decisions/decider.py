"""A run that stops when its decision is sure: which trials it does next, and what it decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.decisions.certifying import Undecided, certify, costs_for
from ember_bench.decisions.evidence import Evidence
from ember_bench.experiment.choice_spec import DecideSpec
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.certificate import Certificate
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.trial import Trial

_STEP: Final = 10


class Decider:
    """Decides which cells of an experiment to choose, a stage of items at a time.

    Items come in the experiment's seeded order, so what was asked is a part of the whole grid at
    any time, and what is stored already is not run again. Each dataset is decided for itself, with
    its share of the errors.

    Args:
        experiment: The experiment; its grid says what is to be decided.
        rows: Its trial store, which has the trials of a stage before the next one is taken.
        whole: Whether all items are to be asked, whatever is sure before.
    """

    def __init__(self, experiment: Experiment, rows: TrialRows, *, whole: bool = False) -> None:
        assert experiment.spec.decide is not None  # noqa: S101 - only made for those that decide
        spec = experiment.spec.decide
        racing = [
            [
                place
                for place, cell in enumerate(experiment.cells)
                if cell.dataset == name and not cell.architecture.card.oracle
            ]
            for name in experiment.questions
        ]
        self.experiment = experiment
        self.whole = whole
        racing = [cells for cells in racing if cells]
        self._races = [
            _DatasetRace(spec, Evidence(rows, cells), (1 - spec.confidence) / len(racing), whole)
            for cells in racing
        ]

    def stages(self) -> Iterator[Iterator[Trial]]:
        """Yield the trials of each stage, those that are stored already among them."""
        while True:
            going = [race.advance() for race in self._races]
            if not any(going):
                return
            yield self._stage()

    def _stage(self) -> Iterator[Trial]:
        """Yield trials item by item, all epochs of one after each other."""
        if self.whole:
            yield from self.experiment.trials()
            return
        epochs = self.experiment.spec.epochs
        longest = max(race.target for race in self._races)
        for item in range(longest):
            for race in self._races:
                for cell in race.due(item):
                    for epoch in range(epochs):
                        yield Trial(cell, item, epoch)

    def certificates(self) -> list[Certificate]:
        """Return the decision on each dataset, from the rows that are stored now."""
        return [race.certificate() for race in self._races]


class _DatasetRace:
    """The race of the cells on one dataset.

    Attributes:
        target: Number of items that the cells which advance are to have.
    """

    def __init__(self, spec: DecideSpec, evidence: Evidence, alpha: float, whole: bool) -> None:
        self.goal = stats.Goal(spec.want, spec.margin, spec.at_least, alpha)
        self.spec = spec
        self.evidence = evidence
        self.whole = whole
        self.target = 0
        self._going: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._race = stats.Race(
            self.goal,
            len(evidence.cells),
            len(evidence),
            resampled=spec.claim == "questions",
            step=_STEP,
        )
        self._ends: Undecided | None = None

    def advance(self) -> bool:
        """Take what the last stage gave; return whether there is another one."""
        if self._ends is not None:
            return False
        if self.target and not self._take():
            self._going = self._going[:0]
            return False
        if self.whole:
            missing = self._race.asked < len(self.evidence)
            self._going, self.target = np.flatnonzero(missing), len(self.evidence)
        else:
            self._going, self.target = self._race.wanted
        if not self._going.size:
            self._ends = "failures" if self._has_failures() else "items"
        return bool(self._going.size)

    def due(self, item: int) -> Iterator[int]:
        """Yield the cells of which this stage asks an item."""
        if item < self.target:
            for column in self._going.tolist():
                if item >= self._race.asked[column]:
                    yield self.evidence.cells[column]

    def _take(self) -> bool:
        """Take the items of the stage; return whether all of them are there, and priced."""
        self.evidence.read(self._going.tolist())
        asked = self._race.asked.copy()
        asked[self._going] = self.target
        if (self.evidence.whole < asked).any():
            self._ends = "stopped"
            return False
        if self.goal.want != "most_accurate" and self.evidence.unpriced(asked):
            self._race.asked = asked
            self._ends = "unpriced"
            return False
        costs = costs_for(self.goal, self.evidence)
        self._race.take(asked, self.evidence.low, self.evidence.high, costs)
        self._race.price = self.evidence.prices(asked)
        return True

    def _has_failures(self) -> bool:
        taken = self.evidence.taken(self._race.asked)
        return bool(np.where(taken, self.evidence.failed, 0).any())

    def certificate(self) -> Certificate:
        """Return the decision, from the rows that are stored now."""
        self.evidence.read(range(len(self.evidence.cells)))
        asked = np.minimum(self._race.asked, self.evidence.whole)
        return certify(self.evidence, self.goal, asked, self.spec.claim, self._ends or "stopped")
