"""What is read out of which text. The tables are the specification."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.answers.formats import parse_answer

CITIES = ("London", "Paris", "Rome", "Berlin")

WRITTEN_NUMBERS = {
    "18": "18",
    "$18.": "18",
    "18 dollars": "18",
    "1,000.0": "1000",
    "1 000": "1000",
    "1\u202f000": "1000",
    "12,34,567": "1234567",
    "1{,}000": "1000",
    "1.234.567": "1234567",
    "3,14": "3.14",
    "1.234,56": "1234.56",
    "1.234": "1.234",
    "0,125": "0.125",
    "50%": "50",
    r"50\%": "50",
    ".5": "0.5",
    "007": "7",
    "-0.0": "0",
    "\u22125": "-5",
    "-$5": "-5",
    "$-5": "-5",
    "negative 5": "-5",
    "3/4": "0.75",
    "2/6": "1/3",
    "-1/3": "-1/3",
    "1 1/2": "1.5",
    r"\frac{3}{4}": "0.75",
    r"$-\frac{1}{3}$": "-1/3",
    r"1\dfrac12": "1.5",
    "1e3": "1000",
    "1.5e-3": "0.0015",
    r"1.5 \times 10^{6}": "1500000",
    "6.02 x 10^23": "602000000000000000000000",
    "10^6": "1000000",
    r"\$1,200": "1200",
}

STATED_NUMBERS = {
    "#### 18": "18",
    "so 16 - 3 = 13\n#### 1,800": "1800",
    r"thus \boxed{18}, which is 2 more than 16": "18",
    r"**Final Answer:** $\boxed{\$1,200}$": "1200",
    r"\[ \boxed{\text{36 eggs}} \]": "36",
    "Answer: 18\nI used 3 steps.": "18",
    "The answer is 18. There were 3 steps.": "18",
    "the final answer is $ 1,080$.": "1080",
    "The answer to the question is therefore: 18": "18",
    "Answer:\n\n**18**": "18",
    "Answer (in dollars): 18": "18",
    '{"reasoning": "3 steps", "answer": "18"}': "18",
    '{"answer": 18, "reasoning": "16 - 3 = 13"}': "18",
    '```json\n{"answer": "$18"}\n```\nThat took 3 steps.': "18",
    '5 of 7 {"answer": "Tim saves $34 a month"}': "34",
    "Answer: 9 * 2 = $18": "18",
    "Answer: x = 5": "5",
    "Answer: about 18 dollars": "18",
    "The answer is not 18 but 20": "20",
    "The answer isn't 18. It is 20.": "20",
    "The answer is 12. Wait, no, the answer is 18": "18",
    "Answer: 18\nAnswer: 20": "20",
    "The answer is 18. The answer is 20.": "20",
    # Without a statement the last number counts; exponents and parts of names are no numbers.
    "16 - 3 = 13, and 13 * 2 = 26": "26",
    "The area is 36 cm^2": "36",
    "We get 18 for x2 and H2O": "18",
    # The heading of a list is not a statement.
    "#### 2. Add them\nso 5": "5",
    "Answer:\n1. Take 16.\n2. Subtract 3: 13": "13",
}

NO_NUMBERS = [
    "",
    " \n\t",
    "none",
    "Answer: N/A after 3 attempts",
    'I tried 5 times. {"answer": null, "attempts": 3}',
    'I tried 5 times. {"answer": ""}',
    "Answer: unknown, but more than 3",
    'I tried 5 times. {"answer": "there is a mistake in the question"}',
    '{"answer": "Tim saves $34 of his $60"}',
    "The answer cannot be determined from 18 and 20.\nAnswer: cannot be determined from 18",
    "The answer is not 18",
    "The answer is 18. No, the answer is not 18.",
    "Answer: 18 or 20",
    "Answer: between 18 and 20",
    "Answer: 18-20",
    "Answer: 18 to 20 dollars",
    "Answer: 2, 3, 5",
    "Answer: 9 * 2",
    "from 10-20",
    "on 12/25/2023",
    "the primes 2,3,5,7",
    "The answer is 3 hours and 20 minutes",
    r"\boxed{9 + 9}",
    r"from 3 follows \boxed{\text{none}}",
    "2^10",
    "5/0",
    "1e999999999",
    "1e-999999999",
    "9" * 10_000,
    "infinity",
    "\x00\x01\x02",
]


@pytest.mark.parametrize(("text", "number"), WRITTEN_NUMBERS.items())
def test_a_number_has_one_canonical_form_however_it_is_written(text: str, number: str) -> None:
    assert parse_answer(text, "number") == number


@pytest.mark.parametrize(("text", "number"), WRITTEN_NUMBERS.items())
def test_a_stated_number_is_read_as_when_it_stands_alone(text: str, number: str) -> None:
    assert parse_answer(f"In 7 steps: \\boxed{{{text}}}. That was 1 of 9.", "number") == number


@pytest.mark.parametrize(("text", "number"), STATED_NUMBERS.items())
def test_the_number_that_is_stated_counts_else_the_last(text: str, number: str) -> None:
    assert parse_answer(text, "number") == number


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_not_one_number_is_none(text: str) -> None:
    assert parse_answer(text, "number") is None


@given(st.integers(-(10**30), 10**30))
def test_integers_keep_their_value_under_separators(value: int) -> None:
    assert parse_answer(f"Answer: {value:,}", "number") == str(value)
    assert parse_answer(f"It is ${value}.", "number") == str(value)


@given(st.from_regex(r"Answer: [0-9]{1,15}\n?", fullmatch=True))
def test_a_bare_answer_is_read_as_one_after_a_thought(text: str) -> None:
    assert parse_answer(text, "number") == parse_answer(f"So it is.\n{text}", "number")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-1e9, max_value=1e9))
def test_decimals_keep_their_value(value: object) -> None:
    read = parse_answer(f"The answer is {value:f}.", "number")
    assert read is not None
    assert Fraction(read) == Fraction(str(value))


@given(st.fractions(max_denominator=10**6))
def test_fractions_keep_their_value(value: Fraction) -> None:
    read = parse_answer(f"Answer: {value.numerator}/{value.denominator}", "number")
    assert read is not None
    assert Fraction(read) == value


CHOICES = {
    "B": "B",
    "b": "B",
    "(B)": "B",
    "**B**": "B",
    "B.": "B",
    "Option B": "B",
    "B. Paris": "B",
    "Paris": "B",
    "paris.": "B",
    "B. Paris\nIt is the capital.": "B",
    "Answer: B": "B",
    "answer: b": "B",
    "Answer: B. Paris": "B",
    "Answer: Paris": "B",
    "The answer is Paris.": "B",
    "The answer is (B).": "B",
    "The answer is B because A is wrong.": "B",
    "The best answer is B: Paris, since A is in England": "B",
    "The answer is A because of the Thames.": "A",
    "The correct answer is: **B) Paris**": "B",
    r"\boxed{B}": "B",
    r"$\boxed{\text{(B)}}$": "B",
    '{"reasoning": "A is far away", "answer": "B"}': "B",
    "Answer: B, not A": "B",
    "The answer is not A but B": "B",
    "The answer is A. Wait, actually the answer is B.": "B",
    "Answer: A\nAnswer: B": "B",
    "The answer is A. The answer is B.": "B",
    "Therefore, (B) is correct.": "B",
    "B is the correct answer": "B",
    "A can be excluded.\nI'd go with B.": "B",
    "I have thought about it.\nSo: (B)": "B",
    "I think it is Paris.": "B",
    "A good question. I think it is Paris.": "B",
}

NO_CHOICES = [
    "",
    "A good question.",
    "I think so",
    "I do not know, A or B",
    "E",
    "A, B",
    "Answer: A or B",
    "Answer: A and B",
    "Answer: A/B",
    "Answer: (A) and (B)",
    "The answer is London or Paris",
    "Either A or C",
    "A. London\nB. Paris\nC. Rome\nD. Berlin",
    "The answer is not B",
    "It is not Paris",
    "Answer: I don't know",
    "Answer: A hard one",
    "Is it A? It could be.",
    "\x00",
]


@pytest.mark.parametrize(("text", "letter"), CHOICES.items())
def test_a_choice_is_a_letter(text: str, letter: str) -> None:
    assert parse_answer(text, "choice", CITIES) == letter


@pytest.mark.parametrize("text", NO_CHOICES)
def test_no_letter_several_letters_articles_and_pronouns_choose_nothing(text: str) -> None:
    assert parse_answer(text, "choice", CITIES) is None


def test_letters_go_as_far_as_the_options_do() -> None:
    assert parse_answer("Answer: D", "choice", CITIES[:3]) is None
    assert parse_answer("Answer: I", "choice", [str(n) for n in range(9)]) == "I"
    assert parse_answer("Answer: J", "choice") == "J"


def test_an_options_text_counts_even_if_it_begins_like_a_letter() -> None:
    assert parse_answer("Answer: A dog", "choice", ("A cat", "A dog")) == "B"
    assert parse_answer("Answer: New York City", "choice", ("New York", "New York City")) == "B"
    assert parse_answer("Answer: 10", "choice", ("1", "10")) == "B"


def test_a_text_that_two_options_share_chooses_neither() -> None:
    assert parse_answer("Answer: red", "choice", ("red", "red", "blue")) is None


YES_NO = {
    "yes": "yes",
    "No.": "no",
    "**No**": "no",
    "[Yes]": "yes",
    "17 is odd ... [No]": "no",
    "[No] Let me check again. So 17 is prime: [Yes]": "yes",
    "Yes, because it is odd": "yes",
    "No, it is prime": "no",
    "Answer: Yes": "yes",
    "I think the answer would be yes, because it is odd": "yes",
    "The answer is no.": "no",
    "There is no reason to doubt it. Yes.": "yes",
    "Answer with [Yes] or [No]. [No]": "no",
    "true": "yes",
    "False.": "no",
    "**True**": "yes",
    "[False]": "no",
    "Answer: True": "yes",
    "The answer is \\boxed{\\text{False}}.": "no",
    '{"answer": false}': "no",
    "True, because it is odd": "yes",
    "False. It is 3 * 7.": "no",
    "It has two factors.\nFalse": "no",
    "It has no factors. So the statement is true.": "yes",
    "It is 3 * 7. Therefore, it's false.": "no",
    "True or false? False.": "no",
    "That is true of 3, and of 7. No": "no",
    "True, it looks prime. The answer is no.": "no",
}

YES_NO |= {
    "\u7b54\u6848\uff1a\u662f": "yes",
    "\u7b54\u6848\u662f\u5426\u3002": "no",
    "\u7b54\u6848\uff1a\u4e0d\u662f\u3002": "no",
    "Respuesta: S\u00ed.": "yes",
    "La r\u00e9ponse est : Non, car il pleut.": "no",
    "Antwort: Ja": "yes",
    "\u041e\u0442\u0432\u0435\u0442: \u043d\u0435\u0442": "no",
    "\u7b54\u3048\uff1a\u306f\u3044": "yes",
    "\uc815\ub2f5: \uc544\ub2c8\uc694": "no",
}
NEITHER = [
    "",
    "maybe",
    "yes or no",
    "Yes and no",
    "Answer: yes or no",
    "[Yes] or [No]",
    "no one knows",
    "not sure",
    "Yes. On second thoughts: no",
    "noon",
    "true or false",
    "Answer: True/False",
    "[True] or [False]",
    "Not true.",
    "It is not true.",
    "I doubt that it is true.",
    "If 3 divides it, it is false.",
    "True positives are rare",
    "False alarms are rare.",
    "The answer is not true.",
    "The statement is half true.",
    "True. On second thoughts: the claim is false.",
    "Truely",
]


@pytest.mark.parametrize(("text", "word"), YES_NO.items())
def test_yes_and_no(text: str, word: str) -> None:
    assert parse_answer(text, "yes_no") == word


@pytest.mark.parametrize("text", NEITHER)
def test_neither_yes_nor_no(text: str) -> None:
    assert parse_answer(text, "yes_no") is None


INTEGERS = {
    "101 x 103": "101,103",
    "103,101": "101,103",
    "[103, 101]": "101,103",
    "10403 = 101 \u00d7 103": "101,103",
    "Answer: 101 x 103 = 10403": "101,103",
    "The prime factors of 10403 are 101 and 103.": "101,103",
    r"\boxed{101 \times 103}": "101,103",
    "I tried 7 and 11.\nAnswer: 101, 103": "101,103",
    "1,009 x 1,013": "1009,1013",
    "2^3 * 5": "2,2,2,5",
    "3, -5": "-5,3",
    "7": "7",
    "-7": "-7",
}


@pytest.mark.parametrize(("text", "integers"), INTEGERS.items())
def test_integers_are_sorted_each_as_often_as_it_stands_there(text: str, integers: str) -> None:
    assert parse_answer(text, "integers") == integers


@pytest.mark.parametrize("text", ["", "none", "1," * 1000, "9" * 1000])
def test_what_is_no_list_of_integers_is_none(text: str) -> None:
    assert parse_answer(text, "integers") is None


@given(st.lists(st.integers(-(10**20), 10**20), min_size=1, max_size=20), st.randoms())
def test_the_order_of_integers_does_not_matter(values: list[int], random: object) -> None:
    expected = ",".join(map(str, sorted(values)))
    assert parse_answer(expected, "integers") == expected
    assert parse_answer("Answer: " + ", ".join(map(str, values)), "integers") == expected


TEXTS = {
    "  Paris \n": "Paris",
    "It is a city.\nAnswer: Paris": "Paris",
    "Answer: London\nNo.\n**Final answer:** Paris": "Paris",
    "Answer:\nParis": "Paris",
    "Answer: Answer: Paris": "Paris",
    "The answer depends: it is Paris": "The answer depends: it is Paris",
}


@pytest.mark.parametrize(("text", "answer"), TEXTS.items())
def test_a_text_is_the_last_answer_line_or_all_of_it(text: str, answer: str) -> None:
    assert parse_answer(text, "text") == answer


def test_exact_keeps_everything_but_the_whitespace_around_it() -> None:
    assert parse_answer("  Answer: x\n  y \n", "exact") == "Answer: x\n  y"


@pytest.mark.parametrize("form", ["text", "exact"])
def test_an_empty_text_is_no_answer(form: str) -> None:
    assert parse_answer(" \n", form) is None
