"""The servers of the presets: their names in requests, and the shapes of answers they document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.info import FEATURES, ModelInfo
from ember_bench.models.presets import PRESETS
from ember_bench.models.providers.base import provider_class
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import Completion, SamplingParameters
from tests.models.providers.wires import KEY, streams
from tests.models.providers.wires.asking import QUESTION
from tests.support.loopback import Fault, LoopbackServer, json_reply

SHAPES: Final[Mapping[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("presets.yaml").read_text("utf-8")
)
WAYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "sdk": {"transport": "sdk", "stream": False},
    "direct": {"transport": "direct", "stream": False},
    "sdk-streamed": {"transport": "sdk", "stream": True},
    "direct-streamed": {"transport": "direct", "stream": True},
}
EVENTS: Final = {"content-type": "text/event-stream"}

per_preset = pytest.mark.parametrize("preset", SHAPES)
each_way = pytest.mark.parametrize("way", WAYS)


def model(preset: str, server: str, **fields: Any) -> ModelInfo:
    """Return a model of a preset whose server is at `server`, at the path of the real one."""
    path = urlsplit(PRESETS[preset].base_url or "").path
    provider = {"base_url": f"{server}{path}"}
    return ModelInfo.model_validate(
        {"model_id": f"{preset}:m", "provider": provider, "api_key": KEY, **fields}
    )


def ask_each(info: ModelInfo, *asked: Mapping[str, Any]) -> list[Completion | ProviderError]:
    """Return the answer, or the error, that each request gets, one after the other."""

    async def main() -> list[Completion | ProviderError]:
        provider, strand = provider_class(info.provider_name)(info), Strand(TrialContext())
        found: list[Completion | ProviderError] = []
        try:
            for parameters in asked:
                request = Request(info, QUESTION, SamplingParameters(**parameters))
                provider.refuse_unsupported(request)
                try:
                    found.append(await provider.complete(Call.place(request, strand, "0", "")))
                except ProviderError as error:
                    found.append(error)
        finally:
            await provider.close()
        return found

    return asyncio.run(main())


def reply(body: Any, *, stream: bool) -> Fault:
    """Return what a server sends of the body of an answer."""
    if not stream:
        return json_reply(body)
    events = streams.responses(body) if "output" in body else chunks(body)
    return Fault(200, b"".join(events), EVENTS, raw=True)


def chunks(body: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the chunks of a chat completion: each field of the message in one of its own."""
    chunk = {name: body[name] for name in ("id", "created", "model")}
    chunk["object"] = "chat.completion.chunk"
    for choice in body["choices"]:
        rest = {name: value for name, value in choice.items() if name != "message"}
        for name, value in choice["message"].items():
            begun = {**rest, "finish_reason": None, "delta": {name: value}}
            yield streams.event({**chunk, "choices": [begun]})
        yield streams.event({**chunk, "choices": [{**rest, "delta": {}}]})
    if "usage" in body:
        yield streams.event({**chunk, "choices": [], "usage": body["usage"]})
    yield streams.DONE


def told(completion: Completion | ProviderError) -> dict[str, Any]:
    """Return an answer as the table has it."""
    assert isinstance(completion, Completion), completion
    usage = completion.usage
    counts = [usage.input_tokens, usage.output_tokens]
    return {
        "text": completion.text,
        "thoughts": completion.thoughts,
        "finish": completion.finish_reason,
        "usage": [*counts, usage.cached_input_tokens, usage.reasoning_tokens],
        "usd": completion.stated_usd,
    }


@cache
def played(preset: str, way: str) -> tuple[list[Any], list[Any]]:
    """Return what is made of the answers, and of the errors, of one server."""
    answers, errors = SHAPES[preset]["answers"], SHAPES[preset]["errors"]
    replies = [
        reply(each["body"], stream=WAYS[way]["stream"])
        if each.get("status", 200) == 200
        else Fault(each["status"], each["body"], raw=True)
        for each in (*answers, *errors)
    ]
    with LoopbackServer(replies) as server:
        found = ask_each(model(preset, server.url, **WAYS[way]), *[{}] * len(replies))
    assert server.count == len(replies)
    return found[: len(answers)], found[len(answers) :]


@each_way
@per_preset
class TestShapes:
    def test_of_answers_are_read(self, preset: str, way: str) -> None:
        found, _ = played(preset, way)
        expected = [
            {"thoughts": "", "usd": None, **each["is"]} for each in SHAPES[preset]["answers"]
        ]
        assert list(map(told, found)) == expected

    def test_of_errors_tell_what_may_pass(self, preset: str, way: str) -> None:
        _, found = played(preset, way)
        for each, error in zip(SHAPES[preset]["errors"], found, strict=True):
            assert isinstance(error, ProviderError), each
            assert error.retryable == each.get("retryable", False), each
            if each["status"] != 200:
                assert error.status == each["status"]


@per_preset
class TestRequests:
    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    def test_have_the_servers_names(self, preset: str, transport: str) -> None:
        asked, [answer, *_] = SHAPES[preset]["asked"], SHAPES[preset]["answers"]
        with LoopbackServer([json_reply(answer["body"])]) as server:
            info = model(preset, server.url, transport=transport, stream=False)
            ask_each(info, *[each["parameters"] for each in asked])
        for each, heard in zip(asked, server.asked, strict=True):
            fields = {k: v for k, v in heard.body.items() if k not in ("messages", "input")}
            assert fields == {"model": "m", **each["body"]}
            assert KEY in (
                heard.headers.get("authorization", "") + heard.headers.get("api-key", "")
            )

    def test_of_what_it_lacks_are_refused_before_they_are_sent(self, preset: str) -> None:
        info = model(preset, "http://127.0.0.1:9")
        lacking = {*info.unsupported_parameters}
        assert lacking == {*PRESETS[preset].unsupported} <= {*FEATURES}
        asked = SamplingParameters(top_k=4, seed=1, logit_bias={"7": 1.0})
        problems = provider_class(info.provider_name).unsupported(Request(info, QUESTION, asked))
        for name in ("top_k", "seed", "logit_bias"):
            if name in lacking:
                assert any(name in problem for problem in problems)


def test_every_server_that_speaks_as_openai_does_is_in_the_table() -> None:
    # Those through litellm are in test_litellm, Vertex is in test_credentials.
    others = {name for name, preset in PRESETS.items() if preset.provider != "openai"}
    assert {*SHAPES} == {*PRESETS} - others
    assert others == {"bedrock", "vertex", "watsonx"}
    for shapes in SHAPES.values():
        assert all(source.startswith("https://") for source in shapes["sources"])
        assert json.dumps(shapes)
