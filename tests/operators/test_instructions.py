"""Templates as instructions and the rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ember_bench.operators import Signature
from ember_bench.operators.instructions import as_template, join_template, split_template

TEXT = st.text("ab {}\n", max_size=30)


def test_the_paragraphs_before_that_of_the_first_input_are_the_instructions() -> None:
    template = "Be {{brief}}.\n\nOne word.\n\nQuestion: {query}\n\nAnswer:"
    assert split_template(template) == (
        "Be {brief}.\n\nOne word.",
        "Question: {query}\n\nAnswer:",
    )


def test_a_template_that_begins_with_an_input_has_no_instructions() -> None:
    assert split_template("Answer {query}.\n\nBe brief.") == ("", "Answer {query}.\n\nBe brief.")


def test_a_template_without_inputs_is_all_instructions() -> None:
    assert split_template("Say {{}}.") == ("Say {}.", "")


@given(TEXT)
def test_any_text_is_a_template_that_is_rendered_as_it(text: str) -> None:
    assert Signature(prompt_template=as_template(text)).render({}) == text


@given(TEXT, st.lists(TEXT, max_size=3))
def test_instructions_and_examples_are_no_part_of_the_rest(text: str, examples: list[str]) -> None:
    rest = "Q: {query}\nA:"
    template = join_template(text, rest, examples)
    head, tail = split_template(template)
    assert tail == rest
    assert head == "\n\n".join(t for t in (text.strip(), *(e.strip() for e in examples)) if t)
    shown = Signature(prompt_template=template).render({"query": "{x}"})
    assert shown.endswith("Q: {x}\nA:")
