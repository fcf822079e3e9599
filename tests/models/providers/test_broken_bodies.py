"""Whatever a server writes in place of parts of an answer, it is an answer or a `ProviderError`."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.providers.base import provider_class
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import Completion, ToolCall, Usage
from tests.models.providers.wires import Adapter
from tests.models.providers.wires.asking import QUESTION
from tests.support.loopback import Fault, LoopbackServer

BODIES = 80
JUNK = [
    None, True, 0, -1, 1.5, 10**25, float("inf"), "", "x", "\ud800\x00", "9" * 400,
    [], [None], [[]], {}, {"x": None}, {"type": "text"},
]  # fmt: skip
DONE = Completion("Hello", Usage(10, 5, 2, 1), "stop", tool_calls=(ToolCall("i", "f", '{"a":1}'),))


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where something stands in `value`, in the order in which it is written."""
    if at:
        yield at
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(entry, (*at, key))


def broken(body: Any, draw: random.Random) -> Any:
    """Return `body` with something else, or nothing, in one place."""
    body = copy.deepcopy(body)
    *way, last = draw.choice(list(places(body)))
    holder = body
    for key in way:
        holder = holder[key]
    if draw.random() < 0.2:
        del holder[last]
    else:
        holder[last] = draw.choice(JUNK)
    return body


def sent(body: Any) -> Fault:
    return Fault(200, json.dumps(body).encode("utf-8", "surrogatepass"), raw=True)


def test_it_is_an_answer_that_can_be_kept_or_an_error_of_the_provider(adapter: Adapter) -> None:
    draw, whole = random.Random(adapter.name), adapter.wire.answer(DONE)
    bodies = [broken(whole, draw) for _ in range(BODIES)]

    async def ask(url: str) -> list[Completion]:
        info = adapter.info(url)
        provider, strand = provider_class(info.provider_name)(info), Strand(TrialContext())
        answers = []
        for body in bodies:
            call = Call.place(Request(info, QUESTION), strand, "0", "")
            try:
                answers.append(await provider.complete(call))
            except ProviderError:
                pass
            except Exception as error:
                raise AssertionError(f"escaped: {body}") from error
        await provider.close()
        return answers

    with LoopbackServer(lambda asked: sent(bodies[asked.number])) as server:
        answers = asyncio.run(ask(server.url))
        assert server.count == BODIES
    assert 0 < len(answers) < BODIES
    for answer in answers:
        plain = msgspec.to_builtins(answer)
        assert msgspec.convert(plain, Completion) == answer
        counted = (answer.usage.input_tokens, answer.usage.output_tokens)
        assert all(tokens is None or tokens >= 0 for tokens in counted)
