"""The single call as an operator, with an answer that has fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from ember_bench.errors import SignatureError
from ember_bench.models.types import Message
from ember_bench.operators.base import Inputs, Operator, operator
from ember_bench.operators.fan_in import as_responses
from ember_bench.operators.fields import ANYTHING, names
from ember_bench.operators.lm import LMModule, as_messages, check_modules
from ember_bench.operators.signature import Signature, as_instance
from ember_bench.operators.structured import json_in, structured


@operator
class Predict(Operator):
    """Calls one model; with `structured_output` in its signature, the answer has its fields.

    The schema goes to the provider, which makes the model keep to it if it can; a model without
    such a mode reads the schema in the prompt. JSON is also found in a fence or among other text.
    An answer that does not fit is shown to the model with the reason, and it is asked again: a call
    like any other, with its price.

    Inputs: those named by its signature, by default `query`. Outputs: the fields of
    `structured_output`; without it `responses`, the one text, and `final_answer`.

    Args:
        signature: Its prompt, and the pydantic model of its outputs.
        lm_modules: The LM module, also as a list of one.
        retries: Number of further calls if answers do not fit.
        answer_format: Format of the final answer of a text; by default the `answer_format` of the
            inputs.

    Raises:
        SignatureError: if the last answer does not fit either.
    """

    writes = True
    fills = ()
    gives = ("responses", "final_answer")
    default_signature = "generate"

    def __init__(
        self,
        signature: Signature | type[Signature] | None = None,
        lm_modules: LMModule | Sequence[LMModule] = (),
        *,
        retries: int = 2,
        answer_format: str | None = None,
    ) -> None:
        if signature is not None:
            signature = as_instance(signature)
        given = [lm_modules] if isinstance(lm_modules, LMModule) else lm_modules
        check_modules(given, type(self).__name__)
        modules = list(given)
        if len(modules) != 1:
            raise ValueError(f"Predict needs one LM module, found {len(modules)}")
        if retries < 0:
            raise ValueError(f"retries must be at least 0, found {retries}")
        super().__init__(lm_modules=modules, signature=signature)
        self.retries = retries
        self.answer_format = answer_format

    def check_fields(self, given: Inputs) -> Inputs:
        """Check what the prompt names, and return the fields of the answer."""
        outputs, signature = super().check_fields(given), self._signature()
        if signature is None or (model := signature.structured_output) is None:
            return outputs
        # Of a model that writes itself in a way of its own, the fields are not known.
        plain = (
            model.model_dump is BaseModel.model_dump and model.model_config.get("extra") != "allow"
        )
        return names(*model.model_fields) if plain else ANYTHING

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Call the model, and again while its answer does not fit."""
        signature = self._signature()
        if signature is None or signature.structured_output is None:
            said = self.lms[0](self._with_turns(inputs), role=self.role)
            return as_responses([said], inputs, self.answer_format)
        return self._structured(signature, signature.structured_output, inputs)

    def _structured(
        self, signature: Signature, model: type[BaseModel], inputs: Inputs
    ) -> dict[str, Any]:
        lm = self.lms[0]
        messages, form = structured(as_messages(self._with_turns(inputs)), model, lm.model)
        for left in range(self.retries, -1, -1):
            said = lm(messages, role=self.role, response_format=form)
            try:
                fields: dict[str, Any] = signature.check_output(json_in(said))
            except SignatureError as error:
                if not left:
                    raise SignatureError(f"{error} (after {self.retries + 1} calls)") from None
                again = f"That does not fit: {error}. Reply with the corrected JSON object alone."
                messages = [*messages, Message("assistant", said), Message("user", again)]
            else:
                break
        return fields
