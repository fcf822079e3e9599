"""Families of reasoning-gym, with their own verifiers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from ember_bench.datasets import Dataset, Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators.reasoning_gym import ReasoningGym

pytestmark = [pytest.mark.extra, pytest.mark.slow, pytest.mark.usefixtures("package")]
INSTALLED = importlib.util.find_spec("reasoning_gym") is not None

# Of each kind of family: arithmetic, algorithms, games, logic, graphs, puzzles.
FAMILIES = [
    "basic_arithmetic", "leg_counting", "letter_jumble", "countdown", "mini_sudoku", "syllogism",
    "shortest_path", "zebra_puzzles", "word_ladder", "simple_equations", "tower_of_hanoi",
]  # fmt: skip


@pytest.fixture
def package() -> None:
    if not INSTALLED:
        pytest.skip("needs the extra reasoning-gym")


@pytest.fixture
def read(load: Callable[..., Dataset]) -> Callable[..., Dataset]:
    def read(task: str, **options: Any) -> Dataset:
        source = {"task": task, "size": 4, **options}
        content = {
            "name": "quiz",
            "purpose": "A test.",
            "source": {"reasoning_gym": source},
            "evaluator": "reasoning_gym",
        }
        return load(yaml.safe_dump(content))

    return read


@pytest.mark.parametrize("task", FAMILIES)
def test_items_and_scores_are_those_of_reasoning_gym(
    read: Callable[..., Dataset], task: str
) -> None:
    from reasoning_gym import create_dataset
    from reasoning_gym.utils import SYSTEM_PROMPTS

    theirs = create_dataset(task, seed=3, size=4)
    items = read(task, seed=3).items
    assert len(items) == 4
    evaluator = ReasoningGym("e")
    for entry, item in zip(theirs, items, strict=True):
        assert item.turns == (("system", SYSTEM_PROMPTS["default"]),)
        assert item.question == entry["question"]
        evaluator.check_item(item)
        for answer in (str(entry["answer"]), "no idea", "0"):
            output = f"Let me see: <answer>0</answer>?\n<answer>{answer}</answer>"
            assert evaluator.evaluate(item, output).value == theirs.score_answer(answer, entry)


def test_an_item_stays_the_same_whatever_the_size(read: Callable[..., Dataset]) -> None:
    few, many = (read("basic_arithmetic", size=size).items for size in (2, 5))
    assert [i.question for i in few] == [i.question for i in many[:2]]


def test_options_of_the_family_are_given_on(read: Callable[..., Dataset]) -> None:
    from reasoning_gym import create_dataset

    theirs = create_dataset("leg_counting", seed=0, size=4, min_animals=2, max_animals=2)
    found = read("leg_counting", config={"min_animals": 2, "max_animals": 2})
    assert [item.question for item in found] == [entry["question"] for entry in theirs]
    assert [item.question for item in found] != [i.question for i in read("leg_counting")]


@pytest.mark.parametrize(
    ("task", "options", "reason"),
    [
        ("countdwn", {}, "reasoning-gym has no 'countdwn'; did you mean 'countdown'"),
        ("countdown", {"config": {"min_number": 3}}, "did you mean 'min_numbers'"),
        ("countdown", {"config": {"seed": 3}}, "`seed` stands beside `config`"),
        ("countdown", {"config": {"min_numbers": 9, "max_numbers": 2}}, "cannot make 'countdown'"),
        ("countdown", {"system_prompt": "defult"}, "did you mean 'default'"),
    ],
)
def test_a_mistake_is_refused_with_its_place(
    read: Callable[..., Dataset], task: str, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        read(task, **options)
    assert "quiz.yaml:" in str(refused.value)


def test_identity_has_the_version(read: Callable[..., Dataset]) -> None:
    from importlib.metadata import version

    named = f"reasoning-gym@{version('reasoning-gym')}"
    assert read("countdown").revision == named
    assert named in ReasoningGym("e").identity


class TestEvaluator:
    def test_an_output_without_tags_is_no_answer_unless_it_is_one_line(
        self, read: Callable[..., Dataset]
    ) -> None:
        item = read("leg_counting").items[0]
        evaluator = ReasoningGym("e")
        assert evaluator.evaluate(item, item.target).value == 1.0
        assert evaluator.evaluate(item, f"I think:\n{item.target}").outcome == "unparsed"
        guess = f"<think><answer>no</answer></think><answer>{item.target}</answer>"
        assert evaluator.evaluate(item, guess).value == 1.0

    def test_a_vote_counts_equal_answers_together(self, read: Callable[..., Dataset]) -> None:
        item = read("leg_counting").items[0]
        normal = ReasoningGym("e").normal
        assert normal(item, "So\n<answer> 8 </answer>") == normal(item, "<answer>8</answer>") == "8"

    def test_an_item_of_another_source_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"source: \{reasoning_gym"):
            ReasoningGym("e").check_item(Item("1", "?", "4"))
