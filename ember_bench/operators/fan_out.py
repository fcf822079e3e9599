"""Operators that produce many outputs from one input by LM calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ember_bench.errors import SignatureError
from ember_bench.operators.asking import ask_requests, ask_some
from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator
from ember_bench.operators.lm import LMModule, Prompt, as_messages, check_modules
from ember_bench.operators.plan import ExecutionPlan, Ref, Task
from ember_bench.operators.signature import Signature
from ember_bench.operators.structured import json_in, structured


@operator
class EnsembleOperator(Operator):
    """Sends the same prompt to every LM module at the same time.

    Inputs: those named by its signature, by default `query`. Outputs: `responses`, one text per
    LM module, in their order; with `structured_output` in the signature also `outputs`, the
    fields of each response.

    Args:
        lm_modules: At least one.
        signature: Its prompt names `query`. Its `structured_output` goes to the models as in
            `Predict`, and each response must fit it.
        min_responses: Number of responses that is enough: then models that do not answer, or whose
            answers do not fit, have no response. By default all must answer.

    Raises:
        SignatureError: if too few responses fit.
    """

    kind = OperatorKind.FAN_OUT
    asks_once = True
    writes = True
    default_signature = "generate"
    fills = ()
    gives = ("responses", "outputs")
    # An attribute of instances only where it is given: it is then part of their description.
    min_responses: int | None = None

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        signature: Signature | type[Signature] | None = None,
        min_responses: int | None = None,
    ) -> None:
        check_modules(lm_modules, type(self).__name__)
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
        calls = [(lm, lm.request(prompt, **more)) for lm, prompt, more in self._calls(inputs)]
        if self.min_responses is None:
            responses = ask_requests(calls)
        else:
            responses = ask_some(calls, self.min_responses)
        return {"responses": [response.data for response in responses]}

    def to_plan(self, inputs: Inputs) -> ExecutionPlan:
        """Return a task for each LM module."""
        tasks = [
            Task(f"response.{index}", lm, (prompt,), more)
            for index, (lm, prompt, more) in enumerate(self._calls(inputs))
        ]
        return ExecutionPlan(tasks, {"responses": [Ref(task.name) for task in tasks]})

    def _calls(self, inputs: Inputs) -> list[tuple[LMModule, Prompt, dict[str, Any]]]:
        """Return the LM modules, and what each is asked."""
        prompt, signature = self._with_turns(inputs), self._signature()
        model = None if signature is None else signature.structured_output
        if model is None:
            return [(lm, prompt, {"role": self.role}) for lm in self.lms]
        asked = [(lm, *structured(as_messages(prompt), model, lm.model)) for lm in self.lms]
        return [
            (lm, messages, {"role": self.role, "response_format": form})
            for lm, messages, form in asked
        ]

    def _check_output(self, signature: Signature, output: Any) -> Any:
        if signature.structured_output is None:
            return output
        fields, responses, errors = [], [], []
        for number, text in enumerate(output["responses"], start=1):
            try:
                fields.append(signature.check_output(json_in(text)))
                responses.append(text)
            except SignatureError as error:
                errors.append(SignatureError(f"response {number}: {error}"))
        least = len(self.lms) if self.min_responses is None else self.min_responses
        if len(fields) < least:
            raise errors[0]
        return {"responses": responses, "outputs": fields}
