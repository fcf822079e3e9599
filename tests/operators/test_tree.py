"""Operators as trees: shown, and copied with a part replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings

from ember_bench.errors import UnknownNameError
from ember_bench.graph import NoNGraphData
from ember_bench.operators import (
    BestOf,
    EnsembleOperator,
    Function,
    JudgeBasedOperator,
    LMModule,
    Map,
    MostCommonOperator,
    Operator,
    PromptMixin,
    Router,
    Sequential,
)
from tests.operators.networks import many_words
from tests.operators.test_cards import MODELS, SERVICE, sharing, trees
from tests.support.models import module, modules

pytestmark = pytest.mark.slow


def network() -> Operator:
    """An ensemble of two and a judge, which is its second member."""
    lms = modules(SERVICE, MODELS[0], 2, temperature=0.5)
    return EnsembleOperator(lm_modules=lms) >> JudgeBasedOperator(lm_modules=[lms[1]])


def models(root: Operator) -> list[str]:
    return [lm.model.model_name for _, lm, _ in root.named_lm_modules()]


def test_a_tree_is_shown_as_it_nests() -> None:
    root = (
        PromptMixin(prefixes=["", "Think. "])
        >> Map(operator=EnsembleOperator(lm_modules=modules(SERVICE, MODELS[0], 3)))
        >> Router(routes={"a": MostCommonOperator(ties="share"), "b": network()}, by=str)
        >> BestOf(score=many_words)
    )
    assert repr(root) == (
        "Sequential(\n"
        "  (operators.0): PromptMixin(prefixes=['', 'Think. '])\n"
        "  (operators.1): Map(\n"
        "    (operator): EnsembleOperator(\n"
        "      (lms.0-2): 3 x LMModule(simulated:a)\n"
        "    )\n"
        "  )\n"
        "  (operators.2): Router(by=str\n"
        "    (routes.a): MostCommonOperator(ties='share')\n"
        "    (routes.b): Sequential(\n"
        "      (operators.0): EnsembleOperator(\n"
        "        (lms.0-1): 2 x LMModule(simulated:a, temperature=0.5)\n"
        "      )\n"
        "      (operators.1): JudgeBasedOperator(\n"
        "        (lms.0): LMModule(simulated:a, temperature=0.5)\n"
        "      )\n"
        "    )\n"
        "  )\n"
        "  (operators.3): BestOf(score=many_words)\n"
        ")"
    )


class Loop(Operator):
    """Holds itself, and has no constructor of its own."""


def test_an_operator_within_itself_is_shown_and_copied_once() -> None:
    loop = Loop()
    loop.inner = loop  # type: ignore[attr-defined]
    assert repr(loop) == "Loop(\n  (inner): Loop(...)\n)"
    loop.other = Function(len)  # type: ignore[attr-defined]
    twin = loop.replace("other", MostCommonOperator())
    assert twin is not loop
    assert twin.inner is twin  # type: ignore[attr-defined]


@settings(deadline=None)
@given(trees())
def test_every_tree_can_be_shown(tree: Operator) -> None:
    assert repr(tree).startswith(type(tree).__name__)


@settings(deadline=None)
@given(trees())
def test_replacing_a_model_by_itself_changes_nothing(tree: Operator) -> None:
    before, names = tree.describe(), set(models(tree))
    for name in names:
        twin = tree.replace(f"simulated:{name}", name)
        assert twin.describe() == before == tree.describe()
        assert sharing(twin) == sharing(tree)
        originals = {id(part) for _, part in tree.named_operators()}
        assert not originals & {id(part) for _, part in twin.named_operators()}


def test_a_model_is_replaced_everywhere_and_stays_shared() -> None:
    root = network()
    other = root.replace("simulated:a", "simulated:b")
    assert (models(root), models(other)) == (["a"] * 3, ["b"] * 3)
    assert sharing(other) == [0, 1, 1]
    assert {lm.config.temperature for lm in other.lm_modules()} == {0.5}


def test_a_path_is_replaced_alone() -> None:
    root = network()
    assert models(root.replace("operators.0.lms.1", "b")) == ["a", "b", "a"]
    vote = root.replace("operators.1", MostCommonOperator())
    assert isinstance(vote, Sequential)
    assert isinstance(vote.operators[1], MostCommonOperator)
    assert models(vote) == ["a", "a"]


def test_a_part_is_replaced_wherever_it_stands() -> None:
    root = network()
    shared, new = root.lm_modules()[1], module(SERVICE, MODELS[1])
    assert models(root.replace(shared, new)) == ["a", "b", "b"]
    twice = NoNGraphData({"once": root, "mapped": Map(operator=root)})
    assert twice.replace(root, MostCommonOperator()).lm_modules() == []
    judge = dict(root.named_operators())["operators.1"]
    assert models(root.replace(judge, judge.replace("a", "b"))) == ["a", "a", "b"]


def test_what_is_not_there_is_an_error_with_near_matches() -> None:
    root = network()
    with pytest.raises(UnknownNameError, match=r"'operators.0.lms.2'; did you mean 'operators.0"):
        root.replace("operators.0.lms.2", "b")
    with pytest.raises(UnknownNameError, match="did you mean 'simulated:a'"):
        root.replace("simulated:aa", "b")
    with pytest.raises(ValueError, match="is not a part of this Sequential"):
        root.replace(MostCommonOperator(), MostCommonOperator())
    with pytest.raises(UnknownNameError, match="nobody"):
        root.replace("a", "nobody")


def test_an_operator_does_not_stand_in_for_an_lm_module() -> None:
    root = network()
    lm: LMModule = root.lm_modules()[0]
    with pytest.raises(TypeError, match="an LM module is replaced by another or a model"):
        root.replace(lm, MostCommonOperator())
    with pytest.raises(TypeError, match="an operator is replaced by another"):
        root.replace("operators.1", "simulated:b")


@dataclass(slots=True)
class Slotted(Operator):
    writer: LMModule
    critic: LMModule

    def forward(self, inputs: Any) -> Any:
        return {"final_answer": self.critic(self.writer(inputs["query"]))}


def test_parts_in_slots_are_found_described_and_replaced() -> None:
    slotted = Slotted(*modules(SERVICE, MODELS[0], 2))
    assert models(slotted) == ["a", "a"]
    assert set(slotted.describe()["attributes"]) == {"writer", "critic"}
    other = slotted.replace("critic", module(SERVICE, MODELS[1]))
    assert (models(other), models(slotted)) == (["a", "b"], ["a", "a"])
