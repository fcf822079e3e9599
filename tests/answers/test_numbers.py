"""A number is read where it stands as a number of its own, whatever it is written in."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ember_bench.answers.formats import parse_answer, read_target
from tests.answers.no_numbers import NO_NUMBER
from tests.answers.readable_numbers import READABLE
from tests.answers.stated_numbers import STATED


@pytest.mark.parametrize(("text", "number"), (READABLE | STATED).items())
def test_a_number_is_read_in_every_notation(text: str, number: str) -> None:
    assert parse_answer(text, "number") == number


@pytest.mark.parametrize("text", NO_NUMBER)
def test_no_number_is_cut_out_of_something_else(text: str) -> None:
    assert parse_answer(text, "number") is None


@pytest.mark.parametrize("number", sorted({*READABLE.values(), *STATED.values()}))
def test_a_canonical_number_is_a_target_and_reads_as_itself(number: str) -> None:
    assert read_target(number, "number") == number
    assert parse_answer(f"Answer: {number}", "number") == number


# The zeros of Arabic-Indic, Persian, Devanagari, Bengali, Thai, Burmese, Tamil, full-width and
# mathematical bold digits.
ZEROS = "\u0660\u06f0\u0966\u09e6\u0e50\u1040\u0be6\uff10\U0001d7ce"
STATEMENTS = [
    "Answer: {}",
    "The answer is {}.",
    "**Answer:** {} apples",
    "#### {}",
    "so x = {}",
    r"Therefore \boxed{{{}}}.",
    r"The answer is ${}$.",
    "The answer is {}, because 12 / 4 = 3",
    "Answer: {} (16 - 3 - 4 = 9, times 2)",
    "9 * 2 = {}",
]


def _groups(value: int, mark: str) -> str:
    return f"{value:,}".replace(",", mark)


STYLES = {
    "plain": str,
    "commas": lambda n: f"{n:,}",
    "spaces": lambda n: _groups(n, "\u202f"),
    "apostrophes": lambda n: _groups(n, "\u2019"),
    "decimals": lambda n: f"{n:,}.00",
    "continental": lambda n: f"{_groups(n, '.')},50" if n >= 1000 else f"{n},50",
    "latex commas": lambda n: _groups(n, "{,}"),
    "latex spaces": lambda n: _groups(n, r"\,"),
    "dollars": lambda n: f"\\${n}",
    "percent": lambda n: f"{n}\\%",
}


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=20)
@given(value=st.integers(0, 10**12))
@example(value=0)
@example(value=1000)
def test_a_number_in_any_style_is_read_back_from_any_statement(
    style: str, statement: str, value: int
) -> None:
    half = Fraction(1, 2) if style == "continental" else 0
    written = statement.format(STYLES[style](value))
    read = parse_answer(written, "number")
    assert read is not None, written
    assert Fraction(read) == value + half


@given(whole=st.integers(-(10**15) + 1, 10**15 - 1), decimals=st.from_regex(r"(\.[0-9]{1,15})?\Z"))
@example(whole=0, decimals=".000")
def test_an_answer_and_nothing_else_reads_as_it_does_in_a_sentence(
    whole: int, decimals: str
) -> None:
    alone = parse_answer(f"Answer: {whole}{decimals}", "number")
    assert alone == parse_answer(f"So I say: Answer: {whole}{decimals}", "number")


@pytest.mark.parametrize("zero", ZEROS)
@given(value=st.integers(0, 10**15))
def test_the_digits_of_every_script_are_digits(zero: str, value: int) -> None:
    written = "".join(chr(ord(zero) + int(digit)) for digit in str(value))
    assert parse_answer(f"Answer: {written}", "number") == str(value)


@given(above=st.integers(-99, 99), below=st.integers(1, 99))
def test_a_fraction_is_read_from_latex_and_from_a_slash(above: int, below: int) -> None:
    for written in (f"\\frac{{{above}}}{{{below}}}", f"get \\dfrac{{{above}}}{{{below}}}"):
        read = parse_answer(written, "number")
        assert read is not None
        assert Fraction(read) == Fraction(above, below)


NUMERALS = st.integers(0, 999).map(str) | st.decimals(0, 99, places=2).map(str)
AROUND = [
    "{a} * {b}", "{a}*{b}", "{a} + {b}", "{a} - {b}", "{a}-{b}", "{a} x {b}", "{a}:{b}",
    "{a} to {b}", "{a} or {b}", "{a}^{b}x", "{a}({b})", "({a})({b})", "[{a}, {b})",
    "({a}, {b})", "{a}; {b}",
    "{a} < x < {b}", "{a} \u00b1 {b}", "{a}\\sqrt{{{b}}}", "\\sqrt{{{b}}}",
    "\\frac{{{a}\\pi}}{{{b}}}",
    "{a}x + {b}", "{a}\u03c0", "{a}!", "{a}_{b}", "\\log {b}", "{a} in {b}", "{a} out of {b}",
    "{a} times {b}", "{a} mod {b}", "{a} hours {b} minutes", "{a} and {b}", "x = {a} or x = {b}",
    "between {a} and {b}", "{a}~{b}", "{a}\u2013{b}", "{a}\u00d7{b}", "{a}\u00f7{b}", "|{a}|",
    "\\le {b}", "> {b}x", "f({b})", "{a}y", "{a} dozen", "{a} squared", "x^{{{b}}}", "{a}\u221a{b}",
]  # fmt: skip


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("statement", ["Answer: {}", r"\boxed{{{}}}", "#### {}", "{}"])
@settings(max_examples=20)
@given(a=NUMERALS, b=NUMERALS)
def test_a_number_inside_an_expression_is_never_the_answer(
    statement: str, around: str, a: str, b: str
) -> None:
    assert parse_answer(statement.format(around.format(a=a, b=b)), "number") is None


@pytest.mark.parametrize(
    "text",
    [
        "She has 18 eggs and sells half of the",
        "First 16 - 3 = 13. Then 13 times 2 is",
        "There are 18 of them, because",
        "We take the 18 eggs that she has and",
    ],
)
def test_a_number_of_an_unfinished_line_is_no_answer(text: str) -> None:
    assert parse_answer(text, "number") is None


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 12, because 12 / 4 = 3",
        "#### 12 (3 * 4)",
        "Answer: 12, 3 * 4 = 12",
        "Answer: 12 = 3 * 4",
    ],
)
def test_the_reason_of_an_answer_is_not_part_of_it(text: str) -> None:
    assert parse_answer(text, "number") == "12"
