"""Operators that write new texts about candidates: critiques, or a better response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ember_bench.operators.asking import ask_all
from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator
from ember_bench.operators.candidates import answers_of, candidates_of
from ember_bench.operators.fan_in import LMFanIn, as_responses, numbered
from ember_bench.operators.lm import LMModule, check_modules
from ember_bench.operators.signature import Signature


@operator
class Fuser(Operator):
    """Shows all candidates to each of its models; each model writes one better response.

    The aggregator of Mixture-of-Agents (Wang et al. 2024), where several form a layer and the last
    layer is a single one; Archon's fuser (Saad-Falcon et al. 2024). Inputs: `query`, `responses`,
    and optionally their `critiques`, which are shown too. Outputs: `responses`, one per LM module;
    and `final_answer` if there is one module. An empty list of responses has no better one.

    Args:
        lm_modules: The writers, called at the same time.
        answer_format: Format of the final answer; by default the `answer_format` of the inputs.
        signature: Its prompt names `query` and `candidates`, a numbered list.
    """

    kind = OperatorKind.FAN_IN
    role = "fuse"
    asks_once = True
    writes = True
    needs = ("responses",)
    fills = ("candidates",)
    uses = ("critiques",)
    gives = ("responses", "final_answer")
    default_signature = "fuse"

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        check_modules(lm_modules, type(self).__name__)
        if not lm_modules:
            raise ValueError("a fuser needs at least one LM module")
        super().__init__(lm_modules=lm_modules, signature=signature)
        self.answer_format = answer_format

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Call all writers."""
        candidates = candidates_of(inputs, self.answer_format)
        if not candidates:
            return {"responses": [], **({"final_answer": None} if len(self.lms) == 1 else {})}
        shown = numbered([c.text for c in candidates], inputs.get("critiques"))
        prompt = self._prompt({**inputs, "candidates": shown})
        calls = [(lm, prompt) for lm in self.lms]
        said = ask_all(calls, role=self.role, about=answers_of(candidates))
        return as_responses([response.data for response in said], inputs, self.answer_format)


@operator
class Critic(LMFanIn):
    """Has a model name the strengths and mistakes of each candidate.

    Archon's critic (Saad-Falcon et al. 2024). A `RankFilter` or a `Fuser` behind it shows the
    critiques to its models. Inputs: `query`, `responses`. Outputs: `responses`, unchanged; and
    `critiques`, one per response.

    Args:
        lm_modules: The critic, one LM module.
        signature: Its prompt names `query` and `response`.
    """

    kind = OperatorKind.RECURRENT
    role = "critique"
    fills = ("candidate", "response")
    gives = ("responses", "critiques")
    default_signature = "critique"

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
