"""Operators that choose by counting votes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ember_bench.errors import SignatureError
from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator
from ember_bench.operators.candidates import (
    Ties,
    candidates_of,
    count,
    known_ties,
    leaders,
    settle,
    tally,
)
from ember_bench.operators.fan_in import Settling, Verifying
from ember_bench.operators.signature import Signature, required_input


@operator
class MostCommonOperator(Operator):
    """Majority (plurality) vote over the answers read from the responses.

    "Are More LM Calls All You Need?" (Chen et al. 2024) calls this system Vote. Inputs:
    `responses`. Outputs: `final_answer` (None if no response has an answer) and `votes`, answer ->
    count.

    Args:
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        ties: Among answers with equally many votes take the `first` given, a `random` one (seeded
            by the content), `none` (there is no answer, as of a judge that contradicts itself when
            its candidates change places), or let them `share` the credit, which is the
            expectation of `random`.
        signature: By default it requires `responses`.
    """

    kind = OperatorKind.FAN_IN
    pure = True
    signature = Signature(required_inputs=["responses"])
    needs = ("responses",)
    gives = ("final_answer", "answers", "credit", "votes")

    def __init__(
        self,
        *,
        answer_format: str | None = None,
        ties: Ties = "first",
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(signature=signature)
        self.answer_format = answer_format
        self.ties: Ties = known_ties(ties)

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Count the votes."""
        answers = [candidate.answer for candidate in candidates_of(inputs, self.answer_format)]
        votes = count(answers)
        return {**settle(leaders(votes), self.ties, inputs), "votes": votes}


@operator
class WeightedVote(Operator):
    """Vote in which the weight of each voter counts.

    For independent voters and two answers, the best weight of a voter that is right with
    probability p is log(p / (1 - p)) (Nitzan and Paroush 1982). Inputs: `responses`; and
    `weights`, one per response, if the operator has none. Outputs: `final_answer` (None if no
    response has an answer) and `votes`, answer -> sum of weights.

    Args:
        weights: One per response, in their order; at least 0.
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        ties: Rule for answers with equal sums, as in `MostCommonOperator`.
    """

    kind = OperatorKind.FAN_IN
    pure = True
    signature = Signature(required_inputs=["responses"])
    needs = ("responses",)
    gives = ("final_answer", "answers", "credit", "votes")

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
        self.ties: Ties = known_ties(ties)

    def check_fields(self, given: Inputs) -> Inputs:
        """Check that there are responses and weights."""
        if self.weights is None:
            required_input("weights", given)
        return super().check_fields(given)

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Add up the weights."""
        answers = [candidate.answer for candidate in candidates_of(inputs, self.answer_format)]
        weights = self.weights
        if weights is None:
            if "weights" not in inputs:
                raise SignatureError("missing input 'weights': the operator has none of its own")
            weights = _checked(inputs["weights"], "input weights")
        if len(weights) != len(answers):
            raise SignatureError(f"{len(weights)} weights for {len(answers)} responses")
        votes = tally(answers, weights)
        return {**settle(leaders(votes), self.ties, inputs), "votes": votes}


def _checked(weights: Sequence[float], what: str) -> list[float]:
    if not all(0 <= weight < math.inf for weight in weights):
        raise SignatureError(f"{what}: expected numbers of at least 0, found {list(weights)}")
    return list(weights)


@operator
class FilterVote(Settling, Verifying):
    """Majority vote over the candidates that a model accepts, or over all if it accepts none.

    Filter-Vote of "Are More LM Calls All You Need?" (Chen et al. 2024). Responses without an
    answer are not shown to the filter. Inputs: `query`, `responses`. Outputs: `final_answer`
    (None if no response has an answer); `votes`, answer -> count among the accepted; and
    `accepted`, a boolean per response.

    Args:
        lm_modules: The filter, one LM module.
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        ties: Rule for answers with equally many votes, as in `MostCommonOperator`.
        signature: Its prompt names `query` and `candidate`, and requests a verdict, yes or no.
    """

    described_as = "ember_bench.operators.filters.FilterVote"
    gives = ("final_answer", "answers", "credit", "votes", "accepted")

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Filter all candidates at the same time, then count the votes."""
        candidates = candidates_of(inputs, self.answer_format)
        accepted = self._accepted(candidates, inputs)
        passed = [c for c, accept in zip(candidates, accepted, strict=True) if accept]
        answers = [candidate.answer for candidate in passed or candidates]
        votes = count(answers)
        return {**settle(leaders(votes), self.ties, inputs), "votes": votes, "accepted": accepted}


@operator
class OracleOperator(Operator):
    """Right if any response is: the upper limit of all rules that choose among them.

    It needs the target, so it is a bound and not a system that can be deployed. Inputs:
    `responses`. Outputs: `answers`, of which the best one counts.

    Args:
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
    """

    kind = OperatorKind.FAN_IN
    pure = True
    signature = Signature(required_inputs=["responses"])
    needs = ("responses",)
    gives = ("final_answer", "answers", "credit")

    def __init__(self, *, answer_format: str | None = None) -> None:
        super().__init__()
        self.answer_format = answer_format

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Keep every distinct answer."""
        answers = list(count(c.answer for c in candidates_of(inputs, self.answer_format)))
        return {
            "final_answer": answers[0] if answers else None,
            "answers": answers,
            "credit": "best",
        }
