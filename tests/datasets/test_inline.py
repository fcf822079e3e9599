"""Records in the card itself, and records that a program has."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ember_bench.datasets import Dataset, load_dataset
from ember_bench.errors import ConfigError
from ember_bench.registry import Cards

CARD = """\
name: quiz
purpose: Two questions.
source:
  records:
    - {q: "One?", a: 1}
    - {q: "Two?", a: 2}
fields: {question: q, target: a}
evaluator: numeric_match
"""


def made(rows: list[dict[str, Any]], **options: Any) -> Dataset:
    named = {"question": "q", "target": "a", "evaluator": "numeric_match"}
    return Dataset.from_records(rows, **named | options)


def test_a_card_may_hold_its_records(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/quiz.yaml").write_text(CARD)
    of_card = load_dataset("quiz", Cards([tmp_path]))
    of_program = made([{"q": "One?", "a": 1}, {"q": "Two?", "a": 2}], name="quiz")
    assert list(of_card) == list(of_program)
    assert (of_card.digest, of_card.revision) == (of_program.digest, of_program.revision)


def test_a_mistake_in_a_record_of_a_card_names_card_and_record(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/quiz.yaml").write_text(CARD.replace("a: 2", "a: null"))
    with pytest.raises(ConfigError, match=r"quiz\.yaml:6:7: record 2: the target .* is empty"):
        load_dataset("quiz", Cards([tmp_path]))


def test_every_option_of_a_card_can_be_given() -> None:
    rows = [
        {
            "n": f"x{i}",
            "q": "Which?",
            "a": "right",
            "c": ["wrong", "right"],
            "d": date(2020, 1, i + 1),
        }
        for i in range(8)
    ]
    found = made(
        rows,
        id="n",
        choices="c",
        target_is="text",
        shuffle_choices=True,
        metadata=["d"],
        prompt="{question} As of {d}:\n{choices}",
        evaluator="multiple_choice",
        where={"q": "Which?"},
        first=6,
        licence="CC0-1.0",
    )
    assert [item.id for item in found] == [f"x{i}" for i in range(6)]
    assert {item.target for item in found} == {"A", "B"}
    assert found.items[0].question.startswith("Which? As of 2020-01-01:\nA) ")
    assert found.licence == "CC0-1.0"


def test_the_revision_changes_with_any_record() -> None:
    assert made([{"q": "?", "a": 1}]).revision != made([{"q": "?", "a": 2}]).revision


def test_no_records_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match="records: inline records has no records"):
        made([])
