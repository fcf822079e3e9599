from __future__ import annotations

import asyncio
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo, ProviderInfo
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers.openai import OpenAI
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import (
    Completion,
    Message,
    ResponseFormat,
    SamplingParameters,
    Usage,
)
from ember_bench.models.wire.failures import retry_after
from ember_bench.registry import Cards, builtin_root
from tests.support.openai_server import Answer, Asked, Fault, OpenAIServer

KEY = "sk-secret-0123456789"
UNASKED = SamplingParameters()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def model(server: OpenAIServer | None = None, **fields: object) -> ModelInfo:
    provider = ProviderInfo(name="openai", base_url=server.base_url if server else None)
    return ModelInfo.model_validate(
        {"model_id": "openai:test-model", "provider": provider.model_dump(), **fields}
    )


def ask(
    info: ModelInfo,
    messages: tuple[Message, ...] = (Message("user", "What is the capital of France?"),),
    parameters: SamplingParameters = UNASKED,
    response_format: ResponseFormat | None = None,
) -> Completion:
    async def main() -> Completion:
        provider = OpenAI(info)
        request = Request(info, messages, parameters, response_format)
        try:
            return await provider.complete(Call.place(request, Strand(TrialContext()), "0", ""))
        finally:
            await provider.close()

    return asyncio.run(main())


def failure(*script: Fault | Answer) -> ProviderError:
    with OpenAIServer(script) as server, pytest.raises(ProviderError) as caught:
        ask(model(server))
    assert server.count == 1, "the SDK retried by itself"
    return caught.value


class TestRequest:
    def test_sends_what_was_asked_and_nothing_else(self) -> None:
        with OpenAIServer() as server:
            ask(
                model(server),
                (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "?")),
                SamplingParameters(0.7, 0.9, 64, ("\n\n", "END"), 11),
            )
        assert server.asked[0].path == "/v1/chat/completions"
        assert server.asked[0].body == {
            "model": "test-model",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "?"},
            ],
            "temperature": 0.7,
            "top_p": 0.9,
            "max_tokens": 64,
            "stop": ["\n\n", "END"],
            "seed": 11,
        }

    def test_leaves_to_the_model_what_was_not_asked(self) -> None:
        with OpenAIServer() as server:
            ask(model(server, stream=False))
        assert set(server.asked[0].body) == {"model", "messages"}

    def test_zero_is_not_the_same_as_not_asked(self) -> None:
        with OpenAIServer() as server:
            ask(model(server), parameters=SamplingParameters(temperature=0.0, seed=0))
        assert (server.asked[0].body["temperature"], server.asked[0].body["seed"]) == (0, 0)

    def test_reasoning_models_take_max_completion_tokens(self) -> None:
        options = {"max_tokens_field": "max_completion_tokens", "reasoning_effort": "low"}
        with OpenAIServer() as server:
            ask(model(server, options=options), parameters=SamplingParameters(max_tokens=9))
        body = server.asked[0].body
        assert (body["max_completion_tokens"], body["reasoning_effort"]) == (9, "low")
        assert "max_tokens" not in body

    @pytest.mark.parametrize(
        ("schema", "strict"),
        [
            ({"type": "object", "properties": {}, "additionalProperties": False}, True),
            (
                {
                    "type": "object",
                    "properties": {"a": {"type": "integer"}},
                    "required": ["a"],
                    "additionalProperties": False,
                },
                True,
            ),
            ({"type": "object", "properties": {"a": {"type": "integer"}}}, False),
            (
                {
                    "type": "object",
                    "properties": {"a": {"type": "object", "properties": {"b": {}}}},
                    "required": ["a"],
                    "additionalProperties": False,
                },
                False,
            ),
        ],
    )
    def test_a_schema_is_strict_where_openai_allows_it(
        self, schema: dict[str, object], strict: bool
    ) -> None:
        with OpenAIServer() as server:
            ask(model(server), response_format=ResponseFormat("Reply", schema))
        assert server.asked[0].body["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "Reply", "schema": schema, "strict": strict},
        }

    def test_the_model_is_asked_by_the_name_its_server_knows(self) -> None:
        with OpenAIServer() as server:
            ask(model(server, model_name="meta-llama/Llama-3.1-8B"))
        assert server.asked[0].body["model"] == "meta-llama/Llama-3.1-8B"


