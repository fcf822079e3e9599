"""A target is wholly an answer in its format; a model's text only has to have one in it."""

from __future__ import annotations

import pytest

from ember_bench.answers import formats
from ember_bench.answers.formats import answer_format, read_target

TARGETS = [
    ("18", "number", (), "18"),
    ("1,000", "number", (), "1000"),
    ("(18)", "number", (), "18"),
    ("-1/3", "number", (), "-1/3"),
    ("\\frac{1}{2}", "number", (), "0.5"),
    ("$18", "number", (), "18"),
    ("18%", "number", (), "18"),
    ("50 %", "number", (), "50"),
    ("$18.00", "number", (), "18"),
    ("5 million", "number", (), "5000000"),
    ("1e5", "number", (), "100000"),
    ("\\boxed{2}", "number", (), "2"),
    ("$2$", "number", (), "2"),
    ("-5", "number", (), "-5"),
    ("- 5", "number", (), "-5"),
    ("\xbd", "number", (), "0.5"),
    ("18.", "number", (), "18"),
    ("(18)", "number", (), "18"),
    ("70,000", "number", (), "70000"),
    ("18\n", "number", (), "18"),
    ("(0,9)", "integers", (), "0,9"),
    ("101,103", "integers", (), "101,103"),
    ("2, 3 and 5", "integers", (), "2,3,5"),
    ("2^3 * 5", "integers", (), "2,2,2,5"),
    ("7", "integers", (), "7"),
    ("-3, 5", "integers", (), "-3,5"),
    ("B", "choice", ("x", "y"), "B"),
    ("(b)", "choice", ("x", "y"), "B"),
    ("y", "choice", ("x", "y"), "B"),
    ("Z", "choice", (), "Z"),
    ("b", "choice", ("b", "a"), "A"),
    ("B", "choice", ("b", "a"), "B"),
    ("Yes", "yes_no", (), "yes"),
    ("no.", "yes_no", (), "no"),
    ("[No]", "yes_no", (), "no"),
    ("True", "yes_no", (), "yes"),
    ("The answer is blowing in the wind", "text", (), "The answer is blowing in the wind"),
    (" x ", "exact", (), "x"),
]

NO_TARGETS = [
    ("(0,9)", "number", ()),
    ("$(1,2)$", "number", ()),
    ("\\frac{\\pi}{2}", "number", ()),
    ("18 or 20", "number", ()),
    ("about 18", "number", ()),
    ("x = 5", "number", ()),
    ("18 dollars", "number", ()),
    ("#### 18", "number", ()),
    ("The answer is 18", "number", ()),
    ("Answer: 18", "number", ()),
    ("9 * 2", "number", ()),
    ("9 * 2 = 18", "number", ()),
    ("[0,9)", "number", ()),
    ("5!", "number", ()),
    ("3:4", "number", ()),
    ("", "number", ()),
    ("18\n19", "number", ()),
    ("2x", "number", ()),
    ("1 2", "number", ()),
    ("[0,9)", "integers", ()),
    ("factors 2, 3", "integers", ()),
    ("1.5, 2", "integers", ()),
    ("6 = 2 * 3", "integers", ()),
    ("2, x", "integers", ()),
    ("(0,9]", "integers", ()),
    ("1-5", "integers", ()),
    ("1, 2, ...", "integers", ()),
    ("B or A", "choice", ("x", "y")),
    ("C", "choice", ("x", "y")),
    ("The answer is B", "choice", ("x", "y")),
    ("B. y", "choice", ("x", "y")),
    ("yes or no", "yes_no", ()),
    ("Yes, because", "yes_no", ()),
]


@pytest.mark.parametrize(("text", "form", "choices", "answer"), TARGETS)
def test_a_target_is_read(text: str, form: str, choices: tuple[str, ...], answer: str) -> None:
    assert read_target(text, form, choices) == answer


@pytest.mark.parametrize(("text", "form", "choices"), NO_TARGETS)
def test_what_is_not_wholly_an_answer_is_no_target(
    text: str, form: str, choices: tuple[str, ...]
) -> None:
    assert read_target(text, form, choices) is None


def test_a_format_of_ones_own_reads_targets_as_texts_unless_it_says_how(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formats, "_FORMATS", dict(formats._FORMATS))
    answer_format("last_word")(lambda text, _: text.split()[-1])
    answer_format("one_word", target=lambda text, _: text if text.isalpha() else None)(
        lambda text, _: text.split()[-1]
    )
    assert read_target("in Paris", "last_word") == "Paris"
    assert read_target("in Paris", "one_word") is None
    assert read_target("Paris", "one_word") == "Paris"
