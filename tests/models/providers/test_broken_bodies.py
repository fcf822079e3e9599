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


def broken_stream(events: list[bytes], draw: random.Random) -> Fault:
    """Return a stream with one event broken, left out, or sent twice."""
    events, place = list(events), draw.randrange(len(events))
    name, _, data = events[place].partition(b"data: ")
    kind = draw.random()
    if kind < 0.1:
        del events[place]
    elif kind < 0.2 or not data.startswith(b"{"):
        events.insert(place, events[place])
    else:
        body = json.dumps(broken(json.loads(data), draw)).encode("utf-8", "surrogatepass")
        events[place] = b"%bdata: %b\n\n" % (name, body)
    return Fault(200, b"".join(events), raw=True)


def broken_reply(adapter: Adapter, draw: random.Random) -> Fault:
    whole = adapter.wire.answer(DONE)
    if adapter.stream:
        return broken_stream(list(adapter.wire.stream(whole)), draw)
    return sent(broken(whole, draw))


def test_it_is_an_answer_that_can_be_kept_or_an_error_of_the_provider(adapter: Adapter) -> None:
    draw = random.Random(adapter.name)
    replies = [broken_reply(adapter, draw) for _ in range(BODIES)]

    async def ask(url: str) -> list[Completion]:
        info = adapter.info(url)
        provider, strand = provider_class(info.provider_name)(info), Strand(TrialContext())
        answers = []
        for reply in replies:
            call = Call.place(Request(info, QUESTION), strand, "0", "")
            try:
                answers.append(await provider.complete(call))
            except ProviderError:
                pass
            except Exception as error:
                raise AssertionError(f"escaped: {reply.body!r}") from error
        await provider.close()
        return answers

    with LoopbackServer(lambda asked: replies[asked.number]) as server:
        answers = asyncio.run(ask(server.url))
        assert server.count == BODIES
    assert 0 < len(answers) < BODIES
    for answer in answers:
        plain = msgspec.to_builtins(answer)
        assert msgspec.convert(plain, Completion) == answer
        counted = (answer.usage.input_tokens, answer.usage.output_tokens)
        assert all(tokens is None or tokens >= 0 for tokens in counted)
