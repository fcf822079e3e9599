"""Game of 24: arithmetic, exactly."""

from __future__ import annotations

import csv
import gzip
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import Game24
from ember_bench.evaluators.game24 import calculate

GAME = Game24("g")
PUZZLE = Item("1", "?", "", metadata={"numbers": "3 3 8 8"})


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("Answer: 8 / (3 - 8 / 3) = 24", "correct"),
        (r"So \boxed{8 \div (3 - 8 \div 3)}.", "correct"),
        ("Steps: 8 / 3 = 2.67\n8 \u00f7 (3 \u2212 8 \u00f7 3)", "correct"),
        ("The answer is 8 / (3 - 8 / 3)", "correct"),
        ("Answer: 3 * 8 = 24", "wrong"),
        ("Answer: 8 + 8 + 3 + 3 = 24", "wrong"),
        ("Answer: 8 / (3 - 3) + 8", "wrong"),
        ("Answer: None", "unparsed"),
        ("Answer: (3 * 8", "unparsed"),
        ("24", "unparsed"),
    ],
)
def test_an_expression_must_use_each_number_once_and_make_24(response: str, outcome: str) -> None:
    assert GAME.evaluate(PUZZLE, response).outcome == outcome


@pytest.mark.parametrize(
    "expression", ["2**3", "8//3", "-3+8", "abs(3)", "3 if 1 else 8", "", "(3" * 999]
)
def test_only_four_operations_and_brackets_are_arithmetic(expression: str) -> None:
    with pytest.raises(ValueError, match="arithmetic"):
        calculate(expression)


TREES = st.recursive(
    st.integers(0, 13).map(str),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"({' '.join(p)})"),
    max_leaves=6,
)


@given(TREES)
def test_the_value_is_that_of_python(expression: str) -> None:
    assert calculate(expression)[0] == Fraction(eval(expression))


def test_numbers_may_be_a_list_and_the_goal_another() -> None:
    item = Item("1", "?", "", metadata={"puzzle": [1, 2, 3]})
    assert Game24("g", numbers="puzzle", goal=6).evaluate(item, "1 * 2 * 3").outcome == "correct"


@pytest.mark.parametrize("numbers", [None, "", "a b", [[1]]])
def test_an_item_without_numbers_is_refused(numbers: Any) -> None:
    with pytest.raises(ConfigError, match="item '1': 'g' needs numbers"):
        GAME.check_item(Item("1", "?", "", metadata={"numbers": numbers}))


@pytest.mark.parametrize(("kind", "right"), [("standard", 734), ("cot", 403)])
def test_20_000_recorded_samples_of_tree_of_thoughts_are_scored_as_there(
    data_dir: Path, kind: str, right: int
) -> None:
    """The flags of the source; 7.34 and 4.03 % (Yao et al. 2023, table 2: 7.3 and 4.0)."""
    folder = data_dir / "tot_game24"
    with (folder / "24.csv").open() as file:
        puzzles = [row["Puzzles"] for row in csv.DictReader(file)]
    name = f"gpt-4_0.7_naive_{kind}_sample_100_start900_end1000.json.gz"
    with gzip.open(folder / name, "rt") as text:
        games = json.load(text)
    ours, recorded = [], []
    for game in games:
        item = Item("1", "?", "", metadata={"numbers": puzzles[game["idx"]]})
        ours += [GAME.evaluate(item, sample).value for sample in game["ys"]]
        recorded += game.get("accs") or [info["r"] for info in game["infos"]]
    assert len(ours) == 10_000
    assert ours == recorded
    assert sum(ours) == right
