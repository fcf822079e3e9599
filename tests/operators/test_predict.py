"""A single call whose answer has fields, and is asked for again if it does not fit."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from ember_bench.errors import SignatureError
from ember_bench.models.call import Call
from ember_bench.models.info import ModelInfo
from ember_bench.operators import Predict, Signature
from ember_bench.operators.predict import json_in
from tests.support.models import in_trial, module, scripted, serve


class Verdict(BaseModel):
    correct: bool
    reason: str


REVIEW = Signature(
    required_inputs=["claim"], prompt_template="True? {claim}", structured_output=Verdict
)


GOOD = json.dumps({"correct": True, "reason": "It is."})


def asked_of(*texts: str) -> tuple[ModelInfo, list[Call]]:
    """Return a model that answers with these texts in turn, and the list of its calls."""
    asked: list[Call] = []

    async def answer(call: Call) -> str:
        asked.append(call)
        return texts[len(asked) - 1]

    return scripted(answer), asked


def predict(model: ModelInfo, **options: int) -> Predict:
    return Predict(REVIEW, module(serve(model), model), **options)


@pytest.mark.parametrize(
    "text", [GOOD, f"```json\n{GOOD}\n```", f"Here it is:\n{GOOD}\nDone.", f"{{no}} {GOOD}"]
)
def test_the_outputs_are_the_fields(text: str) -> None:
    model, asked = asked_of(text)
    assert predict(model)(claim="x") == {"correct": True, "reason": "It is."}
    (call,) = asked
    assert call.request.response_format is not None
    assert set(call.request.response_format.json_schema["properties"]) == {"correct", "reason"}
    assert [m.content for m in call.request.messages] == ["True? x"]


def test_an_answer_that_does_not_fit_is_told_and_asked_for_again() -> None:
    model, asked = asked_of('{"correct": "perhaps"}', GOOD)
    outputs, strand = in_trial(lambda: predict(model)(claim="x"))
    assert outputs["correct"] is True
    _, again = asked
    assert [m.role for m in again.request.messages] == ["user", "assistant", "user"]
    assert "reason: Field required" in again.request.messages[-1].content
    assert len(strand.trial.calls) == 2


def test_after_the_last_call_the_mistake_is_raised() -> None:
    model, asked = asked_of("no", "no", "no", GOOD)
    with pytest.raises(SignatureError, match=r"does not fit Verdict: .*\(after 3 calls\)"):
        predict(model, retries=2)(claim="x")
    assert len(asked) == 3


def test_a_model_without_such_a_mode_reads_the_schema_in_the_prompt() -> None:
    model, asked = asked_of(GOOD)
    model = model.model_copy(update={"unsupported_parameters": ("response_format",)})
    assert predict(model)(claim="x")["correct"] is True
    (call,) = asked
    assert call.request.response_format is None
    assert '"reason"' in call.request.messages[-1].content


def test_without_a_model_of_outputs_it_gives_the_text() -> None:
    model, _ = asked_of("So.\nAnswer: 7")
    found = Predict(None, module(serve(model), model))(query="q", answer_format="number")
    assert found == {"responses": ["So.\nAnswer: 7"], "final_answer": "7"}


def test_a_missing_input_is_told_before_anything_is_asked() -> None:
    model, asked = asked_of(GOOD)
    with pytest.raises(SignatureError, match="missing input 'claim'"):
        predict(model)(clam="x")
    assert asked == []


def test_it_needs_one_module() -> None:
    with pytest.raises(ValueError, match="Predict needs one LM module, found 0"):
        Predict(REVIEW)
    model, _ = asked_of()
    with pytest.raises(ValueError, match="retries must be at least 0, found -1"):
        predict(model, retries=-1)


def test_a_text_without_json_is_left_as_it_is() -> None:
    assert json_in("none { here") == "none { here"
    assert json_in("{" * 50_000) == "{" * 50_000
