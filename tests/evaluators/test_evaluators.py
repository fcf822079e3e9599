"""What each kind of evaluator compares, and what its identity covers."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.answers import formats
from ember_bench.answers.formats import AnswerFormat
from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.evaluators import (
    ExactMatch,
    MultipleChoice,
    NumericMatch,
    Score,
    kinds,
    load_evaluator,
)
from ember_bench.evaluators.base import Normalises
from ember_bench.evaluators.kinds import AnswerEvaluator, evaluator
from ember_bench.registry import Cards, builtin_root

EXACT, NUMERIC, CHOICE = ExactMatch("e"), NumericMatch("n"), MultipleChoice("c")
NUMBER = Item("1", "?", "18", answer_format="number")


def test_a_score_says_what_was_read_and_why() -> None:
    assert NUMERIC.evaluate(NUMBER, "$18.00") == Score(1.0, "18", "'18' is the target.")
    assert NUMERIC.evaluate(NUMBER, "20") == Score(0.0, "20", "'20' is not the target, '18'.")
    unread = "No answer could be read; the target is '18'."
    assert NUMERIC.evaluate(NUMBER, "?") == Score(0.0, None, unread)


def test_an_explanation_stays_short_and_printable() -> None:
    score = EXACT.evaluate(Item("1", "?", "x"), "\x1b[31m" * 10_000)
    assert len(score.explanation) < 500
    assert score.explanation.isprintable()


def test_alternatives_are_as_right_as_the_target() -> None:
    item = Item("1", "?", "Paris", alternatives=("City of Light", "Paname"))
    score = EXACT.evaluate(item, "Paname")
    assert score.outcome == "correct"
    assert score.explanation == "'Paname' is as right as the target, 'Paris'."
    assert EXACT.evaluate(item, "London").outcome == "wrong"


@pytest.mark.parametrize("target", ["eighteen", r"\frac{\pi}{2}", "18 or 20", "Answer: 18"])
def test_a_target_that_is_not_wholly_an_answer_is_reported_not_scored(target: str) -> None:
    item = Item("q7", "?", target, answer_format="number")
    with pytest.raises(ConfigError, match=r"item 'q7': .* is not wholly an answer in .*'number'"):
        NUMERIC.evaluate(item, "18")


def test_an_alternative_is_read_as_strictly_as_the_target() -> None:
    item = Item("q7", "?", "18", alternatives=("18 dozen",), answer_format="number")
    with pytest.raises(ConfigError, match="the target '18 dozen' is not wholly an answer"):
        NUMERIC.evaluate(item, "18")


def test_an_interval_is_no_list_of_integers() -> None:
    item = Item("q7", "?", "[0,9)", answer_format="integers")
    with pytest.raises(
        ConfigError, match=r"'\[0,9\)' is not wholly an answer in format 'integers'"
    ):
        ExactMatch("e").evaluate(item, "(0,9)")


def test_a_target_of_text_is_kept_whole_where_it_has_the_word_answer() -> None:
    item = Item("q7", "?", "Answer: unknown", answer_format="exact")
    assert ExactMatch("e").evaluate(item, "Answer: unknown").value == 1.0
    assert ExactMatch("e").evaluate(item, "unknown").value == 0.0


@pytest.mark.parametrize("alternative", ["20", "1e3"])
def test_a_number_that_is_an_alternative_is_as_right_as_the_target(alternative: str) -> None:
    item = Item("q7", "?", "18", alternatives=("20", "1,000"), answer_format="number")
    assert NUMERIC.evaluate(item, f"The answer is {alternative}.").value == 1.0


def test_an_unknown_format_of_an_item_lists_near_matches() -> None:
    with pytest.raises(UnknownNameError, match=r"'numbr'.*'number'"):
        NUMERIC.evaluate(Item("1", "?", "18", answer_format="numbr"), "18")


def test_the_evaluators_own_format_overrides_the_items() -> None:
    assert NumericMatch("n").evaluate(NUMBER, "yes").answer is None
    item = Item("1", "?", "yes", answer_format="number")
    assert ExactMatch("e", answer_format="yes_no").evaluate(item, "Yes.").value == 1.0


def test_numbers_and_letters_are_read_out_of_answers_in_free_text() -> None:
    assert NUMERIC.evaluate(Item("1", "?", "18"), "I see.\nAnswer: $18.00").value == 1.0
    item = Item("1", "?", "B", choices=("London", "Paris"))
    assert CHOICE.evaluate(item, "I see.\nAnswer: Paris").answer == "B"


SQUAD = ExactMatch(
    "squad",
    ignore_case=True,
    ignore_punctuation=True,
    ignore_articles=True,
    ignore_whitespace=True,
)


@pytest.mark.parametrize(
    ("option", "answer", "target"),
    [
        ({"ignore_case": True}, "STRASSE", "stra\u00dfe"),
        ({"ignore_punctuation": True}, "U.S.", "US"),
        ({"ignore_articles": True}, "the Seine", "Seine"),
        ({"ignore_whitespace": True}, "New  York\tCity", "New York City"),
    ],
)
def test_each_option_forgives_one_thing(option: dict[str, bool], answer: str, target: str) -> None:
    item = Item("1", "?", target)
    assert EXACT.evaluate(item, answer).value == 0.0
    assert ExactMatch("e", **option).evaluate(item, answer).value == 1.0
    assert SQUAD.evaluate(item, answer).value == 1.0


def test_what_normalisation_leaves_nothing_of_is_compared_as_it_is() -> None:
    assert SQUAD.evaluate(Item("1", "?", "The"), "A").value == 0.0
    assert SQUAD.evaluate(Item("1", "?", "The"), "The").value == 1.0


@pytest.mark.parametrize(
    ("absolute", "relative", "answer", "value"),
    [
        ("0", "0", "100.0", 1.0),
        ("0", "0", "100.0000000001", 0.0),
        ("0.1", "0", "100.1", 1.0),  # exactly at the bound, which binary floats miss
        ("0.1", "0", "99.9", 1.0),
        ("0.1", "0", "100.10001", 0.0),
        ("0", "0.01", "101", 1.0),
        ("0", "0.01", "101.01", 0.0),
        ("2", "0.01", "102", 1.0),  # the larger of the two
    ],
)
def test_numbers_within_the_tolerance_are_right(
    absolute: str, relative: str, answer: str, value: float
) -> None:
    numeric = NumericMatch(
        "n", absolute_tolerance=Decimal(absolute), relative_tolerance=Decimal(relative)
    )
    item = Item("1", "?", "100", answer_format="number")
    assert numeric.evaluate(item, answer).value == value


def test_thirds_are_near_their_decimals() -> None:
    near = NumericMatch("n", relative_tolerance=Decimal("0.001"))
    assert near.evaluate(Item("1", "?", "1/3", answer_format="number"), "0.3333").value == 1.0


@given(st.integers(), st.integers(), st.integers(0, 1000))
def test_tolerance_agrees_with_integer_arithmetic(answer: int, target: int, within: int) -> None:
    numeric = NumericMatch("n", absolute_tolerance=Decimal(within))
    item = Item("1", "?", str(target), answer_format="number")
    assert numeric.evaluate(item, str(answer)).value == float(abs(answer - target) <= within)


def test_identity_covers_kind_version_and_every_parameter() -> None:
    variants = [
        EXACT, NUMERIC, CHOICE,
        *(ExactMatch("e", **{f: True}) for f in
          ("ignore_case", "ignore_punctuation", "ignore_articles", "ignore_whitespace")),
        ExactMatch("e", answer_format="exact"),
        NumericMatch("n", absolute_tolerance=Decimal("0.1")),
        NumericMatch("n", relative_tolerance=Decimal("0.1")),
    ]  # fmt: skip
    assert len({variant.identity for variant in variants}) == len(variants)


def test_identity_is_not_changed_by_names_or_by_how_a_number_is_written() -> None:
    assert ExactMatch("a").identity == ExactMatch("b").identity
    tenths = [NumericMatch("n", absolute_tolerance=Decimal(t)) for t in ("0.1", "0.10")]
    assert tenths[0].identity == tenths[1].identity


def test_identity_covers_the_version_of_the_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ExactMatch("e").identity
    newer = dataclasses.replace(kinds.KINDS["exact_match"], version=99)
    monkeypatch.setitem(kinds.KINDS, "exact_match", newer)
    assert ExactMatch("e").identity != before


def test_identity_covers_the_version_of_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    def identities() -> list[str]:
        return [ExactMatch("e", answer_format=form).identity for form in ("yes_no", "text")]

    before = identities()
    newer = AnswerFormat("yes_no", 99, formats.get_answer_format("yes_no").parse)
    monkeypatch.setitem(formats._FORMATS, "yes_no", newer)
    after = identities()
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_a_kind_is_registered_once() -> None:
    class Impostor(AnswerEvaluator):
        pass

    with pytest.raises(ConfigError, match="'exact_match' is already registered"):
        evaluator("exact_match")(Impostor)


def test_a_kind_is_a_dataclass_with_a_name() -> None:
    class Nameless:
        pass

    with pytest.raises(TypeError, match="expected a dataclass with a field 'name'"):
        evaluator("nameless")(Nameless)  # type: ignore[type-var]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("card", "form", "one", "other", "same"),
    [
        ("quasi_exact_match", "text", "Paris.", "the paris", True),
        ("quasi_exact_match", "text", "Paris", "Rome", False),
        ("quasi_exact_match", "text", "!", "?", False),
        ("exact_match", "text", "Paris", "paris", False),
        ("exact_match", "text", "Zoe\u0308", "Zo\u00eb", True),
        ("multiple_choice", "text", "(B)", "Answer: b", True),
        ("numeric_match", "text", "1,000 eggs", "1000", True),
        ("numeric_match_1_percent", "number", "100", "100.5", False),
    ],
)
def test_answers_that_count_as_the_same_have_the_same_normal_form(
    card: str, form: str, one: str, other: str, same: bool
) -> None:
    evaluator = load_evaluator(card, Cards([builtin_root()]))
    assert isinstance(evaluator, Normalises)
    item = Item("i", "?", "1", choices=("x", "y"), answer_format=form)
    assert (evaluator.normal(item, one) == evaluator.normal(item, other)) == same