class TestAnswer:
    def test_text_tokens_and_finish_reason(self) -> None:
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": 40,
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 30},
        }
        with OpenAIServer([Answer("Paris.", "length", usage)]) as server:
            completion = ask(model(server))
        assert completion == Completion("Paris.", Usage(100, 40, 64, 30), "length")

    @pytest.mark.parametrize(
        ("usage", "expected"),
        [
            (None, Usage()),
            ({"prompt_tokens": None, "completion_tokens": 3, "total_tokens": None}, Usage(None, 3)),
            ({"prompt_tokens_details": None, "completion_tokens_details": {}}, Usage(6, 1)),
            ({"prompt_tokens_details": {"cached_tokens": 50}}, Usage(6, 1, 6)),
            ({"prompt_tokens": 10**30, "completion_tokens": -3}, Usage()),
        ],
    )
    def test_servers_that_count_less_are_understood(
        self, usage: dict[str, object] | None, expected: Usage
    ) -> None:
        with OpenAIServer([Answer("ok", usage=usage)]) as server:
            assert ask(model(server)).usage == expected

    @pytest.mark.parametrize("reason", ["length", "content_filter"])
    def test_null_is_empty_where_the_answer_was_cut_off(self, reason: str) -> None:
        with OpenAIServer([Answer(None, reason)]) as server:
            completion = ask(model(server))
        assert (completion.text, completion.finish_reason) == ("", reason)

    def test_a_refusal_is_an_answer(self) -> None:
        with OpenAIServer([Answer(None, message={"refusal": "I cannot."})]) as server:
            completion = ask(model(server))
        assert (completion.text, completion.finish_reason) == ("I cannot.", "refusal")

    def test_any_unicode_comes_through(self) -> None:
        text = 'é 漢字 🜚 \u2028 \x00 "\\'
        with OpenAIServer(lambda asked: Answer(asked.prompt)) as server:
            assert ask(model(server), (Message("user", text),)).text == text


class TestFaults:
    @pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
    def test_what_may_pass_is_retryable(self, status: int) -> None:
        error = failure(Fault(status, "busy"))
        assert (error.retryable, error.status) == (True, status)
        assert str(error) == f"openai:test-model: HTTP {status}: busy"

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
    def test_what_cannot_pass_is_not(self, status: int) -> None:
        error = failure(Fault(status, "no"))
        assert (error.retryable, error.status) == (False, status)

    def test_an_exhausted_budget_does_not_pass_by_waiting(self) -> None:
        assert not failure(Fault(429, {"message": "q", "code": "insufficient_quota"})).retryable

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(0),
            Fault(200, "{" + "x" * 80, raw=True, cut=40),
            Fault(200, '{"choices": [{"mess', raw=True),
            Fault(200, "", raw=True),
            Fault(200, b"\xff\xfe{}", raw=True),
            Fault(200, "<html>proxy</html>", {"content-type": "text/html"}, raw=True),
            Fault(200, [], raw=True),
            Fault(200, None, raw=True),
            Fault(200, {"error": {"message": "upstream failed"}}, raw=True),
            Fault(200, {"choices": []}, raw=True),
            Fault(200, {"choices": None}, raw=True),
            Fault(200, {"choices": [{}]}, raw=True),
            Fault(200, {"choices": [None]}, raw=True),
            Fault(200, {"choices": [{"message": {"content": 7}}]}, raw=True),
            Answer(None, "stop"),
            Answer("", "stop"),
            Answer(None, None),
            Fault(500, b"\x00\x01 not text \xff", raw=True),
            Fault(200, b"not gzip", {"content-encoding": "gzip"}, raw=True),
        ],
        ids=str,
    )
    def test_a_broken_answer_is_retryable(self, fault: Fault | Answer) -> None:
        assert failure(fault).retryable

    def test_nobody_there_is_retryable(self) -> None:
        with OpenAIServer() as server:
            pass
        with pytest.raises(ProviderError, match="connection failed") as caught:
            ask(model(server))
        assert caught.value.retryable

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, None),
            ({"retry-after": "7"}, 7.0),
            ({"Retry-After": "0.25"}, 0.25),
            ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
            ({"retry-after": "-3"}, 0.0),
            ({"retry-after": "soon"}, None),
            ({"retry-after": "inf"}, None),
        ],
    )
    def test_retry_after_is_carried(self, headers: dict[str, str], seconds: float | None) -> None:
        assert failure(Fault(429, headers=headers)).retry_after == seconds

    def test_retry_after_may_be_a_date(self) -> None:
        headers = {"retry-after": formatdate(1_750_000_030, usegmt=True)}
        assert retry_after(headers, now=1_750_000_000.0) == 30.0

    @pytest.mark.parametrize("wrong_by", [-86_400.0, 86_400.0])
    def test_the_date_is_of_the_servers_clock_and_not_of_ours(self, wrong_by: float) -> None:
        now = 1_750_000_000
        headers = {
            "date": formatdate(now, usegmt=True),
            "retry-after": formatdate(now + 30, usegmt=True),
        }
        assert retry_after(headers, now=now + wrong_by) == 30.0

    @given(st.text(), st.text())
    def test_no_retry_after_is_ever_an_error(self, value: str, milliseconds: str) -> None:
        seconds = retry_after({"retry-after": value, "retry-after-ms": milliseconds}, now=0.0)
        assert seconds is None or 0 <= seconds < float("inf")


