"""Operators that show candidates to one LM module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ember_bench.answers.formats import parse_answer
from ember_bench.errors import SignatureError
from ember_bench.operators.asking import ask_requests
from ember_bench.operators.base import Inputs, Operator, OperatorKind
from ember_bench.operators.candidates import Candidate, Ties, answers_of, known_ties, read_answer
from ember_bench.operators.lm import LMModule, check_modules
from ember_bench.operators.signature import Signature


class LMFanIn(Operator):
    """An operator that shows candidates to one LM module.

    Attributes:
        optional: There may be no LM module.
    """

    kind = OperatorKind.FAN_IN
    asks_once = True
    needs: ClassVar[Sequence[str]] = ("responses",)
    optional: ClassVar[bool] = False

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        if lm_modules or not self.optional:
            one_lm(lm_modules, self)
        super().__init__(lm_modules=lm_modules, signature=signature)
        self.answer_format = answer_format

    def _parse(self, text: str, inputs: Inputs) -> str | None:
        return read_answer(text, inputs, self.answer_format)

    def _ask_about_all(self, candidates: Sequence[Candidate], inputs: Inputs) -> str:
        """Show all candidates in one list; return the response."""
        prompt = self._prompt({**inputs, "candidates": numbered([c.text for c in candidates])})
        return self.lms[0](prompt, role=self.role, about=answers_of(candidates))

    def _ask_each(self, candidates: Sequence[Candidate], inputs: Inputs) -> list[str]:
        """Show each candidate by itself, all at the same time; return the responses."""
        lm = self.lms[0]
        requests = []
        for shown in candidates:
            prompt = self._prompt({**inputs, "candidate": shown.text, "response": shown.text})
            requests.append((lm, lm.request(prompt, role=self.role, about=[shown.text])))
        return [response.data for response in ask_requests(requests)]


class Settling(LMFanIn):
    """An operator that counts for each answer, and has a rule for answers that are level."""

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        answer_format: str | None = None,
        ties: Ties = "first",
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(lm_modules=lm_modules, answer_format=answer_format, signature=signature)
        self.ties: Ties = known_ties(ties)


class Verifying(LMFanIn):
    """An operator that has a model verify each candidate."""

    role = "verify"
    fills = ("candidate", "response")
    reads = ("yes_no",)
    default_signature = "verify"

    def _accepted(self, candidates: Sequence[Candidate], inputs: Inputs) -> list[bool]:
        """Return whether each candidate is accepted; those without an answer are not shown."""
        readable = [i for i, candidate in enumerate(candidates) if candidate.answer is not None]
        verdicts = self._ask_each([candidates[i] for i in readable], inputs)
        accepted = [False] * len(candidates)
        for i, verdict in zip(readable, verdicts, strict=True):
            accepted[i] = says_yes(verdict)
        return accepted


def one_lm(lm_modules: Sequence[LMModule], holder: Operator) -> Sequence[LMModule]:
    """Return `lm_modules`, which must be a single one.

    Raises:
        ValueError: if it is not, naming the operator that takes it.
        TypeError: as `check_modules`.
    """
    check_modules(lm_modules, type(holder).__name__)
    if len(lm_modules) != 1:
        raise ValueError(f"{type(holder).__name__} takes one LM module, found {len(lm_modules)}")
    return lm_modules


# The source is part of the descriptions of operators that take it for a default.
def says_yes(verdict: str) -> bool:
    """Whether a model's text ends in a verdict of yes."""
    return parse_answer(verdict, "yes_no") == "yes"


def as_responses(
    texts: Sequence[str], inputs: Mapping[str, Any], answer_format: str | None = None
) -> dict[str, Any]:
    """Return the output fields of an operator that writes texts; a single text has an answer."""
    outputs: dict[str, Any] = {"responses": list(texts)}
    if len(texts) == 1:
        outputs["final_answer"] = read_answer(texts[0], inputs, answer_format)
    return outputs


def numbered(texts: Sequence[str], critiques: Sequence[str] | None = None) -> str:
    """Return candidates as a list for a prompt, each with its critique if there are any.

    Raises:
        SignatureError: if the numbers of critiques and candidates differ.
    """
    shown = [f"Candidate {i}:\n{text}" for i, text in enumerate(texts, start=1)]
    if critiques is not None:
        if len(critiques) != len(texts):
            raise SignatureError(f"{len(critiques)} critiques of {len(texts)} responses")
        pairs = enumerate(zip(shown, critiques, strict=True), start=1)
        shown = [f"{text}\n\nCritique of candidate {i}:\n{said}" for i, (text, said) in pairs]
    return "\n\n".join(shown)
