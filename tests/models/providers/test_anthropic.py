from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers.anthropic import Anthropic
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import (
    Completion,
    Message,
    ResponseFormat,
    SamplingParameters,
    ToolCall,
    Usage,
)
from tests.models.providers.wires import KEY
from tests.models.providers.wires.anthropic import MessagesWire
from tests.support.loopback import Asked, Fault, LoopbackServer, json_reply

WIRE = MessagesWire()
QUESTION = (Message("user", "What is the capital of France?"),)
TOOL_LOOP = (
    *QUESTION,
    Message("assistant", "", tool_calls=(ToolCall("call_1", "look_up", "{}"),)),
    Message("tool", "Paris", tool_call_id="call_1"),
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)


def model(server: LoopbackServer | None = None, **fields: Any) -> ModelInfo:
    provider = {"name": "anthropic", "base_url": server.url if server else None}
    return ModelInfo.model_validate(
        {"model_id": "anthropic:test-model", "provider": provider, **fields}
    )


def ask(info: ModelInfo, messages: tuple[Message, ...] = QUESTION, **asked: Any) -> Completion:
    async def main() -> Completion:
        provider = Anthropic(info)
        request = Request(info, messages, **asked)
        try:
            return await provider.complete(Call.place(request, Strand(TrialContext()), "0", ""))
        finally:
            await provider.close()

    return asyncio.run(main())


def hear(
    options: dict[str, Any] | None = None,
    messages: tuple[Message, ...] = QUESTION,
    parameters: SamplingParameters | None = None,
    **asked: Any,
) -> Asked:
    """Return the request as it came over the wire."""
    with LoopbackServer([json_reply(WIRE.answer(Completion("ok")))]) as server:
        info = model(server, options=options or {})
        ask(info, messages, parameters=parameters or SamplingParameters(), **asked)
    return server.asked[0]


def read(**fields: Any) -> Completion:
    """Return what is made of an answer with these fields."""
    body = WIRE.answer(Completion("Paris.", Usage(7, 2))) | fields
    with LoopbackServer([json_reply(body)]) as server:
        return ask(model(server))


def refused(parameters: SamplingParameters, **options: Any) -> list[str]:
    return Anthropic.unsupported(Request(model(options=options), QUESTION, parameters))


class TestVersions:
    def test_the_newer_api_is_asked_and_takes_no_temperature(self) -> None:
        assert hear().headers["anthropic-version"] == "2026-10-21"
        [problem] = refused(SamplingParameters(temperature=0.0))
        assert problem.startswith("anthropic:test-model does not take temperature: leave it out")
        assert 'options: {api_version: "2023-06-01"}' in problem

    def test_the_older_one_takes_it(self) -> None:
        options = {"api_version": "2023-06-01"}
        asked = hear(options, parameters=SamplingParameters(temperature=0.0, top_p=0.5))
        assert asked.headers["anthropic-version"] == "2023-06-01"
        assert (asked.body["temperature"], asked.body["top_p"]) == (0.0, 0.5)

    def test_a_model_that_takes_none_says_so_on_its_card(self) -> None:
        info = model(options={"api_version": "2023-06-01"}, unsupported_parameters=["temperature"])
        request = Request(info, QUESTION, SamplingParameters(temperature=0.5, top_p=0.5))
        assert Anthropic.unsupported(request) == ["anthropic:test-model does not take temperature"]


class TestMaxTokens:
    def test_the_api_insists_on_a_number_so_the_option_gives_one(self) -> None:
        assert hear().body["max_tokens"] == 4096
        assert hear({"max_tokens": 100}).body["max_tokens"] == 100
        parameters = SamplingParameters(max_tokens=9)
        assert hear({"max_tokens": 100}, parameters=parameters).body["max_tokens"] == 9

    def test_an_answer_may_be_longer_than_the_sdk_would_wait_for(self) -> None:
        parameters = SamplingParameters(max_tokens=128_000)
        assert hear(parameters=parameters).body["max_tokens"] == 128_000


