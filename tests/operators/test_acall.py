"""Operators, graphs and jitted functions on an event loop that runs already."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ember_bench import EnsembleOperator, MostCommonOperator, NoNGraphData, Operator, jit, vmap
from ember_bench.errors import SignatureError
from ember_bench.models.call import Call
from ember_bench.operators import LMModule
from tests.support.models import module, scripted, serve


def meeting(width: int) -> LMModule:
    """Return a module of a model that answers when so many calls are in flight."""
    waiting: list[asyncio.Future[None]] = []

    async def answer(call: Call) -> str:
        waiting.append(asyncio.get_running_loop().create_future())
        if len(waiting) == width:
            for one in waiting:
                one.set_result(None)
        async with asyncio.timeout(20):
            await waiting[-1] if len(waiting) < width else None
        return f"answer to {call.request.messages[-1].content}"

    model = scripted(answer)
    return module(serve(model), model)


def graph_of(lm: LMModule) -> NoNGraphData:
    graph = NoNGraphData()
    graph.add_node(name="ensemble", operator=EnsembleOperator(lm_modules=[lm]))
    graph.add_node(name="vote", operator=MostCommonOperator(), inputs=["ensemble"])
    return graph


def test_two_run_at_the_same_time() -> None:
    lm = meeting(4)
    asked = jit(lambda query: lm(f"{query}"))

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(
            EnsembleOperator(lm_modules=[lm]).acall(query="a"),
            graph_of(lm).acall({"query": "b"}),
            asked.acall("c"),
            vmap(EnsembleOperator(lm_modules=[lm])).acall([{"query": "d"}]),
        )

    assert asyncio.run(all_of_them()) == [
        {"responses": ["answer to a"]},
        {"final_answer": "answer to b", "votes": {"answer to b": 1}},
        "answer to c",
        [{"responses": ["answer to d"]}],
    ]


def test_methods_and_coroutine_functions_of_jitted_code() -> None:
    @jit
    class Asks(Operator):
        def forward(self, inputs: Any) -> Any:
            return self.lms[0](inputs["query"])

    async def asks(query: str) -> str:
        return await lm.acall(query)

    lm = meeting(1)

    async def one_after_another() -> list[str]:
        operator = Asks(lm_modules=[lm])
        return [
            await operator.acall(query="a"),
            await operator.forward.acall({"query": "b"}),  # type: ignore[attr-defined]
            await jit(asks).acall("c"),
        ]

    assert asyncio.run(one_after_another()) == ["answer to a", "answer to b", "answer to c"]


def test_errors_are_those_of_a_call() -> None:
    with pytest.raises(SignatureError, match="missing input 'query'"):
        asyncio.run(EnsembleOperator(lm_modules=[meeting(1)]).acall(text="a"))
