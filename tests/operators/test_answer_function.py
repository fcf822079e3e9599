"""Plain functions as architectures: the LM modules and operators that they name."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from ember_bench.models import ModelInfo, ModelRegistry
from ember_bench.operators import LMModule, LMModuleConfig, MostCommonOperator
from ember_bench.operators.answer_function import AnswerFunction, held_parts


def lm(name: str = "m") -> LMModule:
    registry = ModelRegistry()
    registry.register_model(ModelInfo(model_id=f"simulated:{name}"))
    return LMModule(LMModuleConfig(model_name=f"simulated:{name}"), registry)


GLOBAL = [lm()]
VOTE = MostCommonOperator()


def helper(query: str) -> str:
    return GLOBAL[0](query)


def through_a_helper(query: str, **fields: Any) -> str:
    return helper(query)


def with_an_operator(query: str, **fields: Any) -> Any:
    return VOTE(responses=[query])


def with_a_default(query: str, *, asked: LMModule = GLOBAL[0]) -> str:
    return asked(query)


def inside(query: str) -> list[str]:
    return [GLOBAL[0](text) for text in [query]]


class Asker:
    def __init__(self) -> None:
        self.mine = lm()

    def method(self, query: str) -> str:
        return self.mine(query)

    def __call__(self, query: str) -> str:
        return GLOBAL[0](query)


def closure() -> Any:
    mine = lm()
    return lambda query: mine(query).strip()


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (through_a_helper, ["GLOBAL"]),
        (with_an_operator, ["VOTE"]),
        (with_a_default, ["asked"]),
        (inside, ["GLOBAL"]),
        (closure(), ["mine"]),
        (Asker().method, ["mine"]),
        (Asker(), ["GLOBAL", "mine"]),
        (partial(through_a_helper, asked=lm()), ["GLOBAL", "asked"]),
        (lambda query: query, []),
    ],
)
def test_what_a_function_names_is_found(function: Any, names: list[str]) -> None:
    assert sorted(held_parts(function)) == names


def test_the_models_of_a_function_are_those_of_the_operator() -> None:
    operator = AnswerFunction(through_a_helper)
    assert [found.model.model_id for found in operator.lm_modules()] == ["simulated:m"]


def test_its_description_changes_with_the_model_behind_a_name() -> None:
    def of(module: LMModule) -> Any:
        return AnswerFunction(lambda query: module(query).strip()).describe()

    assert of(lm("a")) == of(lm("a"))
    assert of(lm("a")) != of(lm("b"))


def test_a_text_is_the_final_answer_and_a_mapping_the_fields() -> None:
    assert AnswerFunction(lambda query: query)(query="x") == {"final_answer": "x"}
    assert AnswerFunction(lambda query: {"responses": [query]})(query="x") == {"responses": ["x"]}


def test_a_coroutine_function_is_awaited() -> None:
    async def later(query: str) -> str:
        return query

    assert AnswerFunction(later)(query="x") == {"final_answer": "x"}
