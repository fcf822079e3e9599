"""Answers that other scorers get wrong: right ones they miss, wrong ones they count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ember_bench.datasets.item import Item
from ember_bench.evaluators import load_evaluator
from ember_bench.registry import Cards, builtin_root

if TYPE_CHECKING:
    from ember_bench.evaluators import Evaluator, ScoreOutcome

CITIES = ("London", "Paris", "Rome", "Berlin")

# (card, target, output, outcome)
TABLE: list[tuple[str, str, str, ScoreOutcome]] = [
    # The target's number stands in the text, but is not the answer.
    ("numeric_match", "18", "She has 18 eggs and sells 9. The answer is 9.", "wrong"),
    ("numeric_match", "18", "18 - 9 = 9", "wrong"),
    ("numeric_match", "18", "Answer: 9 (not 18)", "wrong"),
    ("numeric_match", "18", "#### 9\n", "wrong"),
    ("numeric_match", "18", r"18 eggs, so \boxed{9}", "wrong"),
    ("numeric_match", "18", '{"reasoning": "18 eggs", "answer": "9"}', "wrong"),
    ("numeric_match", "18", "The answer is not 18", "unparsed"),
    ("numeric_match", "18", "The answer isn't 18, it is 9", "wrong"),
    ("numeric_match", "18", "Answer: 18 or 9", "unparsed"),
    ("numeric_match", "18", "Answer: 9 or 18", "unparsed"),
    ("numeric_match", "18", "Answer: 18\nAnswer: 9", "wrong"),
    ("numeric_match", "18", "Answer: 1, 18, 9", "unparsed"),
    ("numeric_match", "18", "Answer: 18 * 2", "unparsed"),
    ("numeric_match", "18", "between 17 and 18.5", "unparsed"),
    # One number is the beginning, the end or the digits of another.
    ("numeric_match", "1", "10", "wrong"),
    ("numeric_match", "10", "1", "wrong"),
    ("numeric_match", "1", "Answer: 10", "wrong"),
    ("numeric_match", "0", "10", "wrong"),
    ("numeric_match", "18", "-18", "wrong"),
    ("numeric_match", "18", "118", "wrong"),
    ("numeric_match", "18", "1.8", "wrong"),
    ("numeric_match", "18", "18.5", "wrong"),
    ("numeric_match", "18", "18.000000000000000000000000001", "wrong"),
    ("numeric_match", "18", "18e3", "wrong"),
    ("numeric_match", "1000", "1,000,000", "wrong"),
    ("numeric_match", "0.5", "50%", "wrong"),
    # The same number in other clothes.
    ("numeric_match", "18", "18 dollars", "correct"),
    ("numeric_match", "18", "$18.00.", "correct"),
    ("numeric_match", "18", r"The total is \$\boxed{18}.", "correct"),
    ("numeric_match", "18", "**Answer: $18 per day**", "correct"),
    ("numeric_match", "18", "9 * 2 = 18", "correct"),
    ("numeric_match", "18", "  18\n", "correct"),
    ("numeric_match", "18", "\u200b18", "correct"),
    ("numeric_match", "1000", "1 000", "correct"),
    ("numeric_match", "1000", "1,000", "correct"),
    ("numeric_match", "1,000", "1e3", "correct"),
    ("numeric_match", "0.5", "1/2", "correct"),
    ("numeric_match", "0.5", "0,5", "correct"),
    ("numeric_match", "50", "50 %", "correct"),
    ("numeric_match", "-5", "\u22125", "correct"),
    ("numeric_match", "1/3", r"\frac{2}{6}", "correct"),
    ("numeric_match", "1/3", "0.3333333333", "wrong"),
    # Nothing that could be an answer.
    ("numeric_match", "18", "", "unparsed"),
    ("numeric_match", "18", "\x00\x1b\x7f", "unparsed"),
    ("numeric_match", "0", "none", "unparsed"),
    ("numeric_match", "0", "null", "unparsed"),
    ("numeric_match", "0", '{"answer": null}', "unparsed"),
    ("numeric_match", "0", "nan", "unparsed"),
    ("numeric_match", "18", "inf", "unparsed"),
    ("numeric_match", "18", "1e999999999", "unparsed"),
    ("numeric_match", "18", "9" * 1_000_000, "unparsed"),
    ("numeric_match", "18", "x" * 1_000_000, "unparsed"),
    # Letters.
    ("multiple_choice", "B", "B", "correct"),
    ("multiple_choice", "B", "(b)", "correct"),
    ("multiple_choice", "B", "Paris", "correct"),
    ("multiple_choice", "Paris", "B", "correct"),
    ("multiple_choice", "B", "The answer is B, as A, C and D are not in France.", "correct"),
    ("multiple_choice", "B", "B or C", "unparsed"),
    ("multiple_choice", "B", "Answer: B or C", "unparsed"),
    ("multiple_choice", "C", "Answer: B or C", "unparsed"),
    ("multiple_choice", "B", "Answer: A, B, C, D", "unparsed"),
    ("multiple_choice", "B", "B? No. The answer is C.", "wrong"),
    ("multiple_choice", "B", "The answer is not B.", "unparsed"),
    ("multiple_choice", "A", "A city on the Seine.", "unparsed"),
    ("multiple_choice", "A", "A difficult question. The answer is B.", "wrong"),
    ("multiple_choice", "A", "Answer: a difficult one", "unparsed"),
    ("multiple_choice", "B", "Answer: E", "unparsed"),
    ("multiple_choice", "B", "", "unparsed"),
    # Words.
    ("yes_no", "yes", "Yes.", "correct"),
    ("yes_no", "No", "[No] It is 3 * 7.", "correct"),
    ("yes_no", "no", "I know nothing.", "unparsed"),
    ("yes_no", "yes", "yes or no?", "unparsed"),
    ("yes_no", "yes", "Yes, no", "unparsed"),
    ("yes_no", "no", "There is no doubt about it: yes", "wrong"),
    # Lists.
    ("integers", "101,103", "103 x 101", "correct"),
    ("integers", "101,103", "10403 = 101 * 103", "correct"),
    ("integers", "101,103", "Answer: 101, 103", "correct"),
    ("integers", "101,103", "101", "wrong"),
    ("integers", "101,103", "101, 103, 1", "wrong"),
    ("integers", "2,2,3", "2, 3", "wrong"),
    ("integers", "101,103", "101103", "wrong"),
    ("integers", "101,103", "", "unparsed"),
    # Text.
    ("exact_match", "Paris", "Paris", "correct"),
    ("exact_match", "Paris", "I thought of London.\nAnswer: Paris", "correct"),
    ("exact_match", "Paris", "paris", "wrong"),
    ("exact_match", "Paris", "Paris or London", "wrong"),
    ("exact_match", "Paris", "not Paris", "wrong"),
    ("exact_match", "Zoe\u0308", "Zo\u00eb", "correct"),
    ("exact_match", "Paris", " ", "unparsed"),
    ("quasi_exact_match", "the Eiffel Tower", "Answer: Eiffel tower.", "correct"),
    ("quasi_exact_match", "Paris", "Paris, France", "wrong"),
    ("quasi_exact_match", "!", "?", "wrong"),
]

FORMATS = {"numeric_match": "number", "multiple_choice": "choice"}


@pytest.fixture(scope="module")
def cards() -> Cards:
    return Cards([builtin_root()])


@pytest.mark.parametrize(("card", "target", "output", "outcome"), TABLE)
def test_outcome(card: str, target: str, output: str, outcome: str, cards: Cards) -> None:
    item = _item(card, target)
    assert load_evaluator(card, cards).evaluate(item, output).outcome == outcome


@pytest.mark.parametrize(("card", "target"), sorted({(row[0], row[1]) for row in TABLE}))
def test_the_target_itself_is_correct(card: str, target: str, cards: Cards) -> None:
    assert load_evaluator(card, cards).evaluate(_item(card, target), target).value == 1.0


@pytest.mark.parametrize(("card", "target", "output", "outcome"), TABLE)
def test_an_answer_that_was_read_already_scores_the_same(
    card: str, target: str, output: str, outcome: str, cards: Cards
) -> None:
    evaluator: Evaluator = load_evaluator(card, cards)
    answer = evaluator.evaluate(_item(card, target), output).answer
    if answer is not None:
        assert evaluator.evaluate(_item(card, target), answer).outcome == outcome


def _item(card: str, target: str) -> Item:
    choices = CITIES if card == "multiple_choice" else ()
    return Item("1", "?", target, choices=choices, answer_format=FORMATS.get(card, "text"))