class TestThinking:
    def test_a_budget_comes_on_top_of_the_default_for_max_tokens(self) -> None:
        body = hear({"max_tokens": 100}, parameters=SamplingParameters(thinking_tokens=2048)).body
        assert body["thinking"] == {"type": "enabled", "budget_tokens": 2048}
        assert body["max_tokens"] == 2148

    def test_the_option_is_for_calls_without_a_budget(self) -> None:
        options = {"thinking": "adaptive"}
        assert hear(options).body["thinking"] == {"type": "adaptive"}
        parameters = SamplingParameters(thinking_tokens=1024)
        assert hear(options, parameters=parameters).body["thinking"]["type"] == "enabled"
        assert "thinking" not in hear().body

    def test_a_calls_effort_comes_before_the_models(self) -> None:
        options = {"reasoning_effort": "max"}
        assert hear(options).body["output_config"] == {"effort": "max"}
        parameters = SamplingParameters(reasoning_effort="low")
        assert hear(options, parameters=parameters).body["output_config"] == {"effort": "low"}

    @pytest.mark.parametrize(
        ("parameters", "problem"),
        [
            (SamplingParameters(thinking_tokens=1000), "thinking_tokens: at least 1024"),
            (SamplingParameters(thinking_tokens=2000, max_tokens=2000), "leave nothing of max_t"),
            (SamplingParameters(thinking_tokens=2000, temperature=0.5), "a model that thinks"),
            (SamplingParameters(temperature=1.5), "temperature: at most 1, found 1.5"),
        ],
    )
    def test_values_that_the_api_refuses_are_an_error_before_it_is_asked(
        self, parameters: SamplingParameters, problem: str
    ) -> None:
        [found] = refused(parameters, api_version="2023-06-01")
        assert found.startswith("anthropic:test-model: ")
        assert problem in found

    def test_those_that_it_takes_are_none(self) -> None:
        for parameters in (
            SamplingParameters(thinking_tokens=1024, max_tokens=1025, temperature=1.0),
            SamplingParameters(thinking_tokens=50_000),
            SamplingParameters(temperature=0.0),
        ):
            assert refused(parameters, api_version="2023-06-01") == []

    def test_a_budget_cannot_go_with_the_result_of_a_tool_called_without_thought(self) -> None:
        with pytest.raises(ConfigError, match="thinking_tokens cannot be given with a tool's res"):
            hear(messages=TOOL_LOOP, parameters=SamplingParameters(thinking_tokens=2048))
        assert hear({"thinking": "adaptive"}, TOOL_LOOP).body["thinking"] == {"type": "adaptive"}

    def test_thoughts_are_no_part_of_the_answer(self) -> None:
        content = [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"},
            {"type": "redacted_thinking", "data": "c2VjcmV0"},
            {"type": "text", "text": "Par"},
            {"type": "text", "text": "is."},
        ]
        assert read(content=content).text == "Paris."


THOUGHTS = (
    {"type": "thinking", "thinking": "Where is \u201cParis\u201d?", "signature": "c2lnbmVk"},
    {"type": "redacted_thinking", "data": "c2VjcmV0"},
    {"type": "thinking", "thinking": "And Rome?", "signature": "c2lnbmVkIHRvbw=="},
)


