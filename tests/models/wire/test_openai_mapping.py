"""What only OpenAI's two APIs have: the conformance tests ask what every adapter owes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.openai import OpenAI
from ember_bench.models.schemas import response_format
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import (
    Completion,
    Message,
    SamplingParameters,
    TokenLogprob,
    ToolCall,
    ToolDefinition,
    Usage,
)
from tests.models.providers.wires import KEY
from tests.support.loopback import Asked, LoopbackServer, json_reply

QUESTION = (Message("user", "What is the capital of France?"),)
APIS = ["chat", "responses"]
OPEN = ToolDefinition("search", "Looks it up.", {"type": "object", "properties": {"q": {}}})


class Verdict(BaseModel):
    correct: bool
    reason: str = ""


def ask(
    body: Any, api: str = "chat", *, draws: int = 1, **asked: Any
) -> tuple[list[Completion], list[Asked]]:
    """Ask a server that answers with `body`; return what came back, and what it was asked."""
    options = asked.pop("options", {})

    async def main(info: ModelInfo) -> list[Completion]:
        provider, strand = OpenAI(info), Strand(TrialContext())
        try:
            request = Request(info, **{"messages": QUESTION, **asked})
            calls = [Call.place(request, strand, "0", "") for _ in range(draws)]
            return [await provider.complete(call) for call in calls]
        finally:
            await provider.close()

    with LoopbackServer([json_reply(body)]) as server:
        info = ModelInfo.model_validate(
            {
                "model_id": "openai:test-model",
                "provider": {"name": "openai", "base_url": f"{server.url}/v1"},
                "api_key": KEY,
                "options": {"api": api, **options},
            }
        )
        return asyncio.run(main(info)), server.asked


def chat(content: str | None = "ok", reason: str = "stop", **fields: Any) -> dict[str, Any]:
    """Return a chat completion; `logprobs` and `usage` go where they belong."""
    choice = {"finish_reason": reason, "logprobs": fields.pop("logprobs", None)}
    usage = fields.pop("usage", None)
    return {"choices": [choice | {"message": {"content": content, **fields}}], "usage": usage}


def response(*output: Any, **fields: Any) -> dict[str, Any]:
    return {"object": "response", "status": "completed", "output": list(output), **fields}


def said(*parts: Any) -> dict[str, Any]:
    texts = [p if isinstance(p, dict) else {"type": "output_text", "text": p} for p in parts]
    return {"type": "message", "content": texts}


def answer_of(api: str, logprobs: list[Any] | None = None) -> dict[str, Any]:
    if api == "chat":
        return chat("Paris", logprobs={"content": logprobs} if logprobs is not None else None)
    return response(said({"type": "output_text", "text": "Paris", "logprobs": logprobs}))


def token(text: str, logprob: Any, *top: tuple[str, Any]) -> dict[str, Any]:
    others = [{"token": t, "logprob": value} for t, value in top]
    return {"token": text, "logprob": logprob, "top_logprobs": others}


class TestRequest:
    def test_a_closed_schema_is_strict_and_so_are_a_tools_arguments(self) -> None:
        closed = ToolDefinition("judge", "Judges.", response_format(Verdict).json_schema)
        (_,), (asked,) = ask(chat(), response_format=response_format(Verdict), tools=(closed, OPEN))
        written = asked.body["response_format"]["json_schema"]
        assert (written["name"], written["strict"]) == ("Verdict", True)
        assert [t["function"].get("strict") for t in asked.body["tools"]] == [True, None]

    def test_the_responses_api_is_told_that_a_schema_is_not_strict(self) -> None:
        # It would take it for strict if nothing were said, and refuse it.
        (_,), (asked,) = ask(response(said("ok")), "responses", tools=(OPEN,))
        assert asked.body["tools"][0]["strict"] is False

    @pytest.mark.parametrize(
        ("api", "top", "sent"),
        [
            ("chat", 0, {"logprobs": True}),
            ("chat", 5, {"logprobs": True, "top_logprobs": 5}),
            ("responses", 0, {"include": ["message.output_text.logprobs"]}),
            ("responses", 5, {"include": ["message.output_text.logprobs"], "top_logprobs": 5}),
        ],
    )
    def test_log_probabilities_are_asked_for(
        self, api: str, top: int, sent: dict[str, Any]
    ) -> None:
        (_,), (asked,) = ask(answer_of(api), api, parameters=SamplingParameters(top_logprobs=top))
        known = ("model", "messages", "input", "store", "stream", "stream_options")
        assert {k: v for k, v in asked.body.items() if k not in known} == sent

    def test_what_was_reasoned_before_a_tool_is_asked_for_and_given_back(self) -> None:
        thought = {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "encrypted_content": "c2VjcmV0",
        }
        kept_by_the_server = {"type": "reasoning", "id": "rs_2", "summary": []}
        call = {"type": "function_call", "call_id": "a", "name": "search", "arguments": "{}"}
        reasons = {"parameters": SamplingParameters(reasoning_effort="low"), "tools": (OPEN,)}
        output = response(thought, said("I search."), call, kept_by_the_server)
        (called,), (asked,) = ask(output, "responses", **reasons)
        assert asked.body["include"] == ["reasoning.encrypted_content"]
        (tool,) = called.tool_calls
        messages = (
            *QUESTION,
            Message("assistant", called.text, tool_calls=(tool,)),
            Message("tool", "found", tool_call_id=tool.id),
        )
        _, (asked,) = ask(response(said("ok")), "responses", messages=messages, **reasons)
        assert asked.body["input"][1:] == [
            thought,
            {"role": "assistant", "content": "I search."},
            call,
            {"type": "function_call_output", "call_id": "a", "output": "found"},
        ]

    @pytest.mark.parametrize("parameters", [{"reasoning_effort": "low"}, {}])
    def test_reasoning_is_not_asked_for_without_tools_or_of_who_may_not_reason(
        self, parameters: dict[str, Any]
    ) -> None:
        tools = () if parameters else (OPEN,)
        asked = {"parameters": SamplingParameters(**parameters), "tools": tools}
        _, (heard,) = ask(response(said("ok")), "responses", **asked)
        assert "include" not in heard.body

    @pytest.mark.parametrize("api", APIS)
    def test_a_calls_reasoning_effort_comes_before_the_cards(self, api: str) -> None:
        options = {"reasoning_effort": "low"}
        own = SamplingParameters(reasoning_effort="high")
        bodies = [
            ask(answer_of(api), api, options=options, **more)[1][0].body
            for more in ({}, {"parameters": own})
        ]
        efforts = [b.get("reasoning_effort") or b["reasoning"]["effort"] for b in bodies]
        assert efforts == ["low", "high"]

    def test_each_draw_of_a_seeded_model_has_a_seed_of_its_own(self) -> None:
        _, asked = ask(chat(), draws=3, parameters=SamplingParameters(seed=7))
        seeds = [a.body["seed"] for a in asked]
        assert seeds[0] == 7
        assert len(set(seeds)) == 3


class TestAnswer:
    @pytest.mark.parametrize("api", APIS)
    def test_log_probabilities_come_with_those_of_the_likeliest_others(self, api: str) -> None:
        given = [token("Par", -0.1, ("Par", -0.1), ("Lon", -2.5)), token("is", 0)]
        (completion,), _ = ask(answer_of(api, given), api)
        assert completion.logprobs == (
            TokenLogprob("Par", -0.1, (("Par", -0.1), ("Lon", -2.5))),
            TokenLogprob("is", 0.0),
        )

    @pytest.mark.parametrize("api", APIS)
    def test_log_probabilities_that_cannot_be_read_lose_no_answer(self, api: str) -> None:
        for given in ([{}], [None], [token("Paris", None)], [token("Paris", float("nan"))]):
            (completion,), _ = ask(answer_of(api, given), api)
            assert (completion.text, completion.logprobs) == ("Paris", ())

    def test_minus_infinity_is_what_openai_writes_for_it(self) -> None:
        (completion,), _ = ask(answer_of("chat", [token("Paris", float("-inf"))]))
        assert completion.logprobs == (TokenLogprob("Paris", -9999.0),)

    @pytest.mark.parametrize("reason", ["tool_calls", "stop", "function_call"])
    def test_tool_calls_without_text_are_an_answer_whatever_the_server_calls_it(
        self, reason: str
    ) -> None:
        calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        (completion,), _ = ask(chat(None, reason, tool_calls=calls))
        assert completion.tool_calls == (ToolCall("c1", "f", "{}"),)
        assert (completion.text, completion.finish_reason) == ("", "tool_calls")

    def test_tool_calls_that_were_cut_off_say_so(self) -> None:
        calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}]
        (completion,), _ = ask(chat(None, "length", tool_calls=calls))
        assert completion.finish_reason == "length"

    @pytest.mark.parametrize(
        ("written", "expected"),
        [({"a": 1}, '{"a": 1}'), (None, "{}"), ("", "{}"), ("not json", "not json")],
    )
    def test_arguments_are_kept_as_the_model_wrote_them(self, written: Any, expected: str) -> None:
        (completion,), _ = ask(
            chat(None, "tool_calls", tool_calls=[{"function": {"name": "f", "arguments": written}}])
        )
        assert completion.tool_calls == (ToolCall("", "f", expected),)

    @pytest.mark.parametrize("call", [{}, None, {"function": None}, {"function": {"name": 3}}])
    def test_a_tool_call_of_no_tool_is_malformed(self, call: Any) -> None:
        with pytest.raises(ProviderError, match="tool call that cannot be read") as caught:
            ask(chat("text", tool_calls=[call]))
        assert caught.value.retryable

    def test_all_tokens_are_counted(self) -> None:
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": 40,
            "prompt_tokens_details": {
                "cached_tokens": 64,
                "cache_write_tokens": 30,
                "audio_tokens": 5,
            },
            "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 3},
        }
        (completion,), _ = ask(chat(usage=usage))
        assert completion.usage == Usage(100, 40, 64, 30, 30, 5, 3)

    def test_the_responses_api_counts_in_other_words(self) -> None:
        usage = {
            "input_tokens": 100,
            "output_tokens": 40,
            "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 99},
            "output_tokens_details": {"reasoning_tokens": 30},
        }
        (completion,), _ = ask(response(said("ok"), usage=usage), "responses")
        assert completion.usage == Usage(100, 40, 64, 30, 36)

    def test_a_response_is_all_its_texts_and_none_of_its_reasoning(self) -> None:
        thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
        (completion,), _ = ask(response(thought, said("Par", "is"), said(".")), "responses")
        assert (completion.text, completion.finish_reason) == ("Paris.", "stop")

    @pytest.mark.parametrize(
        ("details", "reason"),
        [
            ({"reason": "max_output_tokens"}, "length"),
            ({"reason": "content_filter"}, "content_filter"),
            ({"reason": "steering"}, "steering"),
            (None, "length"),
        ],
    )
    def test_an_incomplete_response_says_why(self, details: Any, reason: str) -> None:
        body = response(said("Par"), status="incomplete", incomplete_details=details)
        (completion,), _ = ask(body, "responses")
        assert (completion.text, completion.finish_reason) == ("Par", reason)

    @pytest.mark.parametrize(
        ("code", "retryable"),
        [("server_error", True), ("rate_limit_exceeded", True), ("invalid_prompt", False)],
    )
    def test_a_response_that_failed_is_an_error(self, code: str, retryable: bool) -> None:
        body = response(status="failed", error={"code": code, "message": f"No: {KEY}"})
        with pytest.raises(ProviderError, match=r"failed: No: \*\*\*") as caught:
            ask(body, "responses")
        assert caught.value.retryable is retryable


class TestUnsupported:
    @staticmethod
    def problems(parameters: SamplingParameters, **fields: Any) -> list[str]:
        info = ModelInfo(model_id="openai:m", **fields)
        return OpenAI.unsupported(Request(info, QUESTION, parameters))

    def test_says_what_to_do_instead(self) -> None:
        asked = SamplingParameters(seed=1, thinking_tokens=100)
        assert self.problems(asked) == [
            "openai:m does not take thinking_tokens: use reasoning_effort"
        ]
        assert self.problems(asked, options={"api": "responses"}) == [
            "openai:m does not take seed: use `options: {api: chat}`",
            "openai:m does not take thinking_tokens: use reasoning_effort",
        ]

    def test_what_a_card_says_comes_on_top(self) -> None:
        reasoning = ("temperature", "stop", "images")
        asked = SamplingParameters(temperature=0.0, max_tokens=5, stop=("x",))
        assert self.problems(asked, unsupported_parameters=reasoning) == [
            "openai:m does not take temperature",
            "openai:m does not take stop",
        ]


class TestAzure:
    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
            monkeypatch.delenv(name, raising=False)

    @staticmethod
    def model(**fields: Any) -> ModelInfo:
        options = {"azure": {"api_version": "2024-10-21"}}
        return ModelInfo(model_id="openai:deployed", options=options, **fields)

    def test_it_has_a_key_and_an_address_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-for-openai")
        with pytest.raises(ConfigError, match="AZURE_OPENAI_ENDPOINT"):
            OpenAI.check([self.model()])
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com")
        with pytest.raises(ConfigError, match="set AZURE_OPENAI_API_KEY in the environment"):
            OpenAI.check([self.model()])
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
        OpenAI.check([self.model()])
        context = OpenAI(self.model()).context(TrialContext())
        assert context == "https://mine.openai.azure.com"

    def test_its_responses_are_not_below_the_deployment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A token left in the environment is not what was chosen for this model.
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "left-over")

        async def main(provider: OpenAI) -> Completion:
            request = Request(provider.model, QUESTION)
            try:
                return await provider.complete(Call.place(request, Strand(TrialContext()), "0", ""))
            finally:
                await provider.close()

        with LoopbackServer([json_reply(response(said("ok")))]) as server:
            info = self.model(
                provider={"name": "openai", "base_url": server.url}, api_key="azure-key"
            )
            options = {**info.options, "api": "responses"}
            provider = OpenAI(info.model_copy(update={"options": options}))
            assert asyncio.run(main(provider)).text == "ok"
        [asked] = server.asked
        assert asked.path == "/openai/responses?api-version=2024-10-21"
        assert asked.headers["api-key"] == "azure-key"
        assert "authorization" not in asked.headers