class TestKeys:
    def test_the_models_key_comes_before_the_environments(self) -> None:
        with OpenAIServer() as server:
            ask(model(server))
            ask(model(server, api_key="sk-own"))
            provider = {
                "name": "openai",
                "base_url": server.base_url,
                "default_api_key": SecretStr("sk-providers"),
            }
            ask(model(provider=provider))
        sent = [asked.headers["authorization"] for asked in server.asked]
        assert sent == [f"Bearer {KEY}", "Bearer sk-own", "Bearer sk-providers"]

    def test_a_key_read_from_a_file_with_its_newline_works(self) -> None:
        with OpenAIServer() as server:
            ask(model(server, api_key="sk-own\n"))
        assert server.asked[0].headers["authorization"] == "Bearer sk-own"

    def test_a_local_server_needs_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_API_KEY")
        with OpenAIServer() as server:
            assert ask(model(server)).text == "ok"

    @pytest.mark.parametrize("value", [None, "", "  "])
    def test_a_missing_key_is_said_before_any_call(
        self, monkeypatch: pytest.MonkeyPatch, value: str | None
    ) -> None:
        if value is None:
            monkeypatch.delenv("OPENAI_API_KEY")
        else:
            monkeypatch.setenv("OPENAI_API_KEY", value)
        with pytest.raises(ConfigError, match="set OPENAI_API_KEY"):
            OpenAI.check([model()])
        assert OpenAI(model())  # answers that are stored can be had without a key
        with pytest.raises(ConfigError, match="openai:test-model") as caught:
            OpenAI.check([model(), model(), ModelInfo(model_id="simulated:x")])
        assert len(caught.value.problems) == 1

    def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(self) -> None:
        with pytest.raises(ConfigError) as caught:
            OpenAI.check([model(api_key="sk-\nsecret")])
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize(
        "fault",
        [Fault(401, f"Incorrect API key: {KEY}"), Fault(200, {"choices": [], "k": KEY}, raw=True)],
    )
    def test_no_error_shows_it(self, fault: Fault) -> None:
        error = failure(fault)
        assert KEY not in str(error)
        assert "***" in str(error)
        assert error.__cause__ is None


class TestServers:
    def test_the_environments_server_is_asked_and_is_part_of_the_context(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert OpenAI(model()).context(TrialContext()) == ""
        with OpenAIServer() as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            assert ask(model()).text == "ok"
            assert OpenAI(model()).context(TrialContext()) == server.base_url
            assert OpenAI(model(server)).context(TrialContext()) == ""

    @pytest.mark.parametrize("url", ["localhost:8000/v1", "http://", "http://a:b/", "ftp://a/"])
    def test_a_base_url_that_is_none_is_refused_before_any_call(self, url: str) -> None:
        with pytest.raises(ConfigError, match="base_url"):
            OpenAI(model(provider={"name": "openai", "base_url": url}))

    def test_as_many_connections_as_may_be_in_flight(self) -> None:
        def slow(asked: Asked) -> Answer:
            return Answer(asked.prompt, delay=0.3)

        async def main(info: ModelInfo) -> list[Completion]:
            provider, strand = OpenAI(info), Strand(TrialContext())
            try:
                return await asyncio.gather(
                    *(
                        provider.complete(
                            Call.place(Request(info, (Message("user", str(i)),)), strand, "0", "")
                        )
                        for i in range(60)
                    )
                )
            finally:
                await provider.close()

        with OpenAIServer(slow) as server:
            completions = asyncio.run(main(model(server, max_concurrency=30)))
        assert [c.text for c in completions] == [str(i) for i in range(60)]
        assert server.most_in_flight == 30
        assert server.connections == 30


class TestCards:
    def test_a_wrong_option_is_placed(self) -> None:
        text = "name: openai:x\noptions:\n  max_token_field: max_tokens\n"
        with pytest.raises(ConfigError, match="did you mean 'max_tokens_field'") as caught:
            models_of_card(parse_document(text, Path("card.yaml")))
        assert str(caught.value).startswith("card.yaml:3:3: ")

    def test_a_wrong_option_of_a_model_made_by_hand_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"openai:test-model: options\.x"):
            OpenAI(model(options={"x": 1}))

    def test_every_built_in_price_has_a_source_and_a_date(self) -> None:
        cards = Cards([builtin_root()]).all("models")
        models = [
            model
            for name, card in cards.items()
            if name.startswith("openai:")
            for model in models_of_card(card.document)
        ]
        assert {"openai:gpt-4o", "openai:gpt-4o-mini"} <= {m.model_id for m in models}
        for info in models:
            assert info.cost is not None
            assert info.price_source
            assert info.price_date
            assert info.context_tokens
            OpenAI(info)
