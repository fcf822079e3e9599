"""`timeout=`: a call, an operator or a graph is given up, and its answers are kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import ember_bench as eb
from ember_bench.errors import TimeLimitError
from ember_bench.models import MemoryStore, ModelInfo
from ember_bench.models.call import Call
from tests.support.models import in_trial, module, modules, scripted, serve

SHORT = 0.02


class Waiting:
    """A model whose calls for `slow` wait until they are let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._go = threading.Event()
        self.model: ModelInfo = scripted(self._answer)

    def go(self) -> None:
        self._go.set()

    async def _answer(self, call: Call) -> str:
        prompt = call.request.messages[-1].content
        self.asked.append(prompt)
        while "slow" in prompt and not self._go.is_set():
            await asyncio.sleep(0.001)
        return f"Answer {call.draw_text}"


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    model = Waiting()
    yield model
    model.go()


def ensemble(service: Any, model: ModelInfo, count: int = 1) -> eb.EnsembleOperator:
    return eb.EnsembleOperator(lm_modules=modules(service, model, count))


def test_a_call_is_given_up_and_its_answer_is_stored(waiting: Waiting) -> None:
    service = serve(waiting.model, store=MemoryStore())
    lm = module(service, waiting.model)
    with pytest.raises(TimeLimitError, match=r"scripted:.*: no result within 0.02 s \(timeout\)"):
        in_trial(lambda: lm("slow", timeout=SHORT))
    waiting.go()
    answer, _ = in_trial(lambda: lm("slow", timeout=60))
    assert answer == "Answer 0"
    assert waiting.asked == ["slow"]


def test_a_stream_and_a_coroutine_are_given_up(waiting: Waiting) -> None:
    lm = module(serve(waiting.model, store=MemoryStore()), waiting.model)
    with pytest.raises(TimeLimitError, match=r"no result within 0\.02 s"):
        list(lm.stream("slow", timeout=SHORT))
    with pytest.raises(TimeLimitError, match=r"no result within 0\.02 s"):
        asyncio.run(lm.acall("slower", timeout=SHORT))
    waiting.go()
    assert "".join(lm.stream("quick", timeout=60)) == "Answer 0"
    with pytest.raises(ValueError, match="timeout must be above 0 seconds"):
        lm.stream("quick", timeout=0)


def test_an_operator_and_a_graph_are_given_up(waiting: Waiting) -> None:
    service = serve(waiting.model)
    operator = ensemble(service, waiting.model, 2)
    with pytest.raises(TimeLimitError, match="EnsembleOperator: no result within"):
        operator(query="slow", timeout=SHORT)
    graph = eb.NoNGraphData({"only": operator})
    with pytest.raises(TimeLimitError, match="NoNGraphData: no result within"):
        graph({"query": "slow"}, timeout=SHORT)
    with pytest.raises(TimeLimitError, match="the graph: no result within"):
        eb.GraphExecutorService().run(graph_data=graph, input_data={"query": "slow"}, timeout=SHORT)
    assert len(operator(query="quick", timeout=60)["responses"]) == 2


def test_calls_after_a_time_limit_do_not_depend_on_whether_it_was_kept(waiting: Waiting) -> None:
    service = serve(waiting.model)
    lm = module(service, waiting.model)

    def program(seconds: float) -> list[str]:
        def ask() -> str:
            lm("slow")
            return lm("quick")

        slow = eb.Function(lambda query: ask())
        with suppress(TimeLimitError):
            slow(query="?", timeout=seconds)
        return [lm("quick"), lm("quick")]

    late, _ = in_trial(lambda: program(SHORT))
    waiting.go()
    in_time, _ = in_trial(lambda: program(60))
    assert late == in_time == ["Answer 1", "Answer 2"]


def test_attempts_run_a_fallback_when_time_is_up(waiting: Waiting) -> None:
    service = serve(waiting.model)
    quick = eb.Function(lambda query: {"final_answer": "quick"})
    node = eb.Attempts(operator=ensemble(service, waiting.model), fallback=quick, timeout=SHORT)
    assert node(query="slow") == {"final_answer": "quick"}
    with pytest.raises(TimeLimitError):
        eb.Attempts(operator=ensemble(service, waiting.model), timeout=SHORT)(query="slow")


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_time_limit_is_above_zero(waiting: Waiting, seconds: float) -> None:
    service = serve(waiting.model)
    with pytest.raises(ValueError, match="timeout must be above 0 seconds"):
        ensemble(service, waiting.model)(query="?", timeout=seconds)
    with pytest.raises(ValueError, match="timeout must be above 0 seconds"):
        module(service, waiting.model)("?", timeout=seconds)


@pytest.mark.parametrize("seconds", ["5", True, [1]])
def test_a_time_limit_is_a_number(waiting: Waiting, seconds: Any) -> None:
    with pytest.raises(TypeError, match="timeout must be a number of seconds, found"):
        module(serve(waiting.model), waiting.model)("?", timeout=seconds)


def test_a_jitted_function_keeps_to_it(waiting: Waiting) -> None:
    service = serve(waiting.model)
    operator = ensemble(service, waiting.model)

    @eb.jit
    def program(query: str) -> Any:
        return operator(query=query, timeout=SHORT)

    assert program("quick")["responses"]
    with pytest.raises(TimeLimitError):
        program("slow")
