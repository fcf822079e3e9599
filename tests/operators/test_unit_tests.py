"""Unit tests in words, written and checked by models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ember_bench.errors import SignatureError
from ember_bench.operators import UnitTestEvaluator, UnitTestGenerator
from tests.support.models import module, scripted, serve

if TYPE_CHECKING:
    from ember_bench.models.call import Call


async def checks(call: Call) -> str:
    """Write three tests, or check whether the response has the letter that the test names."""
    prompt = call.request.messages[-1].content
    if call.request.role == "generate":
        return "1. has a\n2) has b\n- has b\n\nhas c\nhas d"
    response, test = prompt.split("|")
    return f"Verdict: {'yes' if test[-1] in response else 'no'}"


MODEL = scripted(checks)
CHECK = "{response}|{unit_test}"


def test_tests_are_the_lines_that_a_model_writes_each_once_without_numbers() -> None:
    generator = UnitTestGenerator(lm_modules=[module(serve(MODEL), MODEL)], count=3)
    assert generator(query="?") == {"unit_tests": ["has a", "has b", "has c"]}
    assert generator(query="?", responses=["x"])["responses"] == ["x"]


def test_the_response_that_passes_most_tests_is_taken() -> None:
    from ember_bench.operators import Signature

    evaluator = UnitTestEvaluator(
        lm_modules=[module(serve(MODEL), MODEL)],
        signature=Signature(prompt_template=CHECK),
        k=3,
    )
    output = evaluator(
        query="?", responses=["a", "c", "ab", "z", "b"], unit_tests=["has a", "has b"]
    )
    assert output == {"responses": ["ab", "a", "b"], "passed": [2, 1, 1], "final_answer": "ab"}


def test_no_responses_have_no_answer_and_no_tests_keep_the_order() -> None:
    evaluator = UnitTestEvaluator(lm_modules=[module(serve(MODEL), MODEL)])
    assert evaluator(query="?", responses=[], unit_tests=["t"])["final_answer"] is None
    kept = evaluator(query="?", responses=["b", "a"], unit_tests=[])
    assert kept == {"responses": ["b", "a"], "passed": [0, 0], "final_answer": "b"}


def test_tests_are_a_list_that_must_be_given() -> None:
    evaluator = UnitTestEvaluator(lm_modules=[module(serve(MODEL), MODEL)])
    with pytest.raises(SignatureError, match="missing input 'unit_tests'"):
        evaluator(query="?", responses=["a"])
    with pytest.raises(SignatureError, match="unit_tests: expected a list, found str"):
        evaluator(query="?", responses=["a"], unit_tests="has a")
