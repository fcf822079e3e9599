"""What is said of a trial, as MLflow's assessments of its trace. Imports mlflow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlflow.entities import (
    Assessment,
    AssessmentError,
    AssessmentSource,
    AssessmentSourceType,
    Expectation,
    Feedback,
)
from mlflow.tracing.constant import AssessmentMetadataKey

from ember_bench.tracking.fields import cut
from ember_bench.tracking.messages import TracedTrial, Verdict

CORRECT: Final = "correct"
SCORE: Final = "score"
COST: Final = "cost_usd_per_1000"
"""What a thousand such items cost: MLflow's pages show two decimals."""
EXPECTED: Final = "expected_response"
"""MLflow's own name for the right answer."""

_LONGEST: Final = 4_000
_LONGEST_NAME: Final = 250


class Assessor:
    """Writes assessments for the trials of one cell.

    Args:
        run_id: The run that they are part of.
        evaluator: Name of the dataset's evaluator.
        dataset: Name of the dataset, which has the targets.
        wrong: Whether failed trials count as wrong; else they have no score.
    """

    def __init__(self, run_id: str, *, evaluator: str, dataset: str, wrong: bool) -> None:
        self._about = {AssessmentMetadataKey.SOURCE_RUN_ID: run_id}
        self._evaluator = AssessmentSource(AssessmentSourceType.CODE, evaluator)
        # Nobody is known to have written the targets, but no program of ours has.
        self._dataset = AssessmentSource(AssessmentSourceType.HUMAN, dataset)
        self._wrong = wrong

    def assess(self, trial: TracedTrial, at: int) -> list[Assessment]:
        """Return the assessments of a trial, given at a time in milliseconds."""
        given = {verdict.name for verdict in trial.verdicts}
        found = [
            *(said for said in self._scores(trial) if said.name not in given),
            *(self._verdict(verdict) for verdict in trial.verdicts),
        ]
        if trial.cost_usd is not None:
            found.append(self._feedback(COST, 1_000 * trial.cost_usd))
        if trial.target:
            value = cut(trial.target, _LONGEST)
            found.append(Expectation(EXPECTED, value, self._dataset, metadata=dict(self._about)))
        for said in found:
            said.create_time_ms = said.last_update_time_ms = at
        return found

    def _scores(self, trial: TracedTrial) -> Iterator[Assessment]:
        if trial.error is not None and not self._wrong:
            kind, _, message = trial.error.partition(": ")
            error = AssessmentError(cut(kind, _LONGEST_NAME), cut(message, _LONGEST))
            for name in (CORRECT, SCORE):
                yield Feedback(
                    name, error=error, source=self._evaluator, metadata=dict(self._about)
                )
            return
        why = trial.explanation if trial.error is None else trial.error
        yield self._feedback(CORRECT, trial.outcome == "correct", why)
        yield self._feedback(SCORE, trial.score)

    def _verdict(self, verdict: Verdict) -> Feedback:
        name = cut(verdict.name, _LONGEST_NAME)
        source = self._evaluator
        if verdict.judge:
            source = AssessmentSource(AssessmentSourceType.LLM_JUDGE, verdict.judge)
        return self._feedback(name, verdict.value, verdict.rationale, source)

    def _feedback(
        self,
        name: str,
        value: bool | float | str,
        why: str = "",
        source: AssessmentSource | None = None,
    ) -> Feedback:
        return Feedback(
            name,
            value,
            source=source or self._evaluator,
            rationale=cut(why, _LONGEST) or None,
            metadata=dict(self._about),
        )
