r"""Where a text states its answer, whichever format reads it. The tables are the specification."""

from __future__ import annotations

import pytest

from ember_bench.answers.formats import parse, parse_answer
from ember_bench.models.types import CutOff

CITIES = ("London", "Paris", "Rome", "Berlin")

Rows = list[tuple[str, str, str | None]]

STATED: Rows = [
    ("\\boxed{1} or \\boxed{2}", "number", None),
    ("The answer is 12, because 12 / 4 = 3", "number", "12"),
    ("So the total is 16 - 3 =", "number", None),
    ("The answer is 12. So the answer is", "number", "12"),
    ("The answer is 18 apples, since 20 - 2 = 18.", "number", "18"),
    ("The answer is yes. The answer is no.", "yes_no", "no"),
    ("<answer>True</answer>", "yes_no", "yes"),
    ('{"answer": "Yes, it is."}', "yes_no", "yes"),
]

# What a base model goes on with is not its answer.
CONTINUED: Rows = [
    ("9*2=18\n#### 18\n\nQuestion: Tom has 3.\nAnswer: 3+4=7\n#### 7", "number", "18"),
    ("The answer is 18.\n\nQ: How many?\nA: The answer is 5.", "number", "18"),
    ("Answer: B\n\nQuestion: capital?\nAnswer: C", "choice", "B"),
    ("B\n\nQuestion: capital?\nA) x\nB) y\nAnswer: C", "choice", "B"),
    (" 7\n\nQ: 3 + 9?\nA: The answer is 12.", "number", "7"),
    ("No\n\nQuestion: Is it?\nAnswer: Yes", "yes_no", "no"),
    ("The answer is 7.\n\nQuestion 2: more?\nThe answer is 9.", "number", "7"),
    ("#### 7\n\nExercise 12. Add 3.\n#### 10", "number", "7"),
    ("Sure!\n\nQuestion: 3 + 4?\nAnswer: 7", "number", "7"),
    ("Question 1: x?\nAnswer: 5\n\nQuestion 2: y?\nAnswer: 7", "number", "7"),
    ("The answer is 12; 12 divided by 3 is 4.", "number", "12"),
    ("The answer is 12; 15", "number", None),
    ("Answer: 3 or -3", "number", None),
    ("Answer: 3 and \u22123", "number", None),
    ("Answer: Paris, not London", "text", "Paris, not London"),
    ("#### 18<|endoftext|>Human: 5?", "number", "18"),
    ("Question: x?\nAnswer: 5\n\nQuestion: y?\nAnswer: 7", "number", "7"),
    ("\\boxed{A}\n\nQuestion: 3?\nAnswer: \\boxed{B}", "choice", "A"),
    ("Answer: yes\nQ: new?\nAnswer: no", "yes_no", "yes"),
]

# What an instruction shows in the answer's place states nothing.
TEMPLATES: Rows = [
    ('I get 5.\nThe answer is 18. {"answer": "___"}', "number", "18"),
    ('{"answer": "B"}\nFormat: {"answer": "[your answer]"}', "choice", "B"),
    ("Answer: B\nAnswer: [letter]", "choice", "B"),
    ("Answer: (Yes or No)", "yes_no", None),
    ("Yes.\nAnswer: (Yes or No)", "yes_no", "yes"),
    ("Answer (Yes or No): No", "yes_no", "no"),
    ("Answer: (Yes or No) No", "yes_no", "no"),
    ("End with 'Answer: X'.\nAnswer: C", "choice", "C"),
    ("Answer: C\nEnd with 'the answer is (X)'.", "choice", "C"),
    ("\\boxed{5} \\boxed{answer}", "number", "5"),
    ("Answer: 7\n\\boxed{...}", "number", "7"),
    ("Answer: A/B/C/D", "choice", None),
    ("[Your answer]", "choice", None),
    ("Answer: [A/B/C/D]", "choice", None),
]

