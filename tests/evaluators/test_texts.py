"""What texts contain, patterns, and F1 of words."""

from __future__ import annotations

import collections
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import Excludes, Includes, RegexMatch, TokenF1
from ember_bench.evaluators.texts import token_f1

CAPITAL = Item("1", "?", "Paris", alternatives=("City of Light",))


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("It is PARIS.", True),
        ("the city  of\nlight", True),
        ("comparison", False),
        ("London", False),
    ],
)
def test_a_response_includes_a_target_as_words(response: str, right: bool) -> None:
    score = Includes("i", whole_words=True).evaluate(CAPITAL, response)
    assert score.outcome == ("correct" if right else "wrong")


def test_all_targets_can_be_asked_for() -> None:
    all_of = Includes("i", all_of=True)
    assert all_of.evaluate(CAPITAL, "Paris, the City of Light").value == 1.0
    half = all_of.evaluate(CAPITAL, "Paris")
    assert half.value == 0.0
    assert half.explanation == "The response contains 'Paris', not all of the 2 targets."


def test_thoughts_include_nothing() -> None:
    score = Includes("i").evaluate(CAPITAL, "<think>Paris?</think>London")
    assert score.outcome == "wrong"


def test_an_empty_response_is_unparsed_and_an_empty_target_refused() -> None:
    assert Includes("i").evaluate(CAPITAL, " ").outcome == "unparsed"
    assert Excludes("e", texts=("x",)).evaluate(CAPITAL, " ").outcome == "unparsed"
    with pytest.raises(ConfigError, match="item '1': 'i': an empty target"):
        Includes("i").evaluate(Item("1", "?", ""), "x")


def test_excluded_texts_come_from_the_card_and_from_the_item() -> None:
    excludes = Excludes("e", texts=("as an AI",), field="secrets")
    item = Item("1", "?", "", metadata={"secrets": ["s3cret"]})
    assert excludes.evaluate(item, "Hello").outcome == "correct"
    assert excludes.evaluate(item, "As an AI, I").explanation.endswith("contains 'as an AI'.")
    assert excludes.evaluate(item, "It is S3CRET").outcome == "wrong"


def test_nothing_to_exclude_is_a_mistake_of_the_item() -> None:
    with pytest.raises(ConfigError, match="item '1': 'e' needs texts to look for"):
        Excludes("e", field="secrets").check_item(Item("1", "?", ""))


NUMBER = Item("1", "?", "18", answer_format="number")
STRICT = RegexMatch("r", pattern=r"#### (-?[0-9.,]+)")


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("so\n#### 18", "correct"),
        ("#### 20\n#### 18.0", "correct"),
        ("#### 18\n#### 20", "wrong"),
        ("The answer is 18", "unparsed"),
    ],
)
def test_what_a_pattern_finds_is_read_as_the_answer(response: str, outcome: str) -> None:
    assert STRICT.evaluate(NUMBER, response).outcome == outcome


def test_the_first_find_can_count_instead() -> None:
    first = RegexMatch("r", pattern=r"#### (\d+)", which="first")
    assert first.evaluate(NUMBER, "#### 18\n#### 20").outcome == "correct"


def test_without_a_pattern_the_targets_are_patterns() -> None:
    item = Item("1", "?", r"\bcolou?r\b", alternatives=(r"\bhue\b",))
    by_target = RegexMatch("r", ignore_case=True)
    assert by_target.evaluate(item, "A Color!").outcome == "correct"
    assert by_target.evaluate(item, "some hue").outcome == "correct"
    assert by_target.evaluate(item, "colourful").outcome == "wrong"
    assert RegexMatch("r", whole=True).evaluate(item, "a color").outcome == "wrong"


def test_a_target_that_is_no_pattern_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"the target '\(' is no regular expression"):
        RegexMatch("r").check_item(Item("1", "?", "("))


def squad_f1(prediction: str, truth: str) -> float:
    """F1 as the official script of SQuAD 2.0 has it (Rajpurkar et al. 2018)."""

    def tokens(text: str) -> list[str]:
        text = "".join(c for c in text.lower() if c not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    given_tokens, true_tokens = tokens(prediction), tokens(truth)
    same = sum((collections.Counter(given_tokens) & collections.Counter(true_tokens)).values())
    if not given_tokens or not true_tokens:
        return float(given_tokens == true_tokens)
    if same == 0:
        return 0.0
    precision, recall = same / len(given_tokens), same / len(true_tokens)
    return 2 * precision * recall / (precision + recall)


WORDS = st.lists(st.sampled_from(["the", "cat", "Cat,", "sat", "a", "on", "mat."]), max_size=8)


@given(WORDS.map(" ".join), WORDS.map(" ".join))
def test_f1_is_that_of_squad(one: str, other: str) -> None:
    assert token_f1(one, other) == pytest.approx(squad_f1(one, other))


def test_f1_takes_the_best_of_several_targets() -> None:
    item = Item("1", "?", "a dog", alternatives=("the cat sat",))
    score = TokenF1("f").evaluate(item, "cat sat")
    assert score.outcome == "correct"
    partial = TokenF1("f").evaluate(item, "cat")
    assert partial.outcome == "partial"
    assert partial.value == pytest.approx(2 / 3)
