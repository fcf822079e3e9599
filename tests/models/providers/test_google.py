"""What is Google's own; what every adapter owes is in test_conformance."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers.google import Google
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import (
    Completion,
    Message,
    SamplingParameters,
    TokenLogprob,
    ToolCall,
    Usage,
)
from tests.models.providers.wires.google import GeminiWire
from tests.support.loopback import Asked, Fault, LoopbackServer, json_reply

KEY = "AIza-secret-0123456789"
QUESTION = (Message("user", "What is the capital of France?"),)
UNASKED = SamplingParameters()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.delenv("GOOGLE_GEMINI_BASE_URL", raising=False)


def model(url: str | None = None, **fields: Any) -> ModelInfo:
    provider = {"name": "google", "base_url": url}
    return ModelInfo.model_validate(
        {"model_id": "google:gemini-test", "provider": provider, **fields}
    )


def request(
    messages: tuple[Message, ...] = QUESTION, parameters: SamplingParameters = UNASKED
) -> Request:
    return Request(model(), messages, parameters)


def ask(info: ModelInfo, asked: Request | None = None) -> Completion:
    async def main() -> Completion:
        provider = Google(info)
        question = asked or Request(info, QUESTION)
        try:
            return await provider.complete(Call.place(question, Strand(TrialContext()), "0", ""))
        finally:
            await provider.close()

    return asyncio.run(main())


def answer(*parts: Any, reason: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason}
    return {"candidates": [{**candidate, **fields.pop("candidate", {})}], **fields}


def answered(body: Any) -> Completion:
    with LoopbackServer([json_reply(body)]) as server:
        return ask(model(server.url))


def sent(messages: tuple[Message, ...], parameters: SamplingParameters = UNASKED) -> Asked:
    with LoopbackServer([json_reply(answer({"text": "ok"}))]) as server:
        ask(model(server.url), request(messages, parameters))
    return server.asked[0]


def failure(fault: Fault) -> ProviderError:
    with LoopbackServer([fault]) as server, pytest.raises(ProviderError) as caught:
        ask(model(server.url))
    assert server.count == 1
    return caught.value


class TestUsage:
    def test_what_was_thought_is_output_though_gemini_counts_it_apart(self) -> None:
        counts = {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 60,
            "toolUsePromptTokenCount": 5,
            "candidatesTokenCount": 10,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 145,
        }
        usage = answered(answer({"text": "ok"}, usageMetadata=counts)).usage
        assert usage == Usage(105, 40, 60, 30)
        assert usage.total_tokens == counts["totalTokenCount"]

    def test_audio_is_counted_by_itself(self) -> None:
        details = [{"modality": "TEXT", "tokenCount": 3}, {"modality": "AUDIO", "tokenCount": 7}]
        counts = {
            "promptTokenCount": 10,
            "candidatesTokenCount": 10,
            "promptTokensDetails": details,
            "candidatesTokensDetails": details,
        }
        usage = answered(answer({"text": "ok"}, usageMetadata=counts)).usage
        assert (usage.input_audio_tokens, usage.output_audio_tokens) == (7, 7)

    @pytest.mark.parametrize("counts", [None, {}, {"promptTokenCount": "seven"}, [1]])
    def test_counts_that_are_missing_or_unreadable_are_unknown(self, counts: Any) -> None:
        assert answered(answer({"text": "ok"}, usageMetadata=counts)).usage == Usage()


class TestFinishReasons:
    @pytest.mark.parametrize(
        "reason",
        ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"],
    )
    def test_a_filtered_answer_is_an_answer(self, reason: str) -> None:
        completion = answered({"candidates": [{"finishReason": reason}]})
        assert (completion.text, completion.finish_reason) == ("", "content_filter")

    @pytest.mark.parametrize("reason", ["SAFETY", "PROHIBITED_CONTENT", "OTHER"])
    def test_so_is_a_question_that_was_blocked(self, reason: str) -> None:
        counts = {"promptTokenCount": 8, "totalTokenCount": 8}
        completion = answered({"promptFeedback": {"blockReason": reason}, "usageMetadata": counts})
        assert completion == Completion("", Usage(8, 0), "content_filter")

    @pytest.mark.parametrize("reason", ["STOP", "OTHER", None])
    def test_nothing_without_a_reason_is_asked_for_again(self, reason: str | None) -> None:
        assert failure(json_reply(answer(reason=reason))).retryable

    def test_thoughts_stand_beside_the_answer(self) -> None:
        parts = ({"text": "Hm.", "thought": True}, {"text": "Par"}, {"text": "is."})
        completion = answered(answer(*parts))
        assert (completion.text, completion.thoughts) == ("Paris.", "Hm.")


class TestTools:
    def test_what_was_thought_before_a_call_goes_back_with_it(self) -> None:
        signature = base64.b64encode(b"\xfb\xff thought").decode()
        call = {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": signature}
        [wish] = answered(answer(call)).tool_calls
        messages = (
            *QUESTION,
            Message("assistant", "", tool_calls=(wish,)),
            Message("tool", "11", tool_call_id=wish.id),
        )
        turns = sent(messages).body["contents"]
        [part] = turns[1]["parts"]
        assert base64.urlsafe_b64decode(part["thoughtSignature"]) == b"\xfb\xff thought"
        assert turns[2]["parts"][0]["functionResponse"]["response"] == {"output": "11"}

    def test_calls_without_ids_get_some_that_the_server_never_sees(self) -> None:
        calls = [{"functionCall": {"name": name, "args": {}}} for name in ("f", "g")]
        wishes = answered(answer(*calls)).tool_calls
        assert len({wish.id for wish in wishes}) == 2
        messages = (
            *QUESTION,
            Message("assistant", "", tool_calls=wishes),
            *(Message("tool", wish.name, tool_call_id=wish.id) for wish in wishes),
        )
        turns = sent(messages).body["contents"]
        assert len(turns) == 3, "all results of one turn are in one turn"
        results = [part["functionResponse"] for part in turns[2]["parts"]]
        assert [(r["name"], r["response"]["output"]) for r in results] == [("f", "f"), ("g", "g")]
        assert not any("id" in r for r in results)

    def test_a_result_of_no_call_is_a_mistake(self) -> None:
        with pytest.raises(ConfigError, match="no tool call has the id 'x'"):
            sent((*QUESTION, Message("tool", "11", tool_call_id="x")))

    def test_arguments_that_are_no_object_cannot_be_sent_back(self) -> None:
        call = ToolCall("1", "f", "[1]")
        with pytest.raises(ConfigError, match="no JSON object"):
            sent((*QUESTION, Message("assistant", "", tool_calls=(call,))))


class TestLogprobs:
    def test_tokens_come_with_the_likeliest_others(self) -> None:
        result = {
            "chosenCandidates": [{"token": "Par", "logProbability": -0.5}, {"token": "is"}],
            "topCandidates": [
                {"candidates": [{"token": "Par", "logProbability": -0.5}, {"token": "x"}]}
            ],
        }
        body = answer({"text": "Paris"}, candidate={"logprobsResult": result})
        assert answered(body).logprobs == (
            TokenLogprob("Par", -0.5, (("Par", -0.5), ("x", 0.0))),
            TokenLogprob("is", 0.0),
        )

    @pytest.mark.parametrize(("asked", "top"), [(0, None), (3, 3)])
    def test_are_asked_for(self, asked: int, top: int | None) -> None:
        config = sent(QUESTION, SamplingParameters(top_logprobs=asked)).body["generationConfig"]
        assert (config["responseLogprobs"], config.get("logprobs")) == (True, top)


class TestLimits:
    @pytest.mark.parametrize(
        ("parameters", "problem"),
        [
            (SamplingParameters(temperature=2.5), "temperature: at most 2, found 2.5"),
            (SamplingParameters(stop=tuple("abcdef")), "stop: at most 5 texts, found 6"),
            (SamplingParameters(top_logprobs=21), "top_logprobs: at most 20, found 21"),
            (SamplingParameters(seed=2**31), "seed: at most 2147483647"),
            (SamplingParameters(reasoning_effort="low", thinking_tokens=9), "give one of them"),
        ],
    )
    def test_what_the_api_refuses_is_refused_before_any_call(
        self, parameters: SamplingParameters, problem: str
    ) -> None:
        [found] = Google.unsupported(request(parameters=parameters))
        assert problem in found

    def test_a_cards_effort_is_for_calls_that_say_nothing_of_thinking(self) -> None:
        with LoopbackServer([json_reply(answer({"text": "ok"}))]) as server:
            info = model(server.url, options={"reasoning_effort": "low"})
            ask(info)
            ask(info, request(parameters=SamplingParameters(thinking_tokens=0)))
        configs = [asked.body["generationConfig"]["thinkingConfig"] for asked in server.asked]
        assert [list(config.values()) for config in configs] == [["LOW"], [0]]


@pytest.mark.parametrize("transport", ["sdk", "direct"])
@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"stream": False}, "600"),
        ({"stream": True}, "3600"),
        ({"stream": True, "deadline_seconds": 7200}, "7200"),
        ({"stream": True, "deadline_seconds": 60}, "3600"),
    ],
)
def test_a_stream_may_take_the_server_longer_than_an_answer_in_one_piece(
    transport: str, fields: dict[str, Any], seconds: str
) -> None:
    with LoopbackServer([json_reply(GeminiWire().answer(Completion("Paris.")))]) as server:
        assert ask(model(server.url, transport=transport, **fields)).text == "Paris."
    assert server.asked[0].headers["x-server-timeout"] == seconds


class TestErrors:
    def error(self, *details: Any) -> Fault:
        body = {"error": {"code": 429, "message": "quota", "details": list(details)}}
        return Fault(429, body, raw=True)

    def test_how_long_to_wait_stands_in_the_body(self) -> None:
        detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
        error = failure(self.error(detail))
        assert (error.retryable, error.retry_after) == (True, 34.5)

    def test_a_quota_of_the_day_does_not_pass_by_waiting(self) -> None:
        violation = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
        kind = "type.googleapis.com/google.rpc.QuotaFailure"
        assert not failure(self.error({"@type": kind, "violations": [violation]})).retryable

    @pytest.mark.parametrize("details", [[None], ["x"], [{"@type": 7}]])
    def test_details_that_are_none_are_no_trouble(self, details: list[Any]) -> None:
        assert failure(self.error(*details)).status == 429


class TestSettings:
    @pytest.mark.parametrize("variable", ["GOOGLE_API_KEY", "GEMINI_API_KEY"])
    def test_the_key_may_be_in_either_variable(
        self, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.delenv("GOOGLE_API_KEY")
        with pytest.raises(ConfigError, match="set GOOGLE_API_KEY or GEMINI_API_KEY"):
            Google.check([model()])
        monkeypatch.setenv(variable, "other-key")
        Google.check([model()])
        with LoopbackServer([json_reply(answer({"text": "ok"}))]) as server:
            ask(model(server.url))
        assert server.asked[0].headers["x-goog-api-key"] == "other-key"

    def test_nothing_in_the_environment_makes_it_ask_vertex(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
        monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v1")
        path, _, query = sent(QUESTION).path.partition("?")
        assert path == "/v1beta/models/gemini-test:streamGenerateContent"
        assert query == "alt=sse"

    def test_the_environments_server_is_asked_and_is_part_of_the_context(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with LoopbackServer([json_reply(answer({"text": "ok"}))]) as server:
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
            assert ask(model()).text == "ok"
            assert Google(model()).context(TrialContext()) == server.url

    def test_a_wrong_option_is_said_with_its_place(self) -> None:
        document = parse_document("name: google:x\noptions: {effort: low}\n", Path("x.yaml"))
        with pytest.raises(ConfigError, match=r"x\.yaml:2:11"):
            models_of_card(document)
