"""What can be said to a model: how each wire writes it, and where it is refused before a call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError
from ember_bench.models import (
    Completion,
    File,
    Image,
    Message,
    ModelInfo,
    Request,
    SamplingParameters,
)
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers.base import provider_class
from tests.models.providers.test_transports import both, sent, wire_names
from tests.models.providers.wires import Adapter
from tests.models.providers.wires.adapters import DIRECT
from tests.models.providers.wires.asking import QUESTION, WEATHER, ask_all
from tests.support.loopback import Asked, LoopbackServer, json_reply

CHAT, RESPONSES, ANTHROPIC, GOOGLE = (
    next(adapter for adapter in DIRECT if adapter.name == f"{name}-direct")
    for name in ("openai", "openai-responses", "anthropic-2023", "google")
)
WIRES: Final = {"chat": CHAT, "responses": RESPONSES, "anthropic": ANTHROPIC, "google": GOOGLE}
Given = dict[str, Any]

# Parameters, and by wire the part of the body that says so; a wire that is missing refuses them.
WRITTEN: Final[dict[str, tuple[Given, dict[str, Given]]]] = {
    "top_k": (
        {"top_k": 5},
        {
            "chat": {"top_k": 5},
            "anthropic": {"top_k": 5},
            "google": {"generationConfig": {"topK": 5}},
        },
    ),
    "min_p": ({"min_p": 0.1}, {"chat": {"min_p": 0.1}}),
    "frequency_penalty": (
        {"frequency_penalty": 0.5},
        {
            "chat": {"frequency_penalty": 0.5},
            "google": {"generationConfig": {"frequencyPenalty": 0.5}},
        },
    ),
    "presence_penalty": (
        {"presence_penalty": -1},
        {
            "chat": {"presence_penalty": -1.0},
            "google": {"generationConfig": {"presencePenalty": -1.0}},
        },
    ),
    "repetition_penalty": ({"repetition_penalty": 1.1}, {"chat": {"repetition_penalty": 1.1}}),
    "logit_bias": (
        {"logit_bias": {"50256": -100, "11": 0.5}},
        {"chat": {"logit_bias": {"50256": -100, "11": 0.5}}},
    ),
    "verbosity": (
        {"verbosity": "low"},
        {"chat": {"verbosity": "low"}, "responses": {"text": {"verbosity": "low"}}},
    ),
    "tool_choice of any": (
        {"tool_choice": "required"},
        {
            "chat": {"tool_choice": "required"},
            "responses": {"tool_choice": "required"},
            "anthropic": {"tool_choice": {"type": "any"}},
            "google": {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        },
    ),
    "tool_choice of none": (
        {"tool_choice": "none"},
        {
            "chat": {"tool_choice": "none"},
            "responses": {"tool_choice": "none"},
            "anthropic": {"tool_choice": {"type": "none"}},
            "google": {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
        },
    ),
    "tool_choice of one": (
        {"tool_choice": WEATHER.name},
        {
            "chat": {"tool_choice": {"type": "function", "function": {"name": WEATHER.name}}},
            "responses": {"tool_choice": {"type": "function", "name": WEATHER.name}},
            "anthropic": {"tool_choice": {"type": "tool", "name": WEATHER.name}},
            "google": {
                "toolConfig": {
                    "functionCallingConfig": {
                        "mode": "ANY",
                        "allowedFunctionNames": [WEATHER.name],
                    }
                }
            },
        },
    ),
    "parallel_tool_calls": (
        {"parallel_tool_calls": False},
        {
            "chat": {"parallel_tool_calls": False},
            "responses": {"parallel_tool_calls": False},
            "anthropic": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        },
    ),
    "safety_settings": (
        {"safety_settings": {"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"}},
        {
            "google": {
                "safetySettings": [
                    {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}
                ]
            }
        },
    ),
    "service_tier": (
        {"service_tier": "auto"},
        {
            "chat": {"service_tier": "auto"},
            "responses": {"service_tier": "auto"},
            "anthropic": {"service_tier": "auto"},
        },
    ),
    "cache": (
        {"cache": True},
        {
            "responses": {"prompt_cache_key": "ember-c946a068beee4f59ced23a0c"},
            "anthropic": {"cache_control": {"type": "ephemeral"}},
        },
    ),
    "metadata": (
        {"metadata": {"user_id": "7"}},
        {
            "chat": {"metadata": {"user_id": "7"}},
            "responses": {"metadata": {"user_id": "7"}},
            "anthropic": {"metadata": {"user_id": "7"}},
        },
    ),
    "extra_body": (
        {"extra_body": {"some_field": {"a": [1, {"b": None}]}}},
        {wire: {"some_field": {"a": [1, {"b": None}]}} for wire in WIRES},
    ),
}
CASES: Final = [(name, wire) for name in WRITTEN for wire in WIRES]

PDF = File("application/pdf", "JVBERi0xLjcK", "paper.pdf")
PDF_AT = File("application/pdf", "https://example.org/paper.pdf", "paper.pdf")
SOUND = File("audio/wav", "AAAA")
PICTURE = Image("image/png", "https://example.org/a.png")
CLOSE = Image("image/png", "AAAA", "high")
HELD = "data:application/pdf;base64,JVBERi0xLjcK"

# Attachments, and by wire the part of the message that holds it.
ATTACHED: Final[dict[str, tuple[Given, dict[str, Given]]]] = {
    "image_urls": (
        {"images": (PICTURE,)},
        {
            "chat": {"type": "image_url", "image_url": {"url": PICTURE.data}},
            "responses": {"type": "input_image", "image_url": PICTURE.data, "detail": "auto"},
            "anthropic": {"type": "image", "source": {"type": "url", "url": PICTURE.data}},
            "google": {"fileData": {"mimeType": "image/png", "fileUri": PICTURE.data}},
        },
    ),
    "image_detail": (
        {"images": (CLOSE,)},
        {
            "chat": {"type": "image_url", "image_url": {"url": CLOSE.url, "detail": "high"}},
            "responses": {"type": "input_image", "image_url": CLOSE.url, "detail": "high"},
        },
    ),
    "pdfs": (
        {"files": (PDF,)},
        {
            "chat": {"type": "file", "file": {"filename": "paper.pdf", "file_data": HELD}},
            "responses": {"type": "input_file", "filename": "paper.pdf", "file_data": HELD},
            "anthropic": {
                "type": "document",
                "source": {"type": "base64", "media_type": PDF.media_type, "data": PDF.data},
            },
            "google": {"inlineData": {"mimeType": PDF.media_type, "data": PDF.data}},
        },
    ),
    "file_urls": (
        {"files": (PDF_AT,)},
        {
            "responses": {"type": "input_file", "filename": "paper.pdf", "file_url": PDF_AT.data},
            "anthropic": {"type": "document", "source": {"type": "url", "url": PDF_AT.data}},
            "google": {"fileData": {"mimeType": PDF.media_type, "fileUri": PDF_AT.data}},
        },
    ),
    "audio": (
        {"files": (SOUND,)},
        {
            "chat": {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            "google": {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        },
    ),
}
ATTACHMENTS: Final = [(name, wire) for name in ATTACHED for wire in WIRES]


def refused(adapter: Adapter, messages: tuple[Message, ...] = QUESTION, **given: Any) -> list[str]:
    """Return what is said of a request that is not sent."""
    info = adapter.info("http://127.0.0.1:9")
    request = Request(info, messages, SamplingParameters(**given), tools=(WEATHER,))
    return provider_class(adapter.provider).unsupported(request)


def bodies(adapter: Adapter, **asked: Any) -> list[Any]:
    """Return the body as it goes through the SDK, and as it goes without."""
    found = [sent(each, tools=(WEATHER,), **asked).body for each in both(adapter)]
    return [wire_names(body) for body in found] if adapter.provider == "google" else found


def heard(adapter: Adapter, card: Given, parameters: SamplingParameters) -> Asked:
    """Return a request to a model of such a card as it came over the wire."""
    with LoopbackServer([json_reply(adapter.wire.answer(Completion("ok")))]) as server:
        info = adapter.info(server.url, **card)
        ask_all(info, [Request(info, QUESTION, parameters)])
    return server.asked[0]


def holds(body: Any, part: Given) -> bool:
    """Whether an object has all that `part` has, at any depth."""
    return all(
        holds(body.get(name), value) if isinstance(value, dict) else body.get(name) == value
        for name, value in part.items()
    )


class TestParameters:
    @pytest.mark.parametrize(("name", "wire"), CASES, ids=str)
    def test_are_written_as_the_api_has_them_or_refused(self, name: str, wire: str) -> None:
        given, written = WRITTEN[name]
        adapter = WIRES[wire]
        if wire not in written:
            [problem] = refused(adapter, **given)
            assert name.partition(" ")[0] in problem
            return
        assert refused(adapter, **given) == []
        expected = written[wire]
        if adapter.provider == "google":
            expected = wire_names(expected)
        through_sdk, direct = bodies(adapter, parameters=SamplingParameters(**given))
        assert holds(through_sdk, expected)
        assert direct == through_sdk

    @pytest.mark.parametrize("wire", WIRES)
    def test_that_are_not_given_are_not_written(self, wire: str) -> None:
        plain = {
            "model", "messages", "input", "contents", "tools", "max_tokens", "store",
            "generationConfig",
        }  # fmt: skip
        for body in bodies(WIRES[wire]):
            assert set(body) <= plain

    @pytest.mark.parametrize(
        ("wire", "tool"),
        [
            ("chat", {"type": "openrouter:web_search"}),
            ("responses", {"type": "web_search"}),
            ("anthropic", {"type": "web_search_20250305", "name": "web_search"}),
            ("google", {"googleSearch": {}}),
        ],
    )
    def test_the_providers_own_tools_stand_beside_the_requests(
        self, wire: str, tool: Given
    ) -> None:
        parameters = SamplingParameters(server_tools=(tool,))
        through_sdk, direct = bodies(WIRES[wire], parameters=parameters)
        assert len(direct["tools"]) == 2
        assert tool in direct["tools"]
        assert direct == through_sdk

    def test_gemini_takes_its_own_service_tiers(self) -> None:
        for body in bodies(GOOGLE, parameters=SamplingParameters(service_tier="flex")):
            assert body["serviceTier"] == "flex"

    def test_anthropic_takes_its_own_service_tiers(self) -> None:
        standard = SamplingParameters(service_tier="standard_only")
        for body in bodies(ANTHROPIC, parameters=standard):
            assert body["service_tier"] == "standard_only"
        [problem] = refused(ANTHROPIC, service_tier="flex")
        assert "service_tier: expected one of auto, standard_only; found 'flex'" in problem

    def test_metadata_at_anthropic_is_the_user_alone(self) -> None:
        [problem] = refused(ANTHROPIC, metadata={"run": "7"})
        assert "metadata: expected `user_id` alone" in problem

    def test_the_effort_pro_is_a_mode_of_responses(self) -> None:
        for body in bodies(RESPONSES, parameters=SamplingParameters(reasoning_effort="pro")):
            assert body["reasoning"] == {"mode": "pro"}

    @pytest.mark.parametrize(
        "given",
        [
            {"top_k": 5},
            {"min_p": 0.1},
            {"repetition_penalty": 1.1},
            {"server_tools": ({"type": "web_search"},)},
            {"metadata": {"a": "b"}},
            {"frequency_penalty": 2.5},
            {"reasoning_effort": "pro"},
        ],
    )
    def test_openais_own_chat_completions_do_not_take_what_other_servers_may(
        self, given: Given, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
        request = Request(ModelInfo(model_id="openai:m"), QUESTION, SamplingParameters(**given))
        [problem] = provider_class("openai").unsupported(request)
        assert next(iter(given)) in problem

    def test_prompts_that_begin_alike_share_the_key_of_a_cache(self) -> None:
        def key(persona: str, text: str) -> str:
            messages = (Message("system", persona), Message("user", text))
            found = sent(RESPONSES, messages=messages, parameters=SamplingParameters(cache=True))
            return str(found.body["prompt_cache_key"])

        assert key("Be brief.", "a") == key("Be brief.", "b") != key("Be long.", "a")

    def test_anthropics_cache_is_marked_after_the_system_and_at_the_end(self) -> None:
        messages = (Message("system", "Be brief."), *QUESTION)
        for body in bodies(ANTHROPIC, messages=messages, parameters=SamplingParameters(cache=True)):
            mark = {"type": "ephemeral"}
            assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": mark}]
            assert body["cache_control"] == mark

    def test_a_tool_that_is_not_there_cannot_be_chosen(self) -> None:
        info = CHAT.info("http://127.0.0.1:9")
        asked = provider_class("openai")(info)
        nothing = SamplingParameters(tool_choice="nothing")
        with pytest.raises(ConfigError, match="tool_choice: expected one of auto, none, required"):
            asked.refuse_unsupported(Request(info, QUESTION, nothing, tools=(WEATHER,)))
        auto = Request(info, QUESTION, SamplingParameters(tool_choice="auto"))
        with pytest.raises(ConfigError, match="there are no tools to choose from"):
            asked.refuse_unsupported(auto)
        # Before there is a request, nobody knows the tools that come with it.
        assert asked.unsupported(auto) == []


class TestBatches:
    def test_take_headers_from_cards_only(self) -> None:
        info = ModelInfo(model_id="openai:m", mode="batch", headers={"X-Card": "1"})
        assert provider_class("openai").unsupported(Request(info, QUESTION)) == []
        request = Request(info, QUESTION, SamplingParameters(headers={"X-Run": "1"}))
        [problem] = provider_class("openai").unsupported(request)
        assert "headers: give them on the card of a batch model" in problem

    @pytest.mark.parametrize(
        ("provider", "problems"), [("openai", 0), ("anthropic", 0), ("google", 1)]
    )
    def test_take_fields_of_bodies_where_the_batch_has_bodies(
        self, provider: str, problems: int
    ) -> None:
        info = ModelInfo(model_id=f"{provider}:m", mode="batch")
        request = Request(info, QUESTION, SamplingParameters(extra_body={"a": 1}))
        assert len(provider_class(provider).unsupported(request)) == problems


class TestEfforts:
    @pytest.mark.parametrize("effort", ["none", "minimal", "low", "high", "xhigh", "max"])
    def test_that_the_card_lists_are_taken_and_no_others(self, effort: str) -> None:
        info = ModelInfo(model_id="openai:m", reasoning_efforts=("none", "low", "max"))
        request = Request(info, QUESTION, SamplingParameters(reasoning_effort=effort))
        problems = provider_class("openai").unsupported(request)
        if effort in info.reasoning_efforts:
            assert problems == []
        else:
            said = f"openai:m: reasoning_effort: expected one of none, low, max; found {effort!r}"
            assert problems == [said]

    def test_of_the_cards_own_options_are_among_them(self) -> None:
        text = "name: openai:m\nreasoning_efforts: [low]\noptions: {reasoning_effort: high}\n"
        with pytest.raises(ConfigError, match=r"card.yaml:3:11: .*expected one of low"):
            models_of_card(parse_document(text, Path("card.yaml")))


class TestAttachments:
    @pytest.mark.parametrize(("name", "wire"), ATTACHMENTS, ids=str)
    def test_are_written_before_the_text_or_refused(self, name: str, wire: str) -> None:
        given, written = ATTACHED[name]
        adapter, messages = WIRES[wire], (Message("user", "What is it?", **given),)
        if wire not in written:
            assert any(name in problem for problem in refused(adapter, messages))
            return
        assert refused(adapter, messages) == []
        through_sdk, direct = bodies(adapter, messages=messages)
        assert direct == through_sdk
        turn = direct.get("messages") or direct.get("input") or direct.get("contents")
        parts = turn[0].get("content") or turn[0].get("parts")
        assert parts[0] == written[wire]
        assert parts[1]["text"] == "What is it?"


class TestHeaders:
    @pytest.fixture(autouse=True)
    def _variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEAM_TOKEN", "a-secret-of-the-team")

    @pytest.mark.parametrize("wire", WIRES)
    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    def test_of_cards_and_requests_are_sent_with_the_values_of_the_environment(
        self, wire: str, transport: str
    ) -> None:
        adapter = replace(WIRES[wire], transport=transport)
        asked = heard(
            adapter,
            {"headers": {"X-Card": "1", "X-Run": "of the card"}},
            SamplingParameters(headers={"X-Run": "7", "X-Team": "${TEAM_TOKEN}"}),
        )
        assert asked.headers["x-card"] == "1"
        assert asked.headers["x-run"] == "7"
        assert asked.headers["x-team"] == "a-secret-of-the-team"

    @pytest.mark.parametrize("wire", WIRES)
    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    def test_and_so_are_the_fields_of_their_bodies(self, wire: str, transport: str) -> None:
        body = heard(
            replace(WIRES[wire], transport=transport),
            {"extra_body": {"mine": {"a": 1, "b": 2}}},
            SamplingParameters(extra_body={"mine": {"b": "${TEAM_TOKEN}"}}),
        ).body
        assert body["mine"] == {"a": 1, "b": "a-secret-of-the-team"}

    def test_of_variables_that_are_not_set_are_a_mistake_before_the_call(self) -> None:
        with pytest.raises(ConfigError, match="NOT_SET is not set in the environment"):
            sent(CHAT, parameters=SamplingParameters(headers={"X-A": "${NOT_SET}"}))
        info = CHAT.info("http://127.0.0.1:9", headers={"X-A": "${NOT_SET}"})
        with pytest.raises(ConfigError, match="NOT_SET is not set in the environment"):
            provider_class("openai").check([info])
