"""Made-up trials: an engine whose trials come to what a table says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.trial import Trial, TrialResult, fingerprint
from ember_bench.experiment.trial_calls import CallEntry
from tests.support.workspace import Ran, Workspace


@dataclass
class Row:
    """What a made-up trial came to."""

    score: float = 0.0
    outcome: str | None = None
    cost: float | None = 0.01
    latency: float | None = 1.0
    key: bytes = b""


Table = Callable[[int, int, int], Row]
"""(cell, number of the item as in its id, epoch) -> row."""


class Made:
    """An engine whose trials come to what a table says."""

    def __init__(self, table: Table) -> None:
        self.table = table

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        yield [self._result(experiment, trial) for trial in trials]

    def _result(self, experiment: Experiment, trial: Trial) -> TrialResult:
        cell, item = experiment.cells[trial.cell], experiment.item(trial)
        row = self.table(trial.cell, int(item.id.rpartition("-")[2]), trial.epoch)
        by_score = {0.0: "wrong", 1.0: "correct"}.get(row.score, "partial")
        outcome: Any = row.outcome or by_score
        key = row.key or f"{trial}".encode()
        call = CallEntry(key, "counted:a", "answer", "generate", 0.0, 1.0, row.cost, 3, 5, True)
        identity = fingerprint(
            cell, item, experiment.questions[cell.dataset].evaluator, trial.epoch
        )
        error = "it failed" if outcome == "error" else None
        return TrialResult(
            trial, identity, outcome, row.score, "x", "", error, row.cost, row.latency, 0.0, (call,)
        )


def analysed(workspace: Workspace, table: Table) -> Ran:
    return workspace.run(engine=Made(table))


def width(estimate: Quantity | None) -> float:
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low
