r"""Free texts: what is stated, else all of it."""

from __future__ import annotations

import pytest

from ember_bench.answers.formats import parse_answer

TEXTS: list[tuple[str, str | None]] = [
    ("The answer is Paris.\n\nQuestion: x?\nAnswer: Rome", "Paris"),
    ("Answer: Paris, because it is the capital.", "Paris"),
    ("The answer is Paris because it is the capital.", "Paris"),
    ("The answer is Paris.\n<answer>your answer here</answer>", "Paris"),
    ("So the answer is valid.", "valid"),
    ("So the answer is No.", "No"),
    ("\\boxed{Paris}", "Paris"),
    ("\\boxed{\\text{Paris}}", "Paris"),
    ("thus\n#### Paris", "Paris"),
    ("#### Step 1\nfoo", "#### Step 1\nfoo"),
    ('{"reasoning": "x", "answer": "Paris"}', "Paris"),
    ("<answer>Paris</answer>", "Paris"),
    ("The answer is St. Louis.", "St. Louis"),
    ("The final answer is: **Paris**.", "Paris"),
    ("So the answer is ] ] ).", "] ] )"),
    ('{"answer": "The answer is Paris."}', "Paris"),
    ("Answer: U.S. troops. And so on.", "U.S. troops. And so on."),
    ('The answer is "Paris".', "Paris"),
    ("So the answer is 05/01/2021.", "05/01/2021"),
    ("Question: foo?\nAnswer: Paris", "Paris"),
    ("My final answer is Paris", "Paris"),
    ("If the answer is Paris, then I win. Rome", "If the answer is Paris, then I win. Rome"),
    ("Answer: Paris or London", "Paris or London"),
    ("The answer is not Paris", "The answer is not Paris"),
    ("Answer: He left since 1990", "He left since 1990"),
    ("Answer:", None),
    ("So the final answer is\n**Paris**", "Paris"),
    ("Based on this,\n\\[\n\\boxed{(A, B)}\n\\]", "(A, B)"),
    ("The answer is 3, 5.", "3, 5"),
]


@pytest.mark.parametrize(("text", "answer"), TEXTS)
def test_a_text_is_what_is_stated_else_all_of_it(text: str, answer: str | None) -> None:
    assert parse_answer(text, "text") == answer


def test_a_long_text_that_breaks_off_in_a_sentence_is_no_answer() -> None:
    text = "The capital of France is a matter of history. " * 10
    assert parse_answer(text, "text") == text.strip()
    assert parse_answer(text + "In the beginning it was the", "text") is None