def looks_up(name: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": "look_up", "input": {"q": name}}


class TestThoughtsBeforeATool:
    TEXT: ClassVar = {"type": "text", "text": "I look it up."}
    THINKING = SamplingParameters(thinking_tokens=2048)

    def given_back(self, *content: Any, parameters: SamplingParameters = THINKING) -> Any:
        """Return the turns after the question when an answer and its tools' results go back."""
        called = read(content=list(content), stop_reason="tool_use")
        results = (Message("tool", "yes", tool_call_id=call.id) for call in called.tool_calls)
        answer = Message("assistant", called.text, tool_calls=called.tool_calls)
        messages = (*QUESTION, answer, *results)
        return hear(messages=messages, parameters=parameters).body["messages"][1:]

    def test_are_given_back_as_they_came_with_its_result(self) -> None:
        content = [*THOUGHTS, self.TEXT, looks_up("a"), looks_up("b")]
        turn, results = self.given_back(*content)
        assert turn == {"role": "assistant", "content": content}
        assert [block["tool_use_id"] for block in results["content"]] == ["a", "b"]

    def test_between_two_tools_stay_between_them(self) -> None:
        content = [THOUGHTS[0], looks_up("a"), THOUGHTS[2], looks_up("b")]
        turn, _ = self.given_back(*content)
        assert turn["content"] == content

    def test_are_asked_for_where_there_are_none(self) -> None:
        with pytest.raises(ConfigError, match="stands in the id of a `ToolCall` of this model"):
            self.given_back(looks_up("a"))
        turn, _ = self.given_back(looks_up("a"), parameters=SamplingParameters())
        assert turn["content"] == [looks_up("a")]

    def test_are_part_of_what_the_model_is_asked(self) -> None:
        def asked(thought: Any) -> bytes:
            called = read(content=[thought, looks_up("a")]).tool_calls
            messages = (*QUESTION, Message("assistant", "", tool_calls=called))
            return Request(model(), messages).digest("")

        assert asked(THOUGHTS[0]) != asked(THOUGHTS[2])


class TestSchemas:
    def test_objects_are_closed_and_bounds_said_in_words(self) -> None:
        schema = {
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 1}},
            "required": ["n"],
        }
        before = json.dumps(schema)
        body = hear(response_format=ResponseFormat("Reply", schema)).body
        sent = body["output_config"]["format"]["schema"]
        assert sent["additionalProperties"] is False
        assert sent["properties"]["n"] == {"type": "integer", "description": "{minimum: 1}"}
        assert json.dumps(schema) == before

    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"type": "object", "properties": {"a": {"type": "object", "patternProperties": {}}}},
            {"type": "object", "properties": {"a": {}}},
            {"type": "any"},
        ],
        ids=str,
    )
    def test_what_cannot_be_enforced_is_refused(self, schema: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="anthropic:test-model: the schema 'Reply'"):
            hear(response_format=ResponseFormat("Reply", schema))


class TestConversations:
    def test_system_prompts_are_one(self) -> None:
        messages = (Message("system", "Be brief."), Message("system", "Be kind."), *QUESTION)
        assert hear(messages=messages).body["system"] == "Be brief.\n\nBe kind."
        assert "system" not in hear().body

    def test_results_of_tools_that_were_called_together_are_one_turn(self) -> None:
        calls = (ToolCall("a", "look_up", '{"q": 1}'), ToolCall("b", "look_up", ""))
        messages = (
            *QUESTION,
            Message("assistant", "", tool_calls=calls),
            Message("tool", "1", tool_call_id="a"),
            Message("tool", "2", tool_call_id="b"),
            Message("user", "Well?"),
        )
        turns = hear(messages=messages).body["messages"]
        assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "user"]
        assert [block["tool_use_id"] for block in turns[2]["content"]] == ["a", "b"]
        assert [block["input"] for block in turns[1]["content"]] == [{"q": 1}, {}]

    @pytest.mark.parametrize("arguments", ["{", "[]", '"x"'])
    def test_arguments_that_are_no_object_cannot_be_sent(self, arguments: str) -> None:
        call = ToolCall("a", "look_up", arguments)
        with pytest.raises(ConfigError, match="the arguments of the call of 'look_up'"):
            hear(messages=(*QUESTION, Message("assistant", "", tool_calls=(call,))))


class TestAnswer:
    @pytest.mark.parametrize(
        ("said", "ours"),
        [
            ("end_turn", "stop"),
            ("stop_sequence", "stop"),
            ("max_tokens", "length"),
            ("model_context_window_exceeded", "length"),
            ("tool_use", "tool_calls"),
            ("refusal", "refusal"),
            ("pause_turn", "pause_turn"),
            (None, "unknown"),
        ],
    )
    def test_finish_reasons_are_ours(self, said: str | None, ours: str) -> None:
        assert read(stop_reason=said).finish_reason == ours

    def test_input_includes_what_came_from_the_cache_and_what_went_into_it(self) -> None:
        usage = {
            "input_tokens": 10,
            "cache_read_input_tokens": 500,
            "cache_creation_input_tokens": 30,
            "output_tokens": 40,
            "output_tokens_details": {"thinking_tokens": 25},
        }
        assert read(usage=usage).usage == Usage(540, 40, 500, 25, 30)

    @pytest.mark.parametrize("usage", [None, {}, {"input_tokens": None, "output_tokens": "x"}])
    def test_servers_that_count_less_are_understood(self, usage: Any) -> None:
        assert read(usage=usage).usage == Usage()

    def test_a_refusal_without_words_has_its_explanation_as_text(self) -> None:
        details = {"type": "refusal", "category": "bio", "explanation": "Not this."}
        for given, text in ((details, "Not this."), (None, "")):
            completion = read(content=[], stop_reason="refusal", stop_details=given)
            assert (completion.text, completion.finish_reason) == (text, "refusal")

    def test_blocks_that_came_after_this_was_written_are_passed_over(self) -> None:
        content = [{"type": "hologram", "text": "?"}, {"type": "text", "text": "Paris."}]
        assert read(content=content).text == "Paris."

    @pytest.mark.parametrize(
        "block",
        [
            {"type": "tool_use", "id": "a", "name": 7, "input": {}},
            {"type": "tool_use", "id": "a", "name": "look_up", "input": "{}"},
            {"type": "tool_use", "id": "a", "name": "look_up"},
        ],
    )
    def test_a_tool_call_that_cannot_be_read_is_malformed(self, block: dict[str, Any]) -> None:
        with pytest.raises(ProviderError, match="malformed answer") as caught:
            read(content=[block])
        assert caught.value.retryable


