from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets.prompts import Prompt


def test_the_question_and_the_lettered_choices_are_filled_in() -> None:
    prompt = Prompt.parse("Q: {question}\n{choices}\nA:")
    assert prompt.render("Which?", ["red", "blue"]) == "Q: Which?\nA) red\nB) blue\nA:"


def test_doubled_braces_are_literal() -> None:
    assert Prompt.parse(r"{question} \boxed{{n}}").render("1 + 1?") == r"1 + 1? \boxed{n}"


def test_metadata_is_filled_in_by_its_names() -> None:
    prompt = Prompt.parse("{question}\n{a.b}, {tests}", ["tests", "a.b"])
    assert prompt.metadata == ["a.b", "tests"]
    assert prompt.render("Q", (), {"a.b": "{tests}", "tests": "T"}) == "Q\n{tests}, T"
    with pytest.raises(ValueError, match=r"unknown placeholder \{test\}; did you mean 'tests'"):
        Prompt.parse("{question} {test}", ["tests"])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{questions}", "unknown placeholder {questions}; did you mean 'question'?"),
        ("{question.__class__}", "unknown placeholder {question.__class__}"),
        ("{question[0]}", "unknown placeholder {question[0]}"),
        ("{0}{question}", "unknown placeholder {0}"),
        ("{}{question}", "unknown placeholder {}"),
        ("{question!r}", "{question} takes no conversion and no format"),
        ("{question:>99999999}", "{question} takes no conversion and no format"),
        ("{question:{choices}}", "{question} takes no conversion and no format"),
        (r"{question} \frac{1}{2}", "write {{ and }} for literal braces"),
        ("{question", "write {{ and }} for literal braces"),
        ("What?", "the placeholder {question} is missing"),
    ],
)
def test_any_other_placeholder_is_refused(template: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        Prompt.parse(template)
    assert message in str(caught.value)


@given(st.text(), st.lists(st.text(), max_size=5), st.text(), st.text())
def test_what_is_filled_in_is_never_parsed(
    question: str, choices: list[str], before: str, after: str
) -> None:
    def literal(text: str) -> str:
        return text.replace("{", "{{").replace("}", "}}")

    prompt = Prompt.parse(literal(before) + "{question}" + literal(after))
    assert prompt.render(question, choices) == before + question + after
