"""What is the old SDK's own; what every adapter owes is in test_conformance."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError
from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers.google_legacy import GoogleLegacy
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import (
    Completion,
    Image,
    Message,
    ResponseFormat,
    SamplingParameters,
    ToolDefinition,
    Usage,
)
from ember_bench.models.wire.gemini_schema import SchemaError, openapi_schema
from tests.models.providers.wires.asking import WEATHER, ask_all
from tests.support.loopback import LoopbackServer, json_reply

QUESTION = (Message("user", "What is the capital of France?"),)
INSTALLED = importlib.util.find_spec("google.generativeai") is not None


@pytest.fixture
def sdk() -> None:
    if not INSTALLED:
        pytest.skip("needs the extra google-legacy")


def model(url: str | None = None, **fields: Any) -> ModelInfo:
    provider = {"name": "google-legacy", "base_url": url}
    return ModelInfo.model_validate(
        {"model_id": "google-legacy:x", "provider": provider, "api_key": "k", **fields}
    )


def ask(*infos: ModelInfo, **asked: Any) -> list[Completion]:
    async def one(info: ModelInfo) -> Completion:
        provider, request = GoogleLegacy(info), Request(info, QUESTION, **asked)
        try:
            return await provider.complete(Call.place(request, Strand(TrialContext()), "0", ""))
        finally:
            await provider.close()

    async def main() -> list[Completion]:
        return await asyncio.gather(*map(one, infos))

    return asyncio.run(main())


def answer(*parts: Any, **fields: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP"}
    return {"candidates": [candidate], **fields}


@pytest.mark.extra
@pytest.mark.usefixtures("sdk")
class TestRequest:
    @pytest.mark.parametrize(
        ("asked", "written"),
        [
            (
                {"safety_settings": {"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"}},
                {"safetySettings": [{"category": 7, "threshold": 4}]},
            ),
            (
                {"tool_choice": "required"},
                {"toolConfig": {"functionCallingConfig": {"mode": 2}}},
            ),
            (
                {"server_tools": ({"googleSearch": {}}, {"code_execution": {}})},
                {"tools": [{"googleSearch": {}}, {"codeExecution": {}}]},
            ),
        ],
    )
    def test_has_what_the_sdk_knows(self, asked: Any, written: Any) -> None:
        tools = (WEATHER,) if "tool_choice" in asked else ()
        parameters = SamplingParameters(**asked, headers={"X-Own": "mine"})
        with LoopbackServer([json_reply(answer({"text": "Paris."}))]) as server:
            info = model(server.url)
            request = Request(info, QUESTION, parameters, tools=tools)
            assert GoogleLegacy.unsupported(request) == []
            ask(info, parameters=parameters, tools=tools)
        [sent] = server.asked
        assert {key: sent.body.get(key) for key in written} == written
        assert sent.headers["x-own"] == "mine"

    def test_has_pictures_by_their_url(self) -> None:
        url = "https://example.com/cat.png"
        shown = (Message("user", "What is it?", images=(Image("image/png", url),)),)
        with LoopbackServer([json_reply(answer({"text": "A cat."}))]) as server:
            info = model(server.url)
            [completion] = ask_all(info, [Request(info, shown)])
        assert completion.text == "A cat."
        part = server.asked[0].body["contents"][0]["parts"][0]
        assert part == {"fileData": {"mimeType": "image/png", "fileUri": url}}

    def test_may_have_a_cards_headers(self) -> None:
        with LoopbackServer([json_reply(answer({"text": "Paris."}))]) as server:
            ask(model(server.url, headers={"X-Team": "a"}))
        assert server.asked[0].headers["x-team"] == "a"


class TestRefused:
    def test_a_server_tool_that_the_sdk_does_not_know(self) -> None:
        asked = SamplingParameters(server_tools=({"urlContext": {}},))
        [problem] = GoogleLegacy.unsupported(Request(model(), QUESTION, asked))
        assert "found url_context" in problem

    def test_a_card_with_fields_of_the_body(self) -> None:
        text = "name: google-legacy:x\nextra_body: {a: 1}\n"
        with pytest.raises(ConfigError, match="extra_body: google-legacy cannot send them"):
            models_of_card(parse_document(text, Path("card.yaml")))


@pytest.mark.extra
@pytest.mark.usefixtures("sdk")
class TestAnswer:
    def test_thoughts_that_the_sdk_does_not_know_are_counted_as_output(self) -> None:
        counts = {
            "promptTokenCount": 7,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 14,
        }
        with LoopbackServer([json_reply(answer({"text": "ok"}, usageMetadata=counts))]) as server:
            [completion] = ask(model(server.url))
        assert completion.usage == Usage(7, 7, 0, 5)

    def test_whole_numbers_in_arguments_stay_whole(self) -> None:
        call = {"functionCall": {"name": "f", "args": {"a": 3, "b": [1.5, 2], "c": True}}}
        with LoopbackServer([json_reply(answer(call))]) as server:
            [completion] = ask(model(server.url))
        assert completion.tool_calls[0].arguments == '{"a": 3, "b": [1.5, 2], "c": true}'

    def test_a_reason_of_tomorrow_is_unknown(self) -> None:
        body = {"candidates": [{**answer({"text": "ok"})["candidates"][0], "finishReason": "NEW"}]}
        with LoopbackServer([json_reply(body)]) as server:
            [completion] = ask(model(server.url))
        assert (completion.text, completion.finish_reason) == ("ok", "unknown")


@pytest.mark.extra
@pytest.mark.usefixtures("sdk")
class TestProcess:
    def test_models_at_several_servers_do_not_disturb_each_other(self) -> None:
        with (
            LoopbackServer([json_reply(answer({"text": "one"}))]) as one,
            LoopbackServer([json_reply(answer({"text": "two"}))]) as two,
        ):
            infos = (model(one.url, api_key="k1"), model(two.url, api_key="k2"))
            assert [c.text for c in ask(*infos, *infos)] == ["one", "two", "one", "two"]
        assert {asked.headers["x-goog-api-key"] for asked in one.asked} == {"k1"}
        assert {asked.headers["x-goog-api-key"] for asked in two.asked} == {"k2"}

    def test_its_end_of_life_is_not_warned_of(self) -> None:
        code = "from ember_bench.models.providers import google_legacy; google_legacy._sdk()"
        asked = [sys.executable, "-c", code]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=True)
        assert "google.generativeai" not in done.stderr

    def test_a_tool_without_parameters_has_no_empty_object_of_them(self) -> None:
        tool = ToolDefinition("f", "", {"type": "object", "properties": {}})
        with LoopbackServer([json_reply(answer({"text": "ok"}))]) as server:
            ask(model(server.url), tools=(tool,))
        [declared] = server.asked[0].body["tools"][0]["functionDeclarations"]
        assert "parameters" not in declared

    def test_a_schema_that_would_lose_something_is_refused(self) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
        with pytest.raises(ConfigError, match=r"'Reply' has 'minimum'.*ask through `google:`"):
            ask(model("http://127.0.0.1:9"), response_format=ResponseFormat("Reply", schema))


class TestWithoutTheSdk:
    def test_what_it_lacks_is_said(self) -> None:
        parameters = SamplingParameters(seed=1, thinking_tokens=5)
        assert GoogleLegacy.unsupported(Request(model(), QUESTION, parameters)) == [
            "google-legacy:x does not take seed: ask through `google:`",
            "google-legacy:x does not take thinking_tokens: ask through `google:`",
        ]

    def test_it_has_no_options(self) -> None:
        with pytest.raises(ConfigError, match=r"options\.reasoning_effort"):
            GoogleLegacy(model(options={"reasoning_effort": "low"}))

    def test_a_missing_package_is_said_before_any_call(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ConfigError, match=r"pip install 'ember-bench\[google-legacy\]'"):
            GoogleLegacy.check([model()])
        GoogleLegacy.check([ModelInfo(model_id="simulated:x")])


class TestSchemas:
    @pytest.mark.parametrize(
        ("schema", "expected"),
        [
            ({"type": "string", "title": "A", "default": "x"}, {"type": "STRING"}),
            ({"type": ["integer", "null"]}, {"type": "INTEGER", "nullable": True}),
            (
                {"anyOf": [{"type": "number"}, {"type": "null"}], "description": "d"},
                {"type": "NUMBER", "description": "d", "nullable": True},
            ),
            ({"type": "string", "const": "x"}, {"type": "STRING", "enum": ["x"]}),
            (
                {"type": "array", "items": {"$ref": "#/$defs/A"}, "$defs": {"A": {"type": "null"}}},
                {"type": "ARRAY", "items": {"type": "NULL"}},
            ),
            ({"type": "object", "properties": {}}, {"type": "OBJECT"}),
        ],
    )
    def test_are_said_in_geminis_dialect(
        self, schema: dict[str, Any], expected: dict[str, Any]
    ) -> None:
        assert openapi_schema(schema) == expected

    @pytest.mark.parametrize(
        ("schema", "part"),
        [
            ({"type": "string", "pattern": "x"}, "'pattern'"),
            ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "'anyOf'"),
            ({"type": ["string", "integer"]}, "several types"),
            ({"type": "object", "additionalProperties": {"type": "string"}}, "any name"),
            ({"type": "integer", "enum": [1, 2]}, "'enum'"),
            ({"$ref": "#/$defs/B"}, "nowhere"),
            (
                {
                    "$ref": "#/$defs/A",
                    "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}},
                },
                "refers to itself",
            ),
        ],
    )
    def test_lose_nothing_in_silence(self, schema: dict[str, Any], part: str) -> None:
        with pytest.raises(SchemaError, match=part):
            openapi_schema(schema)