class TestFaults:
    @pytest.mark.parametrize(
        ("code", "retryable"),
        [
            (None, True),
            ("rate_limit_reached", True),
            ("enforced_spend_limit_reached", False),
            ("contract_spend_limit_reached", False),
        ],
    )
    def test_an_exhausted_budget_does_not_pass_by_waiting(
        self, code: str | None, retryable: bool
    ) -> None:
        error = {"type": "rate_limit_error", "message": "no", "details": {"error_code": code}}
        fault = Fault(429, {"type": "error", "error": error}, raw=True)
        with LoopbackServer([fault]) as server, pytest.raises(ProviderError) as caught:
            ask(model(server))
        assert caught.value.retryable is retryable

    def test_overloaded_passes(self) -> None:
        fault = Fault(529, WIRE.error(529, "Overloaded"), raw=True)
        with LoopbackServer([fault]) as server, pytest.raises(ProviderError) as caught:
            ask(model(server))
        assert caught.value.retryable
        assert str(caught.value) == "anthropic:test-model: HTTP 529: Overloaded"


class TestKeys:
    def test_the_models_key_comes_before_the_environments(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "sk-other")
        with LoopbackServer([json_reply(WIRE.answer(Completion("ok")))]) as server:
            ask(model(server))
            ask(model(server, api_key="sk-own\n"))
        assert [WIRE.heard(asked).key for asked in server.asked] == [KEY, "sk-own"]

    def test_a_server_of_ones_own_needs_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        with LoopbackServer([json_reply(WIRE.answer(Completion("ok")))]) as server:
            assert ask(model(server)).text == "ok"

    @pytest.mark.parametrize("value", ["", "  "])
    def test_a_missing_key_is_said_before_any_call(
        self, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", value)
        with pytest.raises(ConfigError, match="set ANTHROPIC_API_KEY") as caught:
            Anthropic.check([model(), model(), ModelInfo(model_id="simulated:x")])
        assert len(caught.value.problems) == 1
        assert Anthropic(model())  # answers that are stored can be had without a key


class TestServers:
    def test_the_environments_server_is_asked_and_is_part_of_the_context(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert Anthropic(model()).context(TrialContext()) == ""
        with LoopbackServer([json_reply(WIRE.answer(Completion("ok")))]) as server:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
            assert ask(model()).text == "ok"
            assert Anthropic(model()).context(TrialContext()) == server.url
            assert Anthropic(model(server)).context(TrialContext()) == ""

    def test_a_base_url_that_is_none_is_refused_before_any_call(self) -> None:
        with pytest.raises(ConfigError, match="base_url"):
            Anthropic(model(provider={"name": "anthropic", "base_url": "localhost:8000"}))


class TestCards:
    def test_a_wrong_option_is_placed(self) -> None:
        text = "name: anthropic:x\noptions:\n  max_token: 9\n"
        with pytest.raises(ConfigError, match="did you mean 'max_tokens'") as caught:
            models_of_card(parse_document(text, Path("card.yaml")))
        assert str(caught.value).startswith("card.yaml:3:3: ")

    def test_a_wrong_option_of_a_model_made_by_hand_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"anthropic:test-model: options\.api_version"):
            Anthropic(model(options={"api_version": "2024-01-01"}))
