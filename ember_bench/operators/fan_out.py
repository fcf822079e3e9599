"""Operators that produce many outputs from one input by LM calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator
from ember_bench.operators.lm import LMModule, ask_all, ask_some
from ember_bench.operators.plan import ExecutionPlan, Ref, Task
from ember_bench.operators.signature import Signature


@operator
class EnsembleOperator(Operator):
    """Sends the same prompt to every LM module at the same time.

    Inputs: those named by its signature, by default `query`. Outputs: `responses`, one text per
    LM module, in their order.

    Args:
        lm_modules: At least one.
        signature: Its prompt names `query`.
        min_responses: Number of responses that is enough: then models that do not answer have no
            response. By default all must answer.
    """

    kind = OperatorKind.FAN_OUT
    asks_once = True
    default_signature = "generate"
    # An attribute of instances only where it is given: it is then part of their description.
    min_responses: int | None = None

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        signature: Signature | type[Signature] | None = None,
        min_responses: int | None = None,
    ) -> None:
        if not lm_modules:
            raise ValueError("an ensemble needs at least one LM module")
        super().__init__(lm_modules=lm_modules, signature=signature)
        if min_responses is not None:
            if not 1 <= min_responses <= len(lm_modules):
                raise ValueError(
                    f"min_responses must be from 1 to {len(lm_modules)}, found {min_responses}"
                )
            self.min_responses = min_responses

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Call all LM modules."""
        prompt = self._with_turns(inputs)
        calls = [(lm, prompt) for lm in self.lms]
        if self.min_responses is None:
            responses = ask_all(calls, role=self.role)
        else:
            responses = ask_some(calls, self.min_responses, role=self.role)
        return {"responses": [response.data for response in responses]}

    def to_plan(self, inputs: Inputs) -> ExecutionPlan:
        """Return a task for each LM module."""
        prompt = self._with_turns(inputs)
        tasks = [
            Task(f"response.{index}", lm, (prompt,), {"role": self.role})
            for index, lm in enumerate(self.lms)
        ]
        return ExecutionPlan(tasks, {"responses": [Ref(task.name) for task in tasks]})
