"""`lm.stream`: the text of a call while it arrives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ember_bench import EnsembleOperator, Function, jit
from ember_bench.errors import NoAnswerError, ProviderError
from ember_bench.models import MemoryStore, ModelInfo, RetryPolicy
from ember_bench.models.call import Call
from ember_bench.models.text_stream import _certain
from ember_bench.models.types import Completion, Usage
from tests.models.providers.test_streams import HEAD, LAST_CHUNK, chunk, send, stream
from tests.models.providers.wires import Adapter
from tests.models.providers.wires.adapters import STREAMED
from tests.support.loopback import Asked
from tests.support.models import in_trial, module, scripted, serve
from tests.support.raw import RawServer

PARIS = Completion("Paris is the capital of France.", Usage(7, 8), thoughts="Easy.")


@pytest.fixture(
    params=[
        pytest.param(a, id=str(a), marks=[pytest.mark.slow] * (a.transport == "sdk"))
        for a in STREAMED
    ]
)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


def test_every_wire_passes_on_its_pieces_before_the_answer_ends(adapter: Adapter) -> None:
    read = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve_one(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        loops.append(asyncio.get_running_loop())
        events = stream(adapter, PARIS)
        begun = next(i for i, event in enumerate(events) if b"Pa" in event) + 2
        await send(writer, HEAD + b"".join(map(chunk, events[:begun])))
        await asyncio.wait_for(read.wait(), 20)
        await send(writer, b"".join(map(chunk, events[begun:])) + LAST_CHUNK)
        return True

    with RawServer(serve_one) as server:
        info = adapter.info(server.url)
        service = serve(info, store=MemoryStore())
        parts = module(service, info).stream("Which is the capital of France?")
        first_part = next(parts)
        loops[0].call_soon_threadsafe(read.set)
        assert PARIS.text.startswith(first_part)
        assert first_part + "".join(parts) == PARIS.text
        assert parts.response is not None
        assert parts.response.data == PARIS.text
        assert parts.response.thoughts == "Easy."


def test_a_stored_answer_comes_as_one_part_of_the_same_call() -> None:
    asked: list[str] = []

    async def say(call: Call) -> str:
        asked.append(call.draw_text)
        return "All of it."

    model = scripted(say)
    lm = module(serve(model, store=MemoryStore()), model)

    def program() -> list[Any]:
        return [lm("?"), *lm.stream("?"), lm("?")]

    first, strand = in_trial(program)
    second, again = in_trial(lambda: [*lm.stream("?"), lm("?"), *lm.stream("?")])
    assert first == second == ["All of it."] * 3
    assert len(asked) == 3
    assert [call.key for call in strand.trial.calls] == [call.key for call in again.trial.calls]


def test_parts_are_read_in_operators_and_in_coroutines() -> None:
    async def say(_: Call) -> str:
        return "Hello"

    model = scripted(say)
    lm = module(serve(model), model)
    reader = Function(lambda query: {"final_answer": "|".join(lm.stream(query))})
    assert reader(query="?") == {"final_answer": "Hello"}

    async def read() -> list[str]:
        return [part async for part in lm.stream("?")]

    assert asyncio.run(read()) == ["Hello"]


def test_errors_are_raised_where_parts_are_read() -> None:
    async def fail(_: Call) -> str:
        raise ProviderError("not today")

    model = scripted(fail)
    parts = module(serve(model), model).stream("?")
    with pytest.raises(ProviderError, match="not today"):
        next(parts)
    assert list(parts) == []
    with pytest.raises(TypeError, match="prompt: expected a text"):
        module(serve(model), model).stream(7)  # type: ignore[arg-type]


def test_an_answer_that_begins_anew_in_other_words_is_an_error() -> None:
    (adapter,) = [a for a in STREAMED if str(a).startswith("openai") and "direct" in str(a)][:1]
    answers = iter(["Rome is it.", "Paris is it."])

    async def serve_one(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        text = next(answers)
        events = stream(adapter, Completion(text, Usage(1, 2)))
        if text.startswith("Rome"):
            await send(writer, HEAD + b"".join(map(chunk, events[:-2])))
            await asyncio.sleep(0.01)
            return False
        await send(writer, HEAD + b"".join(map(chunk, events)) + LAST_CHUNK)
        return True

    with RawServer(serve_one) as server:
        info: ModelInfo = adapter.info(server.url)
        service = serve(
            info, store=MemoryStore(), retry=RetryPolicy(attempts=2, base_seconds=0.001)
        )
        parts = module(service, info).stream("?")
        with pytest.raises(NoAnswerError, match="began anew"):
            list(parts)


@pytest.mark.parametrize(
    ("raw", "certain"),
    [
        ("Paris is", "Paris is"),
        ("Paris ", "Paris"),
        ("<think>Hm", ""),
        ("<thi", ""),
        ("<think>Hm</think>\n\nParis", "Paris"),
        ("if a <", "if a"),
        ("if a < b then all is well with the world and numbers", None),
        ("anal", ""),
        ("analysisWe need", ""),
        ("and so", "and so"),
    ],
)
def test_only_what_is_no_thought_is_passed_on(raw: str, certain: str | None) -> None:
    assert _certain(raw) == (raw if certain is None else certain)


def test_a_stream_ends_a_trace() -> None:
    async def say(_: Call) -> str:
        return "Hello"

    model = scripted(say)
    lm = module(serve(model), model)

    @jit
    def program(query: str) -> str:
        drafts = EnsembleOperator(lm_modules=[lm, lm])(query=query)["responses"]
        return "".join(lm.stream(query)) + drafts[0]

    assert program("?") == "HelloHello"
