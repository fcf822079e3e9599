"""Evaluators that rest on others, by their cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import Combined, ExactMatch, StatedConfidence, load_evaluator
from ember_bench.registry import Cards

ITEM = Item("1", "?", "Paris", answer_format="text")


KINDS = ("exact_match", "includes", "numeric_match", "math_equivalence")


def load(folder: Path, **cards: str) -> Any:
    """Load the first of some cards, which may name cards of `KINDS` and each other."""
    (folder / "evaluators").mkdir()
    for name, text in ({kind: f"kind: {kind}\n" for kind in KINDS} | cards).items():
        (folder / "evaluators" / f"{name}.yaml").write_text(text)
    return load_evaluator(next(iter(cards)), Cards([folder]))


RULES = {"mean": (3 * 1 + 1 * 0) / 4, "all": 0.0, "any": 1.0}


@pytest.mark.parametrize(("rule", "value"), RULES.items())
def test_scores_are_combined_by_a_rule(tmp_path: Path, rule: str, value: float) -> None:
    both = load(
        tmp_path, both=f"kind: combined\nparts: {{includes: 3, exact_match: 1}}\nrule: {rule}\n"
    )
    score = both.evaluate(ITEM, "Perhaps Paris, perhaps Rome")
    assert score.value == value
    assert score.explanation.startswith("includes 1: The response contains 'Paris'.; exact_match 0")


def test_an_output_is_unparsed_if_no_part_can_read_it(tmp_path: Path) -> None:
    both = load(tmp_path, both="kind: combined\nparts: {numeric_match: 1, strict: 1}\n",
                strict="kind: regex\npattern: '#### (.*)'\n")  # fmt: skip
    item = Item("1", "?", "18", answer_format="number")
    assert both.evaluate(item, "none").outcome == "unparsed"
    assert both.evaluate(item, "18").outcome == "partial"


def test_the_identity_covers_the_parts_and_their_weights(tmp_path: Path) -> None:
    def identity(weight: float, *, ignore_case: bool) -> str:
        part = ExactMatch("e", ignore_case=ignore_case)
        return Combined("c", {"e": weight}).with_evaluators({"e": part}).identity

    variants = [(1.0, True), (1.0, False), (2.0, True)]
    assert len({identity(w, ignore_case=i) for w, i in variants}) == 3


def test_a_combination_takes_its_time_if_a_part_does(tmp_path: Path) -> None:
    slow = load(
        tmp_path,
        slow="kind: combined\nparts: {math_equivalence: 1, includes: 1}\n",
    )
    assert slow.blocking
    assert not Combined("c", {"e": 1}).with_evaluators({"e": ExactMatch("e")}).blocking


MISTAKES = {
    "kind: combined\nparts: {exact_mach: 1}": ":2:1: unknown evaluator 'exact_mach'; did you mean",
    "kind: combined\nparts: {exact_match: 0}": ":2:.*greater than 0",
    "kind: combined\nparts: {}": ":2:1: parts: ",
    "kind: combined": ":1:1: .*parts",
    "kind: combined\nparts: {mine: 1}": ":2:1: evaluators name each other in a circle: mine -> m",
    "kind: stated_confidence\nevaluator: exact_mach": ":2:1: unknown evaluator 'exact_mach'",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_a_mistake_is_reported_where_it_stands(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"mine.yaml{message}"):
        load(tmp_path, mine=text)


def test_an_evaluator_without_its_parts_says_so() -> None:
    with pytest.raises(TypeError, match="'c' has no evaluators yet"):
        Combined("c", {"exact_match": 1.0}).evaluate(ITEM, "Paris")


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("Answer: Paris\nConfidence: 80%", 1 - 0.2**2),
        ("Answer: Rome\nConfidence: 80%", 1 - 0.8**2),
        ("Answer: Rome\nConfidence: 0%", 1.0),
    ],
)
def test_confidences_are_scored_by_brier(output: str, value: float) -> None:
    stated = StatedConfidence("s", "e").with_evaluators({"e": ExactMatch("e")})
    assert stated.evaluate(ITEM, output).value == pytest.approx(value)


def test_without_a_confidence_the_output_is_unparsed() -> None:
    stated = StatedConfidence("s", "e").with_evaluators({"e": ExactMatch("e")})
    assert stated.evaluate(ITEM, "Answer: Paris").outcome == "unparsed"
