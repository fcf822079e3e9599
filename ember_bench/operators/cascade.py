"""Operators that call further models only if the answer so far cannot be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ember_bench.errors import SignatureError
from ember_bench.operators.base import Inputs, Operator, operator
from ember_bench.operators.candidates import Ties, candidates_of, count, known_ties, leaders, settle
from ember_bench.operators.fields import ANYTHING, check_chain, joined, names, note_all, outputs_of
from ember_bench.operators.references import called
from ember_bench.operators.signature import Signature
from ember_bench.operators.tree import check_operator

_NO_CONFIDENCE: Final = "the cascade's operator returns neither `confidence` nor `accepted`"

Confidence = Callable[[str, Inputs], float]


@operator
class CascadeOperator(Operator):
    """Runs stages, the cheapest first, until an answer can be trusted.

    FrugalGPT (Chen et al. 2023). An answer is trusted if enough responses of the stage agree or,
    with `confidence`, by a score of the most common answer: FrugalGPT's learnt scorer, or a
    verifier as in AutoMix (Aggarwal et al. 2024).

    Inputs: those of the stages. Outputs: `final_answer`, `stage` (the number of the last stage
    run, from 1) and its `responses`. The responses of earlier stages are dropped, as they could
    not be trusted.

    Args:
        stages: Operators that return `responses`, cheapest first.
        agreement: Share of a stage's responses that must have the same answer for it to be
            accepted, in (0, 1]; the last stage is always accepted. Ignored with a `confidence`.
        confidence: A function (response, inputs) -> number, or an operator that takes the response
            as `responses` and returns a `confidence`, or `accepted` as a verifier does.
        threshold: Least confidence with which an answer is accepted.
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        ties: Rule for the last stage, as in `MostCommonOperator`.

    Raises:
        SignatureError: if a stage returns no `responses`, or the operator of the confidence none.
    """

    gives = ("final_answer", "answers", "credit", "stage", "responses")

    def __init__(
        self,
        *,
        stages: Sequence[Operator],
        agreement: float = 1.0,
        confidence: Confidence | Operator | None = None,
        threshold: float = 0.5,
        answer_format: str | None = None,
        ties: Ties = "first",
    ) -> None:
        if not stages:
            raise ValueError("a cascade needs at least one stage")
        if not 0 < agreement <= 1:
            raise ValueError(f"agreement must be in (0, 1], found {agreement}")
        for number, stage in enumerate(stages, start=1):
            check_operator(stage, f"stage {number}")
        super().__init__(signature=Signature())
        self.stages = list(stages)
        self.agreement = agreement
        self.confidence = confidence
        if confidence is not None and not isinstance(confidence, Operator):
            called(confidence, "confidence", "response", "inputs")
        self.threshold = threshold
        self.answer_format = answer_format
        self.ties: Ties = known_ties(ties)
        outputs_of(self, ANYTHING)

    def check_fields(self, given: Inputs) -> Inputs:
        """Check all stages, also those that may not run, and the operator of the confidence."""
        named = [(f"stage {n}", stage, ()) for n, stage in enumerate(self.stages, start=1)]
        for stage, outputs in check_chain(named, given).items():
            if "responses" not in outputs:
                raise SignatureError(f"{stage} of the cascade returns no `responses`")
        if self.confidence is not None and not isinstance(self.confidence, Operator):
            note_all(given)
        elif self.confidence is not None and len(self.stages) > 1:
            outputs = outputs_of(self.confidence, joined(given, names("responses")))
            if "confidence" not in outputs and "accepted" not in outputs:
                raise SignatureError(_NO_CONFIDENCE)
        return super().check_fields(given)

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Run the stages."""
        outputs_of(self, inputs)
        last = len(self.stages)
        responses: list[str] = []
        ahead: list[str] = []
        for number, stage in enumerate(self.stages, start=1):
            output = stage(inputs)
            if not isinstance(output, Mapping) or "responses" not in output:
                raise SignatureError(f"stage {number} of the cascade returns no `responses`")
            responses = output["responses"]
            candidates = candidates_of({**inputs, "responses": responses}, self.answer_format)
            answers = [candidate.answer for candidate in candidates]
            ahead = leaders(count(answers))
            if number < last and ahead and self._trusts(ahead[0], answers, responses, inputs):
                last = number
                break
        return {**settle(ahead, self.ties, inputs), "stage": last, "responses": responses}

    def _trusts(
        self, answer: str, answers: Sequence[str | None], responses: Sequence[str], inputs: Inputs
    ) -> bool:
        if self.confidence is None:
            return Counter(answers)[answer] >= self.agreement * len(answers) - 1e-9
        response = responses[answers.index(answer)]
        if not isinstance(self.confidence, Operator):
            return self.confidence(response, inputs) >= self.threshold
        output = self.confidence({**inputs, "responses": [response]})
        return _confidence_in(output) >= self.threshold


def _confidence_in(output: Any) -> float:
    """Return the confidence in an operator's output, or the share of accepted responses."""
    if isinstance(output, Mapping):
        if "confidence" in output:
            return float(output["confidence"])
        if accepted := output.get("accepted"):
            return sum(accepted) / len(accepted)
    raise SignatureError(_NO_CONFIDENCE)
