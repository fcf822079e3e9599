"""Texts of answers pass on while the last model writes them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench import Function
from ember_bench.graph import NoNGraphData
from ember_bench.operators import EnsembleOperator, Fuser, MostCommonOperator
from ember_bench.serving.networks import Network, Question
from ember_bench.serving.pieces import Cut
from tests.models.providers.test_streams import HEAD, LAST_CHUNK, chunk, send
from tests.serving.test_openai import ASK, Client, client, here
from tests.support.loopback import Asked
from tests.support.models import module, serve, simulated
from tests.support.raw import RawServer
from tests.support.workspace import Workspace

__all__ = ["client", "here"]  # fixtures

PIECES = ["Paris", " is the", " capital", " of France."]
TEXT = "".join(PIECES)


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps({"object": "chat.completion.chunk", **fields}).encode() + b"\n\n"


def events(pieces: Sequence[str]) -> list[bytes]:
    """Return a streamed chat completion."""
    said = [
        event(choices=[{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
        for piece in pieces
    ]
    end = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    usage = event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 8})
    return [*said, end, usage, b"data: [DONE]\n\n"]


class Paused:
    """A model behind `openai:slow` that writes its first piece, and the rest once it may."""

    def __init__(self, here: Workspace) -> None:
        self.here = here
        self.may = threading.Event()
        self.breaks = False
        self.prompts: list[str] = []

    @contextmanager
    def running(self) -> Iterator[Paused]:
        with RawServer(self._serve) as server:
            provider = {"base_url": f"{server.url}/v1"}
            card = {"name": "openai:slow", "provider": provider, "api_key": "k"}
            self.here.write("registry/models/slow.yaml", card)
            yield self

    async def _serve(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        self.prompts.append(asked.prompt)
        first, *rest = events(["London"] if self.breaks and len(self.prompts) > 1 else PIECES)
        await send(writer, HEAD + chunk(first))
        await asyncio.to_thread(self.may.wait, 20)
        if self.breaks and len(self.prompts) == 1:
            return False
        await send(writer, b"".join(map(chunk, rest)) + LAST_CHUNK)
        return True


@pytest.fixture
def slow(here: Workspace) -> Iterator[Paused]:
    with Paused(here).running() as paused:
        yield paused
        paused.may.set()


def test_the_text_of_a_chat_completion_arrives_while_its_model_writes(
    client: Client, slow: Paused
) -> None:
    asked = client("single", values={"model": "openai:slow"})
    stream = asked.chat.completions.create(
        model="single", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    texts, usage = [], None
    for part in stream:
        if part.choices and part.choices[0].delta.content:
            texts.append(part.choices[0].delta.content)
            slow.may.set()
        usage = part.usage or usage
    assert texts[0] == PIECES[0]
    assert "".join(texts) == TEXT
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 8)


def test_the_text_of_a_response_arrives_while_its_model_writes(
    client: Client, slow: Paused
) -> None:
    asked = client("single", values={"model": "openai:slow"})
    texts = []
    with asked.responses.stream(model="single", input="Which city?") as stream:
        for said in stream:
            if said.type == "response.output_text.delta":
                texts.append(said.delta)
                slow.may.set()
        final = stream.get_final_response()
    assert texts[0] == PIECES[0]
    assert "".join(texts) == final.output_text == TEXT


def test_asynchronous_clients_read_it_too(client: Client, slow: Paused) -> None:
    base_url = client("single", values={"model": "openai:slow"}).base_url
    slow.may.set()

    async def read() -> str:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="any") as asked:
            stream = await asked.chat.completions.create(
                model="single", messages=ASK, stream=True, n=2
            )
            texts = {0: "", 1: ""}
            async for part in stream:
                for choice in part.choices:
                    texts[choice.index] += choice.delta.content or ""
            response = await asked.responses.create(model="single", input="Which city?")
            assert texts[0] == texts[1] == response.output_text
            return texts[0]

    assert asyncio.run(read()) == TEXT


def test_the_texts_of_earlier_nodes_are_no_part_of_it(client: Client, slow: Paused) -> None:
    values = {"models": ["openai:slow", "openai:slow"], "aggregator": "openai:slow"}
    asked = client("mixture_of_agents", values=values)
    slow.may.set()
    stream = asked.chat.completions.create(model="mixture_of_agents", messages=ASK, stream=True)
    texts = [part.choices[0].delta.content or "" for part in stream]
    assert len(slow.prompts) > 2
    assert "".join(texts) == TEXT


def test_a_stop_text_is_never_begun(client: Client, slow: Paused) -> None:
    asked = client("single", values={"model": "openai:slow"})
    slow.may.set()
    stream = asked.chat.completions.create(
        model="single", messages=ASK, stream=True, stop=["the capital"]
    )
    texts = [part.choices[0].delta.content or "" for part in stream]
    assert "".join(texts) == "Paris is "


def test_an_error_after_the_first_piece_ends_the_stream_as_the_api_does(
    client: Client, slow: Paused
) -> None:
    slow.breaks = True
    asked = client("single", values={"model": "openai:slow"})
    stream = iter(asked.chat.completions.create(model="single", messages=ASK, stream=True))
    while not (next(stream).choices[0].delta.content):
        pass
    slow.may.set()
    with pytest.raises(openai.APIError, match="the answer began anew"):
        list(stream)


def test_who_stops_reading_makes_room_for_another_request(client: Client, slow: Paused) -> None:
    asked = client("single", values={"model": "openai:slow"}, in_flight=1)
    stream = asked.chat.completions.create(model="single", messages=ASK, stream=True)
    while not next(stream).choices[0].delta.content:
        pass
    with pytest.raises(openai.RateLimitError, match="1 requests are under way"):
        asked.chat.completions.create(model="single", messages=ASK)
    stream.close()
    slow.may.set()
    patient = asked.with_options(max_retries=20)  # each 429 says to come again in a second
    again = patient.chat.completions.create(model="single", messages=ASK)
    assert again.choices[0].message.content == TEXT


def test_an_error_before_the_first_piece_has_its_status(client: Client) -> None:
    asked = client("single", values={"model": "counted:b"})
    with pytest.raises(openai.InternalServerError, match="it never answers"):
        asked.chat.completions.create(model="single", messages=ASK, stream=True)
    with pytest.raises(openai.InternalServerError, match="it never answers"):
        asked.responses.create(model="single", input="3 + 4 = ?", stream=True)


def test_whose_text_is_its_last_model_s() -> None:
    model = simulated()
    service = serve(model)
    lm = module(service, model)

    def network(operator: Any) -> Network:
        nodes = {"draft": EnsembleOperator(lm_modules=[lm, lm]), "last": operator}
        graph = NoNGraphData(nodes, {"last": ["draft"]})
        return Network("n", "", graph, service)

    plain, number = Question("q"), Question("q", answer_format="number")
    fuser, single = network(Fuser(lm_modules=[lm])), network(EnsembleOperator(lm_modules=[lm]))
    assert fuser.writes(plain)
    assert not fuser.writes(number)  # the number is read out of its text
    assert single.writes(plain)
    assert single.writes(number)
    for other in (
        EnsembleOperator(lm_modules=[lm, lm]),
        MostCommonOperator(),
        Function(lambda responses: {"final_answer": responses[0]}),
    ):
        assert not network(other).writes(plain)


@given(
    st.lists(st.text("abc", max_size=4), max_size=8),
    st.lists(st.text("abc", min_size=1, max_size=3), max_size=2),
)
def test_a_text_in_pieces_is_the_text_before_the_first_stop(
    pieces: list[str], stop: list[str]
) -> None:
    text = "".join(pieces)
    ends = [text.find(s) for s in stop if s in text]
    whole = text[: min(ends)] if ends else text
    cut, said = Cut(stop), ""
    for piece in pieces:
        said += cut.add(piece)
        assert whole.startswith(said)
    assert said + cut.rest(whole) == whole
