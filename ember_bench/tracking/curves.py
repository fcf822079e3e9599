"""Curves of each cell's accuracy and spending during a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ember_bench.experiment.results.description import Description
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import FAILED, ExperimentSummary, RunSummary
from ember_bench.experiment.trial import TrialResult
from ember_bench.tracking.messages import Point

_EVERY_SECONDS: Final = 1.0
_SHARE: Final = 0.05
"""Interval between points as a share of the run's duration: ten hours make some 150 points."""


@dataclass(slots=True)
class _Tally:
    done: int = 0
    failed: int = 0
    unjudged: int = 0
    score: float = 0.0
    spend: float = 0.0
    changed: bool = False

    def add(self, outcome: str, score: float, spend: float) -> None:
        self.done += 1
        self.failed += outcome in FAILED
        self.unjudged += outcome == "unjudged"
        self.score += score
        self.spend += spend
        self.changed = True


@dataclass
class Curves:
    """Counts finished trials and returns a point for each cell now and then.

    Args:
        rows: The trial store, before the run begins: the curves go on from what it has.
        clock: Seconds since 1970; injected in tests.
    """

    rows: TrialRows
    clock: Callable[[], float] = time.time
    _tallies: list[_Tally] = field(init=False)

    def __post_init__(self) -> None:
        """Count the trials of earlier runs; failed ones are run again."""
        asked = self.rows.description
        self._cells = [cell.name for cell in asked.cells]
        self._wrong = asked.failures == "wrong"
        self._began = self._told = self.clock()
        self._tallies = [_Tally() for _ in self._cells]
        for place, tally in enumerate(self._tallies):
            for _, _, *row in self.rows.columns(place, ("outcome", "score", "spend_usd")):
                if row[0] not in FAILED:
                    tally.add(*row)

    def add(self, results: Iterable[TrialResult]) -> None:
        """Count trials."""
        for result in results:
            self._tallies[result.trial.cell].add(result.outcome, result.score, result.spend_usd)

    def points(self, *, last: bool = False) -> Sequence[Point]:
        """Return a point for each cell with new trials; nothing if the last points are recent.

        Args:
            last: It is the end, and so never too early.
        """
        now = self.clock()
        wait = max(_EVERY_SECONDS, _SHARE * (now - self._began))
        if not last and now - self._told < wait:
            return ()
        changed = [pair for pair in zip(self._cells, self._tallies, strict=True) if pair[1].changed]
        if not changed:
            return ()
        self._told = now
        at = int(now * 1000)
        for _, tally in changed:
            tally.changed = False
        return [self._total(at), *(self._point(name, tally, at) for name, tally in changed)]

    def _point(self, name: str, tally: _Tally, at: int) -> Point:
        counted = tally.done - (tally.unjudged if self._wrong else tally.failed)
        accuracy = tally.score / counted if counted else None
        return Point(name, at, tally.done, accuracy, tally.spend, tally.failed)

    def _total(self, at: int) -> Point:
        return Point(
            cell="",
            time=at,
            done=sum(tally.done for tally in self._tallies),
            accuracy=None,
            spend_usd=sum(tally.spend for tally in self._tallies),
            failed=sum(tally.failed for tally in self._tallies),
        )


def unfinished(asked: Description, *, started: str, kept: int) -> ExperimentSummary:
    """Return the summary of an experiment before its first trial.

    Args:
        asked: Its description.
        started: When the run began, ISO 8601.
        kept: Trials that earlier runs did.
    """
    cells = []
    for cell in asked.cells:
        scheduled = asked.scheduled(cell)
        cells.append(cell.summary(scheduled, outcomes={"skipped": scheduled}))
    return asked.summary(cells, 0.0, RunSummary.partial(started=started, kept=kept))
