"""Signatures of DSPy, there and back."""

from __future__ import annotations

from typing import Literal

import dspy
import pytest

from ember_bench.errors import ConfigError
from ember_bench.operators import Signature

pytestmark = pytest.mark.extra


class QA(dspy.Signature):
    """Answer the {question}.

    Be brief.
    """

    question: str = dspy.InputField()
    hints: list[str] = dspy.InputField(desc="from a friend")
    answer: str = dspy.OutputField(desc="a short phrase")


class Review(dspy.Signature):
    """Judge the claim."""

    claim: str = dspy.InputField()
    verdict: Literal["true", "false"] = dspy.OutputField(desc="is it so?")
    reasons: list[str] = dspy.OutputField()


def test_one_text_is_asked_for_as_a_text() -> None:
    made = Signature.from_dspy(QA)
    assert made.render({"question": "Why?", "hints": ["x"]}) == (
        "Answer the {question}.\n\nBe brief.\n\n"
        "Question: Why?\nHints (from a friend): ['x']\nAnswer (a short phrase):"
    )
    assert made.required_inputs == ["question", "hints"]
    assert made.structured_output is None
    assert made.check_inputs({"question": "a", "hints": ["b"]})["hints"] == ["b"]


def test_other_outputs_are_fields_with_their_types() -> None:
    made = Signature.from_dspy(Review)
    assert made.check_output('{"verdict": "true", "reasons": ["it is"]}') == {
        "verdict": "true",
        "reasons": ["it is"],
    }
    with pytest.raises(ValueError, match="verdict"):
        made.check_output('{"verdict": "maybe", "reasons": []}')


@pytest.mark.parametrize("signature", [QA, Review, dspy.Signature("a, b: int -> c: float, d")])
def test_a_signature_is_the_same_when_it_comes_back(signature: type) -> None:
    back = Signature.from_dspy(signature).to_dspy()
    assert back.instructions == signature.instructions
    assert list(back.input_fields) == list(signature.input_fields)
    assert list(back.output_fields) == list(signature.output_fields)
    for name, field in signature.fields.items():
        assert back.fields[name].annotation == field.annotation
        assert back.fields[name].json_schema_extra["desc"] == field.json_schema_extra["desc"]


def test_text_around_the_inputs_is_not_dropped() -> None:
    made = Signature(prompt_template="Be brief.\n\nAnswer {query} in {language}, please.").to_dspy()
    assert made.instructions == "Be brief.\n\nAnswer {query} in {language}, please."
    assert list(made.input_fields) == ["query", "language"]
    assert list(made.output_fields) == ["answer"]


def test_a_text_is_a_signature_too() -> None:
    assert Signature.from_dspy("question -> answer").required_inputs == ["question"]


@pytest.mark.parametrize("wrong", ["no arrow", 7, dict])
def test_what_is_no_signature_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"(?i)signature"):
        Signature.from_dspy(wrong)
