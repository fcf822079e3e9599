r"""Letters that a text chooses, in the clothes that models give them."""

from __future__ import annotations

import pytest

from ember_bench.answers.formats import parse_answer

CITIES = ("London", "Paris", "Rome", "Berlin")

CHOSEN: list[tuple[str, str | None]] = [
    ("Het juiste antwoord is B.", "B"),
    ("The answer is A. The answer is B.", "B"),
    ("\\boxed{A} and \\boxed{B}", None),
    ("\\boxed{A}. Wait, \\boxed{B}", "B"),
    ("The answer is A, because B is wrong.", "A"),
    ("the answer is A, commuting", "A"),
    ("The answer is A, B and C", None),
    ("A, B and C", None),
    ("The answer is (A), (C), and (D).", None),
    ("**(B)**", "B"),
    ("\\textbf{(B)}", "B"),
    ("\\boxed{\\textbf{(B) }\\ 12}", "B"),
    ("$\\boxed{\\mathrm{B}}$", "B"),
    ('{"answer": "The answer is B because x"}', "B"),
    ("{'answer': 'B'}", "B"),
    ('{"answer": "None of the above"}', None),
    ("None of these", None),
    ("<final_answer>B</final_answer>", "B"),
    ("[ANSWER]B[/ANSWER]", "B"),
    ("<ANSWER>B", "B"),
    ("Answer: The correct choice is B.", "B"),
    ("Answer: Option (C)", "C"),
    ("**Answer:** **C**", "C"),
    ("The answer is: $\\boxed{C}$", "C"),
    ("Final Answer: The final answer is $\\boxed{C}$. I hope it is correct.", "C"),
    ("So, the answer is B). Paris", "B"),
    ("My answer: b", "B"),
    ("A: because...", "A"),
    ("I choose option D", "D"),
    ("I would go with (C), since A is wrong", None),
    ("Answer: D - Berlin", "D"),
    ("Answer: C \u2014 it is Rome", "C"),
    ("ANSWER : C", "C"),
    ("The answer: C", "C"),
    ("Answer is C", "C"),
    ("the answer is c", "C"),
    ("The answer is a difficult one", None),
    ("The answer is A difficult", None),
    ("None", None),
    ("I", None),
    ("Answer: [A]", "A"),
]

AMONG: list[tuple[str, str | None, list[str]]] = [
    ("Answer: K", "K", []),
    (
        "The answer is (Q).",
        "Q",
        [
            "0",
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "7",
            "8",
            "9",
            "10",
            "11",
            "12",
            "13",
            "14",
            "15",
            "16",
            "17",
            "18",
            "19",
        ],
    ),
    ("Answer: (A)", "A", ["C", "A", "B"]),
    ("A", "A", ["C", "A", "B"]),
    ("a", "B", ["c", "a", "b"]),
    ("Answer: none of the above", "D", ["a1", "b1", "c1", "None of the above"]),
    ("The answer is I.", "I", ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
    (
        "Z",
        "Z",
        [
            "0",
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "7",
            "8",
            "9",
            "10",
            "11",
            "12",
            "13",
            "14",
            "15",
            "16",
            "17",
            "18",
            "19",
            "20",
            "21",
            "22",
            "23",
            "24",
            "25",
        ],
    ),
]

# Without a statement the end of the last line counts, if it is the end of a sentence.
LONG = "We look at each of the options in turn. " * 10
ENDS: list[tuple[str, str | None]] = [
    (LONG + "So I take (B).", "B"),
    (LONG + "So I take B", "B"),
    (LONG + "We have (B) as the velocity of the first", None),
    (LONG + "Since P(B) = 1 - K", None),
    (LONG + "This follows from B and the", None),
]


@pytest.mark.parametrize(("text", "letter"), CHOSEN)
def test_a_letter_is_read_however_it_is_dressed(text: str, letter: str | None) -> None:
    assert parse_answer(text, "choice", CITIES) == letter


@pytest.mark.parametrize(("text", "letter", "choices"), AMONG)
def test_a_letter_goes_before_a_text_and_as_far_as_the_options_do(
    text: str, letter: str | None, choices: list[str]
) -> None:
    assert parse_answer(text, "choice", choices) == letter


@pytest.mark.parametrize(("text", "letter"), ENDS)
def test_a_letter_in_a_line_without_an_end_is_none(text: str, letter: str | None) -> None:
    assert parse_answer(text, "choice", CITIES) == letter
