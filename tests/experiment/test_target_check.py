"""Items are checked before a grid runs: by their targets, or as their evaluator says."""

from __future__ import annotations

from ember_bench.datasets import Dataset, Item
from ember_bench.evaluators import Combined, Game24, NumericMatch
from ember_bench.evaluators.base import Evaluator
from ember_bench.evaluators.by_record import ByRecord
from ember_bench.experiment.target_check import target_problems

GAME, NUMBER = Game24("game24"), NumericMatch("number")
SOLVABLE = Item("solvable", "Make 24.", "any", metadata={"numbers": "3 3 8 8"})
BROKEN = Item("broken", "Make 24.", "any")


def problems(evaluator: Evaluator, *items: Item) -> list[str]:
    return list(target_problems(Dataset("d", items, "e", "here"), evaluator))


def test_a_target_must_get_full_marks() -> None:
    (found,) = problems(NUMBER, Item("1", "?", "7"), Item("2", "?", "seven"))
    assert "item '2': the target 'seven' is not wholly an answer" in found


def test_an_evaluator_that_compares_with_something_else_checks_the_item_itself() -> None:
    (found,) = problems(GAME, SOLVABLE, BROKEN)
    assert found == (
        "dataset 'd': item 'broken': 'game24' needs numbers in the metadata field 'numbers'"
    )


def test_each_record_is_checked_as_its_own_evaluator_says() -> None:
    sums = Item("sum", "1 + 1 = ?", "2", evaluator="number")
    wrong = Item("wrong", "1 + 1 = ?", "two", evaluator="number")
    found = problems(ByRecord(GAME, {"number": NUMBER}), SOLVABLE, sums, BROKEN, wrong)
    assert [message.partition(": ")[2][:14] for message in found] == [
        "item 'broken':", "item 'wrong': ",
    ]  # fmt: skip


def test_every_part_of_a_combination_checks_the_item() -> None:
    both = Combined("both", {"game": 1.0, "number": 1.0})
    both = both.with_evaluators({"game": GAME, "number": NUMBER})
    numbered = Item("1", "?", "24", metadata={"numbers": "3 3 8 8"}, answer_format="number")
    assert problems(both, numbered) == []
    (found,) = problems(both, SOLVABLE)
    assert "the target 'any' is not wholly an answer in format 'number'" in found
    (found,) = problems(both, Item("2", "?", "24", answer_format="number"))
    assert "'game24' needs numbers" in found
