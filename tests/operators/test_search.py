"""TreeSearch: the best partial solutions go on."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets import Item
from ember_bench.errors import SignatureError
from ember_bench.evaluators.game24 import Game24
from ember_bench.operators import Function, TreeSearch
from tests.support.models import module, scripted, serve

if TYPE_CHECKING:
    from ember_bench.models.call import Call

TRACE = "tot_game24/gpt-4_0.7_propose1_value3_greedy5_start900_end1000.json.gz"
Tree = Mapping[str, list[str]]


def search(tree: Tree, values: Mapping[str, float], **limits: Any) -> TreeSearch:
    """Return a search in a known tree of states."""
    propose = Function(lambda state: {"responses": ["\n".join(tree.get(state, []))]})
    return TreeSearch(propose=propose, value=lambda state, _: values.get(state, 0.0), **limits)


def test_the_best_states_go_on_and_equal_scores_keep_their_order() -> None:
    tree = {"": ["a", "b", "c"], "a\n": ["d"], "b\n": ["e", "f"], "c\n": ["never"]}
    values = {"a\n": 1.0, "b\n": 2.0, "c\n": 1.0, "a\nd\n": 5.0, "b\ne\n": 5.0, "b\nf\n": 7.0}
    output = search(tree, values, steps=2, beam=2)(query="?")
    assert output["responses"] == ["b\nf\n", "b\ne\n"]
    assert output["scores"] == [7.0, 5.0]
    first, second = output["transcript"]
    assert [entry["state"] for entry in first] == ["b\n", "a\n", "c\n"]
    assert [entry["state"] for entry in second] == ["b\nf\n", "b\ne\n", "a\nd\n"]


def test_a_complete_state_is_not_continued_and_the_search_ends_when_all_are() -> None:
    asked: list[str] = []

    def propose(state: str) -> dict[str, list[str]]:
        asked.append(state)
        return {"responses": ["Answer: 7"] if state else ["think", "Answer: 8"]}

    values = {"think\n": 2.0, "Answer: 8\n": 1.0, "think\nAnswer: 7\n": 3.0}
    operator = TreeSearch(propose=Function(propose), value=lambda s, _: values[s], steps=9, beam=2)
    output = operator(query="?", answer_format="number")
    assert asked == ["", "think\n"]
    assert output["final_answer"] == "7"
    assert output["responses"] == ["think\nAnswer: 7\n", "Answer: 8\n"]


def test_equal_states_are_one() -> None:
    valued: list[str] = []

    def value(state: str, _: Mapping[str, Any]) -> float:
        valued.append(state)
        return 1.0

    propose = Function(lambda state: {"responses": ["a\na", "a"]})
    output = TreeSearch(propose=propose, value=value, steps=1)(query="?")
    assert valued == output["responses"] == ["a\n"]


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32))
def test_a_beam_as_wide_as_the_tree_finds_the_best_leaf(width: int, depth: int, seed: int) -> None:
    def score(state: str) -> float:
        return float(hash((state, seed)) % 1000)

    propose = Function(lambda state: {"responses": [str(n) for n in range(width)]})
    output = TreeSearch(
        propose=propose, value=lambda s, _: score(s), steps=depth, beam=width**depth
    )(query="?")
    leaves = [entry["score"] for entry in output["transcript"][-1]]
    assert len(leaves) == width**depth
    assert output["scores"][0] == max(leaves)


def test_models_propose_and_value_with_the_mean_of_their_scores() -> None:
    scores = iter(["Score: 10", "Score: 30", "Score: 50", "Score: 0"])

    async def say(call: Call) -> str:
        if call.request.role == "score":
            return next(scores)
        return "Answer: 1\nAnswer: 2"

    model = scripted(say)
    lm = module(serve(model), model)
    output = TreeSearch(lm_modules=[lm], samples=2)(query="?", answer_format="number")
    assert output["scores"] == [25.0, 20.0]
    assert output["final_answer"] == "2"


@pytest.mark.parametrize(
    "output", [{"score": 4}, {"responses": ["Score: 3", "Score: 5"]}], ids=["score", "responses"]
)
def test_a_value_operator_gives_a_score_or_responses_that_state_scores(output: Any) -> None:
    propose = Function(lambda state: {"responses": ["a"]})
    operator = TreeSearch(propose=propose, value=Function(lambda state: output), steps=1)
    assert operator(query="?")["scores"] == [4.0]


@pytest.mark.parametrize("value", ["good", None, [1]])
def test_a_value_that_is_no_number_is_refused(value: Any) -> None:
    propose = Function(lambda state: {"responses": ["a"]})
    for source in (lambda state, inputs: value, Function(lambda state: {"score": value})):
        with pytest.raises(SignatureError, match=r"value gave .*, which is no number"):
            TreeSearch(propose=propose, value=source)(query="?")


def test_propose_is_an_operator() -> None:
    with pytest.raises(TypeError, match="propose: expected an operator, found 5"):
        TreeSearch(propose=5, value=len_of)  # type: ignore[arg-type]


def test_outputs_of_another_form_are_refused() -> None:
    propose = Function(lambda state: {"responses": ["a"]})
    with pytest.raises(SignatureError, match="neither a `score` nor `responses`"):
        TreeSearch(propose=propose, value=Function(lambda state: 3))(query="?")
    with pytest.raises(SignatureError, match="no `responses`"):
        TreeSearch(propose=Function(lambda state: 3), value=len_of)(query="?")
    with pytest.raises(SignatureError, match="NaN"):
        TreeSearch(propose=propose, value=lambda s, i: float("nan"))(query="?")


def len_of(state: str, _: Mapping[str, Any]) -> float:
    return float(len(state))


def test_it_needs_a_model_for_what_no_operator_does() -> None:
    model = scripted(lambda call: "")  # type: ignore[arg-type, return-value]
    lm = module(serve(model), model)
    propose = Function(lambda state: {"responses": ["a"]})
    for wrong in ({}, {"lm_modules": [lm] * 3}, {"propose": propose, "lm_modules": [lm] * 2}):
        with pytest.raises(ValueError, match=r"found [023] LM modules"):
            TreeSearch(**wrong)
    with pytest.raises(ValueError, match="beam must be at least 1, found 0"):
        TreeSearch(lm_modules=[lm], beam=0)


@pytest.fixture(scope="module")
def trace(data_dir: Path) -> list[dict[str, Any]]:
    """The searches of Yao et al. 2023 on 100 puzzles, as their authors recorded them."""
    with gzip.open(data_dir / TRACE) as file:
        return json.load(file)  # type: ignore[no-any-return]


def replayed(puzzle: Mapping[str, Any]) -> dict[str, Any]:
    """Search with the recorded thoughts and values of a puzzle."""
    tree, values = defaultdict(list), {}
    for step in puzzle["steps"]:
        for state, value in zip(step["new_ys"], step["values"], strict=True):
            before = max((y for y in step["ys"] if state.startswith(y)), key=len)
            tree[before].append(state.removeprefix(before).removesuffix("\n"))
            values.setdefault(state, value)  # a repeated state was not valued again
    output: dict[str, Any] = search(tree, values, steps=4, beam=5)(query=puzzle["steps"][0]["x"])
    return output


def test_the_recorded_search_for_the_game_of_24_is_replayed(trace: list[dict[str, Any]]) -> None:
    same, solved = 0, 0
    for puzzle in trace:
        numbers = [int(n) for n in puzzle["steps"][0]["x"].split()]
        item = Item(id="", question="", target="24", metadata={"numbers": numbers})
        output = replayed(puzzle)
        lines = [state.splitlines()[-1] for state in output["responses"]]
        solved += any(Game24("game24").evaluate(item, line).value == 1 for line in lines)
        # The authors' program keeps empty thoughts, too.
        empty = any("\n\n" in state for state in puzzle["ys"])
        same += output["responses"] == puzzle["ys"]
        assert empty or output["responses"] == puzzle["ys"]
    assert (same, solved) == (97, 69)
    assert solved == sum(any(i["r"] for i in puzzle["infos"]) for puzzle in trace)
