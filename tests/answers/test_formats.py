"""Laws of reading answers, its cost on hostile texts, and the registry of formats."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.answers import formats
from ember_bench.answers.formats import (
    BUILT_IN_FORMATS,
    answer_format,
    answer_format_names,
    get_answer_format,
    parse_answer,
)
from ember_bench.errors import ConfigError, UnknownNameError

CITIES = ("London", "Paris", "Rome", "Berlin")
NAMES = [form.name for form in BUILT_IN_FORMATS]

# Pieces that mean something to some format, so that random texts come upon its corners.
PIECES = [
    "Answer", ": ", "answer is ", "####", "\\boxed{", "}", "\"answer\": ", "\"", "A",
    "(B)", " or ", "and ", "not ", "yes", "no", "true", "false", "it is ", "[", "]", "I ",
    "1", "0", ",", ".", "-", "/", "e", "^", " ", "\n", "\\frac", "{", "$", "%", "\u2212",
    "x", "*", "=", "Paris", "London", "<think>", "</think>", "<answer>",
    "</answer>", "\u7b54\u6848", "\u662f", "\u9009", "\uff22", "la respuesta es ", "because ",
    "Question: ", "```", "the ", "your ",
]  # fmt: skip
ANY_TEXT = st.text() | st.lists(st.sampled_from(PIECES)).map("".join)


@pytest.mark.parametrize("form", NAMES)
@given(text=ANY_TEXT)
def test_reading_an_answer_again_gives_it_again(form: str, text: str) -> None:
    answer = parse_answer(text, form, CITIES)
    if answer is not None:
        assert answer
        assert parse_answer(answer, form, CITIES) == answer


@pytest.mark.parametrize("form", ["number", "choice", "yes_no", "integers"])
@given(text=ANY_TEXT)
def test_an_answer_is_read_again_behind_the_word_answer(form: str, text: str) -> None:
    answer = parse_answer(text, form, CITIES)
    if answer is not None:
        assert parse_answer(f"Answer: {answer}", form, CITIES) == answer


HOSTILE = [
    "1", "1,", "1 ", "1 000", "1/", "1 -", "1e", "1 1 /", "1 and ", "answer ", "answer: ",
    "answer is ", "the answer is A. ", "\"answer\":", "\"answer\": \"\\", "#", "\\boxed{",
    "\\boxed{1}", "\\frac{1}{", "{", "(", "[", "[yes] or ", "yes or no ", "true", "it is ", "A or ",
    "A is the best ", "is not ", "*", " ", "\n", "\t1", "-", "=1", "1x", "\0",
    "\u2212", ". ", "A", "no ", "<think>", "</think>", "\n<think>", "<answer>", "\nQuestion:",
    "\u7b54\u6848\u662f", "\u9009", "respuesta ", "B est ", "\n```", "[PYTHON]\n", "def f\n",
    "import a\n", "a b ",
    "(Yes or No) ", "Answer: x\nQ: ", "<|channel|>", "analysis", ",because", "\\text{",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("form", NAMES)
@pytest.mark.parametrize("unit", HOSTILE)
def test_a_megabyte_of_anything_is_read_in_linear_time(form: str, unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    for hostile in (text, f"Answer: {text} x"):
        start = time.process_time()
        answer = parse_answer(hostile, form, CITIES)
        # About .1 s; what is not linear takes minutes.
        assert time.process_time() - start < 5
        assert form in ("text", "exact") or answer is None or len(answer) < 1000


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_FORMATS", dict(formats._FORMATS))


def roman(text: str, choices: object) -> str | None:
    return {"I": "1", "V": "5"}.get(text.strip())


@pytest.mark.usefixtures("_registered")
def test_a_user_adds_a_format() -> None:
    answer_format("roman", version=3)(roman)
    assert parse_answer(" V ", "roman") == "5"
    assert get_answer_format("roman").identity == "roman@3"
    assert "roman" in answer_format_names()


@pytest.mark.usefixtures("_registered")
def test_two_files_cannot_register_one_name() -> None:
    with pytest.raises(ConfigError, match=r"'number' is already registered by .*formats.py"):
        answer_format("number")(roman)


@pytest.mark.usefixtures("_registered")
def test_a_file_that_is_imported_again_registers_again() -> None:
    answer_format("roman")(roman)
    answer_format("roman", version=2)(roman)
    assert get_answer_format("roman").version == 2


def test_an_unknown_format_lists_near_matches() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown answer format 'numbers'.*'number'"):
        parse_answer("18", "numbers")
