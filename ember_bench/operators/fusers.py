"""Operators that write anew on the ground of candidates: critiques of them, or a better one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ember_bench.operators.base import Inputs, Operator, OperatorKind
from ember_bench.operators.candidates import answers_of, candidates_of
from ember_bench.operators.fan_in import LMFanIn, as_responses, numbered
from ember_bench.operators.lm import LMModule, ask_all
from ember_bench.operators.signature import Signature, builtin_signature


class Fuser(Operator):
    """Shows all candidates to each of its models, and each writes one better response.

    The aggregator of Mixture-of-Agents (Wang et al. 2024), where several make a layer and one makes
    the last; Archon's fuser (Saad-Falcon et al. 2024). Inputs: `query`, `responses`, and
    `critiques` of them if there are any, which are shown too. Outputs: `responses`, one for each LM
    module; and `final_answer` where there is one module.

    Args:
        lm_modules: Who writes, asked at the same time.
        answer_format: How the final answer is read; by default as the inputs' `answer_format` says.
        signature: Its prompt names `query` and `candidates`, a numbered list.
    """

    kind = OperatorKind.FAN_IN
    role = "fuse"
    asks_once = True

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        if not lm_modules:
            raise ValueError("a fuser needs at least one LM module")
        super().__init__(lm_modules=lm_modules, signature=signature or builtin_signature("fuse"))
        self.answer_format = answer_format

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Ask all."""
        assert self.signature is not None  # noqa: S101 - set by __init__
        candidates = candidates_of(inputs, self.answer_format)
        shown = numbered([c.text for c in candidates], inputs.get("critiques"))
        prompt = self.signature.render({**inputs, "candidates": shown})
        calls = [(lm, prompt) for lm in self.lms]
        said = ask_all(calls, role=self.role, about=answers_of(candidates))
        return as_responses([response.data for response in said], inputs, self.answer_format)


class Critic(LMFanIn):
    """Has a model say what is right and wrong with each candidate.

    Archon's critic (Saad-Falcon et al. 2024): a `RankFilter` or a `Fuser` behind it is shown the
    critiques too. Inputs: `query`, `responses`. Outputs: `responses`, as they are; and `critiques`,
    one for each.

    Args:
        lm_modules: The critic, one LM module.
        signature: Its prompt names `query` and `response`.
    """

    kind = OperatorKind.RECURRENT
    role = "critique"
    card = "critique"

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(lm_modules=lm_modules, signature=signature)

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Criticise all at the same time."""
        candidates = candidates_of(inputs, "exact")
        texts = [candidate.text for candidate in candidates]
        return {"responses": texts, "critiques": self._ask_each(candidates, inputs)}
