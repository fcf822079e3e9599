"""Lists of integers: which are read, and which are part of something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.answers.formats import parse_answer, read_target

LISTS = {
    "\\boxed{1} and \\boxed{2}": "1,2",
    "Answer:\n- 7\n- 11": "7,11",
    "The factors are:\n* 7\n* -11\n* 13": "-11,7,13",
    "$1$ and $2$": "1,2",
    "The factors are $101$ and $103$.": "101,103",
    "\\boxed{1}, \\boxed{2} and \\boxed{3}": "1,2,3",
    "\\(1\\) and \\(2\\)": "1,2",
    "(0,9)": "0,9",
    "[0, 9]": "0,9",
    "{1, 2}": "1,2",
    "\\{1, 2\\}": "1,2",
    "\\boxed{\\{1,2\\}}": "1,2",
    "x = 3, y = 5": "3,5",
    "p = 101 and q = 103": "101,103",
    "n = 101 * 103": "101,103",
    "10403 = 101 \xd7 103": "101,103",
    "Answer: 101, 103 (10403 = 101 * 103)": "101,103",
    "Answer: 3, 5 because 3 * 5 = 15": "3,5",
    "Answer: 3 and 5, since 3 + 5 = 8": "3,5",
    "\uff12\u3001\uff13\u3001\uff15": "2,3,5",
    "\uff12\uff0c\uff13\uff0c\uff15": "2,3,5",
    "\u0661\u060c \u0662\u060c \u0663": "1,2,3",
    "2\xb3 \xd7 5": "2,2,2,5",
    "2^{3} \\cdot 5": "2,2,2,5",
    "1,009 and 1,013": "1009,1013",
    "1,009, 1,013": "1009,1013",
    "7": "7",
    "-7": "-7",
    "- 7": "-7",
    "3, -5": "-5,3",
    "3; 5": "3,5",
    "3 & 5": "3,5",
    "3 5": "3,5",
    "2 \xd7 3 = 6": "2,3",
    "2 and 3 and 5": "2,3,5",
    "2, 3, and 5.": "2,3,5",
    "Answer: **2, 3**": "2,3",
    "$2, 3$": "2,3",
    "2,3,5,7": "2,3,5,7",
    "(1,2), (3,4)": "1,2,3,4",
    "2 x 3": "2,3",
    "2x3": "2,3",
    "The prime factors of 10403 are 101 and 103.": "101,103",
    "2 \u548c 3": "2,3",
    "2\u30683": "2,3",
    "2,,3": "2,3",
}

NO_LISTS = [
    "[0,9)",
    "1/2, 3",
    "1.5, 2",
    "2, 1.5",
    "5!, 3",
    "5x, 3",
    "1, 2, ..., 10",
    "1-5",
    "1 - 5",
    "1 to 5",
    "3 or 5",
    "2\u03c0, 3",
    "\u221a2, 3",
    "3, \u221a2",
    "3, 2\u03c0",
    "12:30",
    "2^x",
    "[1, 2",
    "2 x + 3",
    "x^2",
    "1e5, 3",
    "3 + 5",
    "3 < 5",
    "0x1F",
    "1_000, 3",
    "50%, 3",
]


@pytest.mark.parametrize(("text", "integers"), LISTS.items())
def test_a_list_is_read_in_every_notation(text: str, integers: str) -> None:
    assert parse_answer(text, "integers") == integers


@pytest.mark.parametrize("text", NO_LISTS)
def test_no_integers_are_cut_out_of_something_else(text: str) -> None:
    assert parse_answer(text, "integers") is None


SEPARATORS = [", ", ",", "; ", " and ", " & ", " \u00d7 ", r" \times ", "\u3001", "$ and $"]


@pytest.mark.parametrize("separator", SEPARATORS)
@given(values=st.lists(st.integers(0, 10**6), min_size=2, max_size=9))
def test_every_separator_separates(separator: str, values: list[int]) -> None:
    written = separator.join(map(str, values))
    expected = ",".join(map(str, sorted(values)))
    assert parse_answer(f"Answer: {written}", "integers") == expected
    assert parse_answer(rf"so \boxed{{{written}}} is it", "integers") == expected


@given(values=st.lists(st.integers(0, 999), min_size=1, max_size=5))
def test_several_boxes_are_one_list(values: list[int]) -> None:
    written = " and ".join(rf"\boxed{{{value}}}" for value in values)
    expected = ",".join(map(str, sorted(values)))
    assert parse_answer(f"The roots are {written}.", "integers") == expected


@given(values=st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=9))
def test_a_list_that_was_read_is_a_target(values: list[int]) -> None:
    read = parse_answer(", ".join(map(str, values)), "integers")
    assert read is not None
    assert read_target(read, "integers") == read
