"""Operators that leave candidates out before they choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ember_bench.operators.base import Inputs
from ember_bench.operators.candidates import Ties, candidates_of, settle, tally, vote
from ember_bench.operators.fan_in import Verifying
from ember_bench.operators.lm import LMModule
from ember_bench.operators.signature import Signature


class FilterVote(Verifying):
    """Majority vote over the candidates that a model accepts; over all if it accepts none.

    Filter-Vote of "Are More LM Calls All You Need?" (Chen et al. 2024). Inputs: `query`,
    `responses`. Outputs: `final_answer` (None if no response has an answer); `votes`, answer ->
    count among those that were let through; and `accepted`, whether each response was. Responses
    without an answer are not shown to the filter.

    Args:
        lm_modules: The filter, one LM module.
        answer_format: How answers are read; by default as the inputs' `answer_format` says.
        ties: Rule for answers with equally many votes, as in `MostCommonOperator`.
        signature: Its prompt names `query` and `candidate`, and asks for a verdict, yes or no.
    """

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        answer_format: str | None = None,
        ties: Ties = "first",
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(lm_modules=lm_modules, answer_format=answer_format, signature=signature)
        self.ties: Ties = ties

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Filter all candidates at the same time, then count."""
        candidates = candidates_of(inputs, self.answer_format)
        accepted = self._accepted(candidates, inputs)
        passed = [c for c, accept in zip(candidates, accepted, strict=True) if accept]
        answers = [candidate.answer for candidate in passed or candidates]
        votes = {answer: int(count) for answer, count in tally(answers).items()}
        return {**settle(vote(answers), self.ties, inputs), "votes": votes, "accepted": accepted}
