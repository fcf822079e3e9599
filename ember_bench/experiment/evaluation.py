"""What scoring a trial asks of models, apart from what its architecture asks."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, cast

import msgspec

from ember_bench.experiment.results.summary import Outcome
from ember_bench.experiment.trial_calls import CallEntry, critical_path, entries, in_order
from ember_bench.models.strand import CallRecord, Purse, Strand


@dataclass(slots=True)
class Evaluation:
    """The calls of the judges of one trial.

    Attributes:
        purse: Where the money for them comes from: the trial's.
        calls: The calls made so far.
        clock: Their critical path so far, in seconds.
        wasted_calls: Requests whose answers could not be used.
        wasted_usd: Their cost, as far as it is known.
        verdicts: The answers that were read.
        failed: Whether a judge failed, or could not be understood.
        rival: Returns the baseline's output, if outputs are compared with it.
    """

    purse: Purse | None = None
    calls: list[CallRecord] = field(default_factory=list)
    clock: float = 0.0
    wasted_calls: int = 0
    wasted_usd: float = 0.0
    verdicts: list[str] = field(default_factory=list)
    failed: bool = False
    rival: Callable[[], str] | None = None

    def add(self, strands: list[Strand]) -> None:
        """Add the calls of questions that were asked at the same time."""
        self.clock = max([self.clock, *(strand.clock for strand in strands)])
        for strand in strands:
            self.calls += strand.trial.calls
            self.wasted_calls += strand.trial.wasted_calls
            self.wasted_usd += strand.trial.wasted_usd


current: Final[ContextVar[Evaluation | None]] = ContextVar("ember_bench_evaluation", default=None)
"""The evaluation that the running code is part of; None outside a trial's scoring."""


class EvaluationResult(msgspec.Struct, frozen=True):
    """What the judges of a trial were asked, and what that cost.

    Attributes:
        cost_usd: Cost of all calls, shared ones included; None if a price is unknown.
        latency_seconds: Critical path over the calls' durations; None if one is unknown.
        spend_usd: Cost of the requests made by this trial, as far as it is known.
        verdicts: The judges' answers, as they were read.
        wasted_calls: Requests whose answers could not be used, beside `calls`.
    """

    cost_usd: float | None
    latency_seconds: float | None
    spend_usd: float
    calls: tuple[CallEntry, ...]
    verdicts: tuple[str, ...] = ()
    wasted_calls: int = 0


class FurtherScore(msgspec.Struct, frozen=True):
    """The score that a further evaluator gave to the output of a trial.

    Attributes:
        evaluator: Its name.
        score: In [0, 1]; 0 where there is none.
        characters: Length of the output.
    """

    evaluator: str
    outcome: Outcome
    score: float
    answer: str | None
    explanation: str
    characters: int


def evaluated(judged: Evaluation) -> EvaluationResult:
    """Return what the judges of a trial were asked, as its result has it."""
    calls = in_order(judged.calls)
    costs = [call.cost_usd for call in calls]
    return EvaluationResult(
        cost_usd=None if None in costs else math.fsum(cast("list[float]", costs)),
        latency_seconds=critical_path(calls, judged.clock),
        spend_usd=math.fsum([*(call.spend_usd for call in calls), judged.wasted_usd]),
        calls=entries(calls),
        verdicts=tuple(judged.verdicts),
        wasted_calls=judged.wasted_calls,
    )
