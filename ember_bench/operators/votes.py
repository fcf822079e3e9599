"""Operators that choose by counting."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ember_bench.errors import SignatureError
from ember_bench.operators.base import Inputs, Operator, OperatorKind
from ember_bench.operators.candidates import Ties, candidates_of, settle, tally, vote
from ember_bench.operators.signature import Signature


class MostCommonOperator(Operator):
    """Majority (plurality) vote over the answers that can be read out of the responses.

    "Are More LM Calls All You Need?" (Chen et al. 2024) calls this system Vote. Inputs:
    `responses`. Outputs: `final_answer` (None if no response has an answer) and `votes`, answer ->
    count.

    Args:
        answer_format: How answers are read; by default as the inputs' `answer_format` says.
        ties: Among answers with equally many votes take the `first` given, a `random` one (seeded
            by the content), or let them `share` the credit, which is the expectation of `random`.
    """

    kind = OperatorKind.FAN_IN
    pure = True
    signature = Signature(required_inputs=["responses"])

    def __init__(
        self,
        *,
        answer_format: str | None = None,
        ties: Ties = "first",
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(signature=signature)
        self.answer_format = answer_format
        self.ties: Ties = ties

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Count."""
        answers = [candidate.answer for candidate in candidates_of(inputs, self.answer_format)]
        votes = Counter(answer for answer in answers if answer is not None)
        return {**settle(vote(answers), self.ties, inputs), "votes": dict(votes)}


class WeightedVote(Operator):
    """Vote in which each voter counts by its weight.

    Where the voters err independently and there are two answers, log(p / (1 - p)) is the best
    weight for a voter that is right with probability p (Nitzan and Paroush 1982). Inputs:
    `responses`; and `weights`, one for each, where the operator has none of its own. Outputs:
    `final_answer` (None if no response has an answer) and `votes`, answer -> sum of weights.

    Args:
        weights: One for each response, in their order; at least 0.
        answer_format: How answers are read; by default as the inputs' `answer_format` says.
        ties: Rule for answers with equal sums, as in `MostCommonOperator`.
    """

    kind = OperatorKind.FAN_IN
    pure = True
    signature = Signature(required_inputs=["responses"])

    def __init__(
        self,
        *,
        weights: Sequence[float] | None = None,
        answer_format: str | None = None,
        ties: Ties = "first",
    ) -> None:
        super().__init__()
        self.weights = None if weights is None else _checked(weights, "weights")
        self.answer_format = answer_format
        self.ties: Ties = ties

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Add up."""
        answers = [candidate.answer for candidate in candidates_of(inputs, self.answer_format)]
        weights = self.weights
        if weights is None:
            if "weights" not in inputs:
                raise SignatureError("missing input 'weights': the operator has none of its own")
            weights = _checked(inputs["weights"], "input weights")
        if len(weights) != len(answers):
            raise SignatureError(f"{len(weights)} weights for {len(answers)} responses")
        votes = tally(answers, weights)
        return {**settle(vote(answers, weights), self.ties, inputs), "votes": votes}


def _checked(weights: Sequence[float], what: str) -> list[float]:
    if not all(0 <= weight < math.inf for weight in weights):
        raise SignatureError(f"{what}: expected numbers of at least 0, found {list(weights)}")
    return list(weights)


class OracleOperator(Operator):
    """Right if any response is: the best that any way of choosing among them could do.

    Not a system one can run, as it needs the target; a bound for those that one can. Inputs:
    `responses`. Outputs: `answers`, of which the best counts.
    """

    kind = OperatorKind.FAN_IN
    pure = True

    def __init__(self, *, answer_format: str | None = None) -> None:
        super().__init__(signature=Signature(required_inputs=["responses"]))
        self.answer_format = answer_format

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Keep every distinct answer."""
        candidates = candidates_of(inputs, self.answer_format)
        answers = list(dict.fromkeys(c.answer for c in candidates if c.answer is not None))
        return {
            "final_answer": answers[0] if answers else None,
            "answers": answers,
            "credit": "best",
        }
