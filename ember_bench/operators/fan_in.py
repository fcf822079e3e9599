"""What the operators that show candidates to a model have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ember_bench.answers.formats import parse_answer
from ember_bench.errors import SignatureError
from ember_bench.operators.base import Inputs, Operator, OperatorKind
from ember_bench.operators.candidates import Candidate, answers_of
from ember_bench.operators.lm import LMModule, ask_requests
from ember_bench.operators.signature import Signature, builtin_signature


class LMFanIn(Operator):
    """An operator that shows candidates to one LM module.

    Attributes:
        card: The default signature's name.
    """

    kind = OperatorKind.FAN_IN
    asks_once = True
    card: ClassVar[str]

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(
            lm_modules=one_lm(lm_modules, self), signature=signature or builtin_signature(self.card)
        )
        self.answer_format = answer_format

    def _render(self, inputs: Inputs) -> str:
        assert self.signature is not None  # noqa: S101 - set by __init__
        return self.signature.render(inputs)

    def _parse(self, text: str, inputs: Inputs) -> str | None:
        return read_answer(text, inputs, self.answer_format)

    def _ask_about_all(self, candidates: Sequence[Candidate], inputs: Inputs) -> str:
        """Show all candidates in one list; return what is said."""
        prompt = self._render({**inputs, "candidates": numbered([c.text for c in candidates])})
        return self.lms[0](prompt, role=self.role, about=answers_of(candidates))

    def _ask_each(self, candidates: Sequence[Candidate], inputs: Inputs) -> list[str]:
        """Show each candidate by itself, all at the same time; return what is said to each."""
        lm = self.lms[0]
        requests = []
        for shown in candidates:
            prompt = self._render({**inputs, "candidate": shown.text, "response": shown.text})
            requests.append((lm, lm.request(prompt, role=self.role, about=[shown.text])))
        return [response.data for response in ask_requests(requests)]


class Verifying(LMFanIn):
    """An operator that has each candidate verified."""

    role = "verify"
    reads = ("yes_no",)
    card = "verify"

    def _accepted(self, candidates: Sequence[Candidate], inputs: Inputs) -> list[bool]:
        """Return whether each candidate is accepted; one without an answer is not shown."""
        readable = [i for i, candidate in enumerate(candidates) if candidate.answer is not None]
        verdicts = self._ask_each([candidates[i] for i in readable], inputs)
        accepted = [False] * len(candidates)
        for i, verdict in zip(readable, verdicts, strict=True):
            accepted[i] = says_yes(verdict)
        return accepted


def one_lm(lm_modules: Sequence[LMModule], holder: Operator) -> Sequence[LMModule]:
    """Return `lm_modules` if it is one.

    Raises:
        ValueError: if it is not, naming the operator that takes it.
    """
    if len(lm_modules) != 1:
        raise ValueError(f"{type(holder).__name__} takes one LM module, found {len(lm_modules)}")
    return lm_modules


def says_yes(verdict: str) -> bool:
    """Whether a model's text ends in a verdict of yes."""
    return parse_answer(verdict, "yes_no") == "yes"


def read_answer(
    text: str, inputs: Mapping[str, Any], answer_format: str | None = None
) -> str | None:
    """Return the answer in `text`; `answer_format` comes before that of the inputs."""
    name = answer_format or inputs.get("answer_format", "text")
    return parse_answer(text, name, inputs.get("choices", ()))


def as_responses(
    texts: Sequence[str], inputs: Mapping[str, Any], answer_format: str | None = None
) -> dict[str, Any]:
    """Return the output fields of an operator that writes texts: one is a final answer too."""
    outputs: dict[str, Any] = {"responses": list(texts)}
    if len(texts) == 1:
        outputs["final_answer"] = read_answer(texts[0], inputs, answer_format)
    return outputs


def numbered(texts: Sequence[str], critiques: Sequence[str] | None = None) -> str:
    """Return candidates as a prompt shows them, each with its critique if there are any.

    Raises:
        SignatureError: if there are not as many critiques as candidates.
    """
    shown = [f"Candidate {i}:\n{text}" for i, text in enumerate(texts, start=1)]
    if critiques is not None:
        if len(critiques) != len(texts):
            raise SignatureError(f"{len(critiques)} critiques of {len(texts)} responses")
        pairs = enumerate(zip(shown, critiques, strict=True), start=1)
        shown = [f"{text}\n\nCritique of candidate {i}:\n{said}" for i, (text, said) in pairs]
    return "\n\n".join(shown)
