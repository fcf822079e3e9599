from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from ember_bench.errors import ConfigError, SignatureError
from ember_bench.operators import Signature
from ember_bench.operators.signature import signature_from_card
from ember_bench.registry import Cards, builtin_root


class Question(BaseModel):
    question: str
    tries: int = Field(default=1, ge=1)


class Label(BaseModel):
    label: str
    certainty: float


class Labelling(Signature):
    """A signature as the seed document writes it."""

    required_inputs: list[str] = ["question"]  # noqa: RUF012 - a field
    prompt_template: str | None = "Label this:\n{question}\n"
    structured_output: type[BaseModel] | None = Label
    input_model: type[BaseModel] | None = Question


class TestInputs:
    def test_that_are_missing_are_named_beside_those_given(self) -> None:
        signature = Signature(required_inputs=["query", "responses", "context"])
        with pytest.raises(SignatureError) as caught:
            signature.check_inputs({"query": "q"})
        assert str(caught.value) == "missing input 'responses', 'context'; given: 'query'"

    def test_that_are_there_go_through_as_they_are(self) -> None:
        given = {"query": "q", "more": [1, 2]}
        assert Signature(required_inputs=["query"]).check_inputs(given) == given

    def test_are_cast_by_the_input_model_and_defaults_filled_in(self) -> None:
        checked = Labelling().check_inputs({"question": "q", "tries": "3", "else": "kept"})
        assert checked == {"question": "q", "tries": 3, "else": "kept"}
        assert Labelling().check_inputs({"question": "q"})["tries"] == 1

    @pytest.mark.parametrize(
        ("inputs", "field"),
        [({"question": 7}, "question"), ({"question": "", "tries": 0}, "tries")],
    )
    def test_that_do_not_fit_the_model_are_refused_by_field(
        self, inputs: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(SignatureError, match=f"input does not fit Question: {field}: "):
            Labelling().check_inputs(inputs)


class TestOutputs:
    @pytest.mark.parametrize(
        "output",
        [
            {"label": "1", "certainty": 0.5},
            {"label": "1", "certainty": "0.5"},
            '{"label": "1", "certainty": 0.5}',
            Label(label="1", certainty=0.5),
        ],
    )
    def test_are_cast_to_the_structured_output(self, output: Any) -> None:
        assert Labelling().check_output(output) == {"label": "1", "certainty": 0.5}

    @pytest.mark.parametrize(
        ("output", "named"),
        [
            ({"label": "1"}, "certainty"),
            ({"label": "1", "certainty": "very"}, "certainty"),
            ("not json", "output"),
            ([1], "output"),
        ],
    )
    def test_that_do_not_fit_are_refused_by_field(self, output: Any, named: str) -> None:
        with pytest.raises(SignatureError, match=f"output does not fit Label: {named}: "):
            Labelling().check_output(output)

    def test_without_a_structured_output_anything_goes(self) -> None:
        thing = object()
        assert Signature().check_output(thing) is thing


class TestPrompts:
    def test_are_filled_in(self) -> None:
        assert Labelling().render({"question": "q?"}) == "Label this:\nq?\n"

    def test_what_is_filled_in_is_not_looked_at_again(self) -> None:
        template = Signature(prompt_template="{a} {b}")
        assert template.render({"a": "{b} {{", "b": "{a.__class__}"}) == "{b} {{ {a.__class__}"

    def test_doubled_braces_are_braces(self) -> None:
        template = Signature(prompt_template='{{"x": {x}}} {{x}}')
        assert template.render({"x": 1}) == '{"x": 1} {x}'

    def test_a_missing_field_is_named(self) -> None:
        with pytest.raises(SignatureError, match="missing input 'question'"):
            Labelling().render({"query": "q"})

    def test_a_signature_without_one_says_so(self) -> None:
        with pytest.raises(SignatureError, match="Signature has no prompt_template"):
            Signature().render({})

    @pytest.mark.parametrize(
        ("template", "at"),
        [("ab{", 3), ("}", 1), ("{a.b}", 1), ("{0}", 1), ("{a!r}", 1), ("{}", 1)],
    )
    def test_only_plain_names_are_allowed(self, template: str, at: int) -> None:
        with pytest.raises(ValidationError, match=f"at character {at}; write"):
            Signature(prompt_template=template)

    def test_a_subclass_is_checked_too(self) -> None:
        class Broken(Signature):
            prompt_template: str | None = "{"

        with pytest.raises(ValidationError, match=r"lone '\{'"):
            Broken()

    def test_its_fields_are_listed_once_in_order(self) -> None:
        template = Signature(prompt_template="{b} {a} {{c}} {b}")
        assert template.placeholders == ["b", "a"]

    @given(st.text(), st.text())
    def test_any_text_escaped_renders_as_itself(self, text: str, value: str) -> None:
        escaped = text.replace("{", "{{").replace("}", "}}")
        assert Signature(prompt_template=escaped + "{x}").render({"x": value}) == text + value


class TestCards:
    def card(self, folder: Path, text: str) -> Signature:
        (folder / "signatures").mkdir()
        (folder / "signatures" / "mine.yaml").write_text(text)
        return signature_from_card("mine", Cards([folder]))

    def test_describe_signatures(self, tmp_path: Path) -> None:
        text = 'required_inputs: [query]\nprompt_template: "Q: {query}"'
        signature = self.card(tmp_path, text)
        assert signature == Signature(required_inputs=["query"], prompt_template="Q: {query}")

    @pytest.mark.parametrize(
        ("text", "place", "message"),
        [
            ("purpose: x", ":1:1: ", "missing field 'prompt_template'"),
            ("prompt_template: a\nrequired: []", ":2:1: ", "unknown field 'required'"),
            (
                "prompt_template: a\nstructured_output: single",
                ":2:1: ",
                "unknown function 'single'",
            ),
            ("input_model: no_such:Thing\nprompt_template: a", ":1:1: ", "cannot be imported"),
            (
                "prompt_template: a\nstructured_output: ember_bench.models:RetryPolicy",
                ":2:1: ",
                "is not a pydantic model",
            ),
        ],
    )
    def test_with_mistakes_are_refused_at_their_place(
        self, tmp_path: Path, text: str, place: str, message: str
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            self.card(tmp_path, text)
        assert place in str(caught.value)
        assert message in str(caught.value)

    def test_with_a_lone_brace_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"lone '\{' at character 3"):
            self.card(tmp_path, 'prompt_template: "a {"')

    def test_the_built_in_ones_name_only_inputs_that_operators_give(self) -> None:
        cards = Cards([builtin_root()])
        for name in ("generate", "judge", "verify", "get_answer"):
            signature = signature_from_card(name, cards)
            known = {*signature.required_inputs, "candidate", "candidates"}
            assert set(signature.placeholders) <= known
