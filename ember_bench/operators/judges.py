"""Operators in which a model chooses among candidates."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from ember_bench.operators.base import Inputs, operator
from ember_bench.operators.candidates import Candidate, answers_of, candidates_of, seeded_index
from ember_bench.operators.fan_in import LMFanIn, Verifying
from ember_bench.operators.lm import LMModule
from ember_bench.operators.signature import Signature

_ANSWER_LINE = re.compile(r"^[ \t*_#>]{0,9}(?:final )?answer[*_ \t]*[:\uff1a][^\n]*$", re.I | re.M)
_EXPLANATION = re.compile(r"[\s*_#>]{0,9}explanation[*_ \t]*[:\uff1a][*_ \t]*", re.I)


@operator
class VerifierOperator(Verifying):
    """Has a model verify each candidate, and takes an accepted one.

    Networks of Networks (Davis et al. 2024). Responses without an answer are not shown to the
    verifier. Inputs: `query`, `responses`. Outputs: `final_answer`, that of an accepted candidate
    or, if none is accepted, of any; and `accepted`, a boolean per response.

    Args:
        lm_modules: The verifier, one LM module.
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        pick: Among several take the `first`, or a `random` one (seeded by the content).
        signature: Its prompt names `query` and `candidate`, and requests a verdict, yes or no.
    """

    gives = ("final_answer", "accepted")

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        answer_format: str | None = None,
        pick: Literal["first", "random"] = "first",
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(lm_modules=lm_modules, answer_format=answer_format, signature=signature)
        self.pick = pick

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Verify all candidates at the same time, then choose."""
        candidates = candidates_of(inputs, self.answer_format)
        accepted = self._accepted(candidates, inputs)
        readable = [i for i, candidate in enumerate(candidates) if candidate.answer is not None]
        pool = [i for i in readable if accepted[i]] or readable
        return {"final_answer": self._choose(pool, candidates, inputs), "accepted": accepted}

    def _choose(self, pool: list[int], candidates: list[Candidate], inputs: Inputs) -> str | None:
        if not pool:
            return None
        texts = [candidates[i].text for i in pool]
        index = 0
        if self.pick == "random":
            index = seeded_index(len(pool), str(inputs.get("query", "")), *texts)
        return candidates[pool[index]].answer


@operator
class JudgeBasedOperator(LMFanIn):
    """Has a judge read all candidates and state the final answer.

    Inputs: `query`, `responses`. Outputs: `final_answer`, read from the judge's text (None if it
    states none), and `judgement`, the text. An empty list of responses is not judged: the answer is
    None.

    Args:
        lm_modules: The judge, one LM module.
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        signature: Its prompt names `query` and `candidates`, a numbered list.
    """

    role = "judge"
    fills = ("candidates",)
    gives = ("final_answer", "judgement")
    default_signature = "judge"

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Call the judge."""
        candidates = candidates_of(inputs, self.answer_format)
        if not candidates:
            return {"final_answer": None, "judgement": ""}
        judgement = self._ask_about_all(candidates, inputs)
        return {"final_answer": self._parse(judgement, inputs), "judgement": judgement}


class Explained(BaseModel):
    """A final answer, None if the judge states none, and why it is the answer."""

    final_answer: str | None
    explanation: str


@operator
class JudgeExplainerOperator(LMFanIn):
    """Has a judge read all candidates, explain, and state the final answer.

    Inputs: `query`, `responses`. Outputs: `final_answer`, read from the judge's text by the
    answer format (a letter of the choices, yes or no, a number, ...; None if it states none), and
    `explanation`, the rest of the text. The judge may also reply with a JSON object of these two
    fields.

    Args:
        lm_modules: The judge, one LM module.
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        signature: Its prompt names `query` and `candidates`, a numbered list.
    """

    role = "judge"
    fills = ("candidates",)
    gives = ("final_answer", "explanation")
    default_signature = "judge_explain"

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Call the judge."""
        candidates = candidates_of(inputs, self.answer_format)
        if not candidates:
            return {"final_answer": None, "explanation": ""}
        said = self._ask_about_all(candidates, inputs)
        answer, explanation = split_explained(said)
        return {"final_answer": self._parse(answer, inputs), "explanation": explanation}


@operator
class GetAnswerOperator(LMFanIn):
    """States the final answer of one response or several.

    Inputs: `responses` (or one `response`); with an LM module also `query`. Outputs:
    `final_answer`.

    Args:
        lm_modules: A model that reads the responses and states their answer. Without one, it is
            the answer of the first response that has an answer.
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        signature: Its prompt names `query` and `candidates`, a numbered list.
    """

    role = "judge"
    fills = ("candidates",)
    uses = ("response",)
    gives = ("final_answer",)
    default_signature = "get_answer"
    optional = True

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule] = (),
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(lm_modules=lm_modules, answer_format=answer_format, signature=signature)

    def check_fields(self, given: Inputs) -> Inputs:
        """Check that there is a response, and what the model is shown."""
        return super().check_fields(_with_responses(given))

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Read the answer, or have the model state it."""
        candidates = candidates_of(_with_responses(inputs), self.answer_format)
        if not self.lms or not candidates:
            return {"final_answer": next(iter(answers_of(candidates)), None)}
        return {"final_answer": self._parse(self._ask_about_all(candidates, inputs), inputs)}


def _with_responses(inputs: Inputs) -> Inputs:
    if "responses" not in inputs and "response" in inputs:
        return {**inputs, "responses": [inputs["response"]]}
    return inputs


def split_explained(text: str) -> tuple[str, str]:
    """Return (the text that contains the answer, the explanation) of a judge's text.

    A JSON object is split into its fields. In any other text, the explanation is everything but
    the last line that begins with "Answer:".
    """
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end and not text[:start].strip("` \njson"):
        try:
            fields = json.loads(text[start : end + 1], strict=False)
            return f"Answer: {fields['final_answer']}", str(fields.get("explanation", "")).strip()
        except (ValueError, KeyError):
            pass
    lines = list(_ANSWER_LINE.finditer(text))
    rest = text[: lines[-1].start()] + text[lines[-1].end() :] if lines else text
    if heading := _EXPLANATION.match(rest):
        rest = rest[heading.end() :]
    return text, rest.strip()
