"""Curves of a run while it goes on: how each cell's accuracy and spend come about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ember_bench.experiment.results.description import CellDescription, Description
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import CellSummary, ExperimentSummary, RunSummary
from ember_bench.experiment.trial import TrialResult
from ember_bench.tracking.messages import Point

_EVERY_SECONDS: Final = 1.0
_SHARE: Final = 0.05
"""A point of the curves is at most so much older than the run: ten hours make some 150."""


@dataclass(slots=True)
class _Tally:
    done: int = 0
    failed: int = 0
    score: float = 0.0
    spend: float = 0.0
    changed: bool = False

    def add(self, outcome: str, score: float, spend: float) -> None:
        self.done += 1
        self.failed += outcome == "error"
        self.score += score
        self.spend += spend
        self.changed = True


@dataclass
class Curves:
    """Counts trials as they are done, and tells now and then where each cell stands.

    Args:
        rows: The trial store, before the run begins: the curves go on from what it has.
        clock: Seconds since 1970; injected in tests.
    """

    rows: TrialRows
    clock: Callable[[], float] = time.time
    _tallies: list[_Tally] = field(init=False)

    def __post_init__(self) -> None:
        """Count what earlier runs have done; trials that failed are run again."""
        asked = self.rows.description
        self._cells = [cell.name for cell in asked.cells]
        self._wrong = asked.failures == "wrong"
        self._began = self._told = self.clock()
        self._tallies = [_Tally() for _ in self._cells]
        for place, tally in enumerate(self._tallies):
            for _, _, *row in self.rows.columns(place, ("outcome", "score", "spend_usd")):
                if row[0] != "error":
                    tally.add(*row)

    def add(self, results: Iterable[TrialResult]) -> None:
        """Count trials."""
        for result in results:
            self._tallies[result.trial.cell].add(result.outcome, result.score, result.spend_usd)

    def points(self, *, last: bool = False) -> Sequence[Point]:
        """Return where the cells stand that have come on; nothing if it is too early to tell.

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
        counted = tally.done if self._wrong else tally.done - tally.failed
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
    """Return what is known of an experiment before its first trial.

    Args:
        asked: What it asks.
        started: When the run began, ISO 8601.
        kept: Trials that earlier runs did.
    """
    return ExperimentSummary(
        name=asked.name,
        digest=asked.digest,
        version=asked.version,
        seed=asked.seed,
        epochs=asked.epochs,
        failures=asked.failures,
        level=asked.level,
        baseline=asked.baseline,
        simulated=any(cell.simulated for cell in asked.cells),
        datasets=asked.datasets,
        cells=[_unfinished_cell(cell, asked.scheduled(cell)) for cell in asked.cells],
        spend_usd=0.0,
        run=RunSummary("partial", started, 0.0, 0, kept, 0, 0, 0.0, []),
    )


def _unfinished_cell(cell: CellDescription, scheduled: int) -> CellSummary:
    return CellSummary(
        name=cell.name,
        label=cell.label,
        dataset=cell.dataset,
        architecture=cell.architecture,
        parameters=cell.parameters,
        models=cell.models,
        simulated=cell.simulated,
        oracle=cell.oracle,
        scheduled=scheduled,
        items=0,
        outcomes={"skipped": scheduled},
        accuracy=None,
        accuracy_worst=None,
        accuracy_best=None,
        cost_per_item=None,
        cost_per_correct=None,
        latency_seconds=None,
        latency_p50=None,
        latency_p95=None,
        calls=0,
        calls_made=0,
        calls_shared=0,
        input_tokens=0,
        output_tokens=0,
        spend_usd=None,
        comparison=None,
        categories={},
        replayed=cell.replayed,
    )
