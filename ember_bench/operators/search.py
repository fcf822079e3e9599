"""Search over partial solutions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ember_bench.errors import SignatureError
from ember_bench.operators.asking import ask_requests
from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator
from ember_bench.operators.fan_in import as_responses
from ember_bench.operators.fields import joined, names, note_all, outputs_of
from ember_bench.operators.lm import LMModule, check_modules
from ember_bench.operators.mapping import parallel
from ember_bench.operators.rankers import as_score, read_score
from ember_bench.operators.references import called
from ember_bench.operators.signature import Signature, as_signature
from ember_bench.operators.tree import check_operator

Value = Callable[[str, Inputs], float]

_ENDS: Final = re.compile(r"[ \t*_]*answer\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _State:
    """A partial solution: its thoughts, one per line, and its score."""

    text: str = ""
    score: float = 0.0

    @property
    def is_complete(self) -> bool:
        lines = self.text.splitlines()
        return bool(lines) and _ENDS.match(lines[-1]) is not None


@operator
class TreeSearch(Operator):
    """Searches a tree of thoughts: proposes next thoughts, values them, and keeps the best.

    Breadth-first search with a beam (Yao et al. 2023, Tree of Thoughts, algorithm 1). A state is a
    text, one thought per line; it is complete if its last line begins with "Answer". In each step
    every other state gets several next thoughts, every new state gets a score, and the best `beam`
    states are kept. Equal states are one; equal scores keep the order of proposals; a state without
    next thoughts stays. All calls of a kind in a step are made at the same time.

    Inputs: `query`. Outputs: `responses`, the last states, best first; their `scores`;
    `final_answer`, that of the best; and `transcript`, for each step the `state` and `score` of all
    states, best first.

    Args:
        lm_modules: The model that proposes, and optionally another that values. None if `propose`
            and `value` are given.
        propose: Instead of a model, an operator with the inputs `state` and `step`, from 1, and
            `responses`, of which each line is a next thought.
        value: Instead of a model, an operator with the input `state`; its `score` is the value,
            or the mean of the scores that its `responses` state. Or a function (state, inputs) ->
            number.
        steps: Maximum number of thoughts in a row.
        beam: Number of states that are kept.
        samples: Number of calls by which a model values a state; the mean counts.
        answer_format: Format of the final answer; by default the `answer_format` of the inputs.
        signature: The prompt for next thoughts; names `query` and `state`.
        value_signature: The prompt for values; names `query` and `state`, and requests a line
            "Score: " with a number.
    """

    kind = OperatorKind.RECURRENT
    fills = ("state", "step")
    gives = ("responses", "final_answer", "scores", "transcript")
    default_signature = "propose"
    reads = ("number",)

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule] = (),
        propose: Operator | None = None,
        value: Operator | Value | None = None,
        steps: int = 3,
        beam: int = 5,
        samples: int = 1,
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
        value_signature: Signature | type[Signature] | None = None,
    ) -> None:
        for name, number in (("steps", steps), ("beam", beam), ("samples", samples)):
            if number < 1:
                raise ValueError(f"{name} must be at least 1, found {number}")
        check_modules(lm_modules, type(self).__name__)
        needed = (propose is None) + (value is None)
        if not min(needed, 1) <= len(lm_modules) <= needed:
            raise ValueError(
                "TreeSearch takes a model that proposes and one that values, or one for both, in "
                f"the place of `propose` and `value`; found {len(lm_modules)} LM modules"
            )
        super().__init__(lm_modules=lm_modules, signature=signature)
        if propose is not None:
            check_operator(propose, "propose")
        self.propose = propose
        self.value = (
            value if value is None or isinstance(value, Operator) else called(value, "value")
        )
        self.steps, self.beam, self.samples = steps, beam, samples
        self.answer_format = answer_format
        self.value_signature = as_signature(value_signature, "value")

    def check_fields(self, given: Inputs) -> Inputs:
        """Check what the prompts name that are used, and the inputs of the operators."""
        self._check(given)
        for part in (self.propose, self.value):
            if isinstance(part, Operator):
                outputs_of(part, joined(given, names("state", "step")))
            elif part is not None:
                called(part, "value", "state", "inputs")
                note_all(given)
        signature = self._signature()
        if self.propose is not None and signature is not None:
            given = joined(names(*signature.placeholders), given)
        return super().check_fields(given)

    def _check(self, inputs: Inputs) -> None:
        if self.value is None:
            self.value_signature.check_rendering(inputs, "state")

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Search until all states are complete, or for `steps` steps."""
        outputs_of(self, inputs)
        states, transcript = [_State()], []
        for step in range(1, self.steps + 1):
            thoughts = self._next_thoughts(states, inputs, step)
            if not any(thoughts):
                break
            ordered = sorted(self._grown(states, thoughts, inputs), key=lambda s: -s.score)
            transcript.append([{"state": s.text, "score": s.score} for s in ordered])
            states = ordered[: self.beam]
        texts = [state.text for state in states]
        return {
            "responses": texts,
            "final_answer": as_responses(texts[:1], inputs, self.answer_format)["final_answer"],
            "scores": [state.score for state in states],
            "transcript": transcript,
        }

    def _next_thoughts(
        self, states: Sequence[_State], inputs: Inputs, step: int
    ) -> list[list[str]]:
        """Return the next thoughts of each state; none of one that is complete."""
        open_states = [state for state in states if not state.is_complete]
        given = [{**inputs, "state": state.text, "step": step} for state in open_states]
        if self.propose is None:
            lm = self.lms[0]
            requests = [
                (lm, lm.request(self._prompt(g), role=self.role, about=[g["state"]])) for g in given
            ]
            found = [[response.data] for response in ask_requests(requests)]
        else:
            found = [_responses(o) for o in parallel([partial(self.propose, g) for g in given])]
        lines = ([t.strip() for text in texts for t in text.splitlines()] for texts in found)
        return [[] if s.is_complete else [t for t in next(lines) if t] for s in states]

    def _grown(
        self, states: Sequence[_State], thoughts: Sequence[Sequence[str]], inputs: Inputs
    ) -> list[_State]:
        """Return the states after a step, each once, with their scores."""
        stay = [state for state, found in zip(states, thoughts, strict=True) if not found]
        pairs = zip(states, thoughts, strict=True)
        new = dict.fromkeys(f"{s.text}{thought}\n" for s, found in pairs for thought in found)
        scores = self._scores(list(new), inputs)
        return [*stay, *(_State(t, score) for t, score in zip(new, scores, strict=True))]

    def _scores(self, texts: Sequence[str], inputs: Inputs) -> list[float]:
        if self.value is None:
            scores = self._asked_scores(texts, inputs)
        elif isinstance(self.value, Operator):
            calls = [partial(self.value, {**inputs, "state": text}) for text in texts]
            scores = [_score(output) for output in parallel(calls)]
        else:
            scores = parallel([partial(self.value, text, inputs) for text in texts])
        return [as_score(score, "value") for score in scores]

    def _asked_scores(self, texts: Sequence[str], inputs: Inputs) -> list[float]:
        lm, requests = self.lms[-1], []
        for text in texts:
            prompt = self.value_signature.ask({**inputs, "state": text})
            requests += [(lm, lm.request(prompt, role="score", about=[text]))] * self.samples
        said = [read_score(response.data) for response in ask_requests(requests)]
        return [_mean(said[i : i + self.samples]) for i in range(0, len(said), self.samples)]


def _responses(output: Any) -> list[str]:
    if not isinstance(output, Mapping) or "responses" not in output:
        raise SignatureError("propose: its output has no `responses`, the next thoughts")
    return list(output["responses"])


def _score(output: Any) -> float:
    """Return the value that a value operator's output states."""
    if isinstance(output, Mapping) and "score" in output:
        return as_score(output["score"], "value")
    if isinstance(output, Mapping) and output.get("responses"):
        return _mean([read_score(text) for text in output["responses"]])
    raise SignatureError("value: its output has neither a `score` nor `responses`")


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)