THOUGHTS: Rows = [
    ("I think the answer is", "choice", None),
    ("Let's think. So the answer is (B).", "text", "(B)"),
    ("The answer is wrong, I think.", "text", "The answer is wrong, I think."),
    ('{"answer": "I think it is B"}', "choice", "B"),
    ("<think>the answer is A</think>B", "choice", "B"),
    ("the answer is A</think>\n\nB", "choice", "B"),
    ("<think>the answer is A", "choice", None),
    ("<THINK>A</THINK>B", "choice", "B"),
    ("[THINK]Answer: A[/THINK]Answer: B", "choice", "B"),
    ("\u25c1think\u25b7A\u25c1/think\u25b7B", "choice", "B"),
    (
        "<|channel|>analysis<|message|>A<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>",
        "choice",
        "B",
    ),
    ("<|channel|>analysis<|message|>Answer: A", "choice", None),
    ("analysisAnswer A. We say B.assistantfinalB", "choice", "B"),
    (
        "<|begin_of_thought|>A<|end_of_thought|><|begin_of_solution|>B<|end_of_solution|>",
        "choice",
        "B",
    ),
    ("<|channel>thought\nAnswer: A<channel|>B", "choice", "B"),
    ("Here is my thought process: the answer is A. Here is my response: B", "choice", "B"),
    ("<seed:think>A</seed:think>B", "choice", "B"),
    ("<reflection>Answer: A</reflection>", "choice", None),
    ("<thinking>a<reflection>b</reflection>c</thinking>\n<output>Paris</output>", "text", "Paris"),
    ("<think>\n<think>\nA</think>\nB", "choice", "B"),
    (
        "```python\nimport re\ndef f(s):\n    return re.sub(r\"<think>.*?</think>\", '', s)\n```",
        "python",
        "import re\ndef f(s):\n    return re.sub(r\"<think>.*?</think>\", '', s)",
    ),
    (
        "<think>```python\ndef f(): return 1\n```</think>\n```python\ndef g(): return 2\n```",
        "python",
        "def g(): return 2",
    ),
    ("<think>x</think>  Paris", "exact", "Paris"),
    (
        "I think the answer to life is not known. Paris",
        "text",
        "I think the answer to life is not known. Paris",
    ),
    ("The answer is A or B. Let me think. It is B.\nThe answer is B", "choice", "B"),
    ("<think>[Yes]</think>[No]", "yes_no", "no"),
]

# The beginnings of texts whose models had no more tokens.
CUT_OFF: Rows = [
    ("It could be (B) or", "choice", None),
    ("We have 16 eggs, 3 for", "number", None),
    ("The answer is 18.", "number", "18"),
    ("The answer is 18", "number", None),
    ("\\boxed{18} so", "number", "18"),
    ("Answer: B", "choice", "B"),
    ("Paris is", "text", None),
    ("B", "choice", "B"),
    ("Answer: Paris\nThis is", "text", "Paris"),
    ("Yes, I thi", "yes_no", "yes"),
]


def read(text: str, form: str) -> str | None:
    return parse_answer(text, form, CITIES if form == "choice" else ())


@pytest.mark.parametrize(("text", "form", "answer"), [*STATED, *CONTINUED])
def test_the_last_statement_of_a_models_own_text_counts(
    text: str, form: str, answer: str | None
) -> None:
    assert read(text, form) == answer


@pytest.mark.parametrize(("text", "form", "answer"), TEMPLATES)
def test_a_template_states_nothing(text: str, form: str, answer: str | None) -> None:
    assert read(text, form) == answer


@pytest.mark.parametrize(("text", "form", "answer"), THOUGHTS)
def test_a_thought_states_nothing(text: str, form: str, answer: str | None) -> None:
    assert read(text, form) == answer


@pytest.mark.parametrize(("text", "form", "answer"), CUT_OFF)
def test_of_a_text_that_was_cut_off_only_what_it_has_stated_counts(
    text: str, form: str, answer: str | None
) -> None:
    assert read(CutOff(text), form) == answer


@pytest.mark.parametrize("form", ["text", "number", "choice", "yes_no", "integers"])
def test_a_text_and_its_beginning_are_not_mistaken_for_each_other(form: str) -> None:
    whole = "I have 5, so yes: (B)"
    assert read(whole, form) is not None
    assert read(CutOff(whole), form) is None
    assert read(whole, form) is not None


@pytest.mark.parametrize(
    ("text", "form", "stated"),
    [
        ("18", "number", True),
        ("Answer: 18", "number", True),
        ("I have 18 eggs.", "number", False),
        ("B", "choice", True),
        ("Paris", "choice", True),
        ("B. Paris\nIt is the capital.", "choice", True),
        ("(B) is correct.", "choice", True),
        ("I'd take London for (B).", "choice", False),
        ("Yes, it is.", "yes_no", True),
        ("It is odd: yes.", "yes_no", False),
        ("103, 101", "integers", True),
        ("I tried 7.\nIt is 101 and 103.", "integers", False),
        ("So the answer is Paris.", "text", True),
        ("Paris", "text", True),
        ("It is a city.\nIt is Paris.", "text", False),
    ],
)
def test_a_reading_says_whether_the_text_states_it(text: str, form: str, stated: bool) -> None:
    found = parse(text, form, CITIES if form == "choice" else ())
    assert found.answer is not None
    assert found.stated == stated


@pytest.mark.parametrize("form", ["text", "number", "choice", "yes_no", "integers"])
def test_nothing_is_not_stated(form: str) -> None:
    assert parse("", form).stated is False
