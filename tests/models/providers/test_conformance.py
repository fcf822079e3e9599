"""What every adapter owes, asked of all of them in the same words.

The server's side is a `Wire` (tests/models/providers/wires): it reads requests back into our own
types and writes our own `Completion` as the provider would.
"""

from __future__ import annotations

import base64
import gzip
import json
import traceback
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Request
from ember_bench.models.providers.base import provider_class
from ember_bench.models.schemas import response_format
from ember_bench.models.types import (
    Completion,
    Image,
    Message,
    ResponseFormat,
    SamplingParameters,
    ToolCall,
    Usage,
)
from ember_bench.models.wire import adapting
from tests.models.providers.wires import KEY, Adapter, Heard
from tests.models.providers.wires.adapters import ADAPTERS, as_parameters
from tests.models.providers.wires.asking import (
    PASSING,
    QUESTION,
    REFUSED,
    WEATHER,
    ask,
    ask_all,
    normal,
)
from tests.support.loopback import RESET, Asked, Fault, LoopbackServer, json_reply

PNG = Image(
    "image/png",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg==",
)
REPLY = ResponseFormat(
    "Reply",
    {
        "type": "object",
        "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}},
        "required": ["answer", "sure"],
        "additionalProperties": False,
    },
)
CHAIN = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "next": {"$ref": "#"}},
    "required": ["answer"],
    "additionalProperties": False,
}


class Tree(BaseModel):
    answer: str
    children: list[Tree]


PARAMETERS = [
    SamplingParameters(temperature=0.7),
    SamplingParameters(temperature=0.0),
    SamplingParameters(top_p=0.9),
    SamplingParameters(max_tokens=64),
    SamplingParameters(stop=("\n\n", "END")),
    SamplingParameters(seed=11),
    SamplingParameters(seed=0),
    SamplingParameters(reasoning_effort="low"),
    SamplingParameters(max_tokens=8000, thinking_tokens=2048),
    SamplingParameters(temperature=0.2, max_tokens=9, stop=("x",), seed=3),
]


def label(struct: msgspec.Struct) -> str:
    """Return what differs from the defaults, for the id of a test."""
    values = msgspec.structs.asdict(struct).values()
    fields = zip(msgspec.structs.fields(type(struct)), values, strict=True)
    return " ".join(f"{field.name}={value}" for field, value in fields if value != field.default)


def hear(adapter: Adapter, messages: tuple[Message, ...] = QUESTION, **asked: Any) -> Heard:
    """Return what the server understood of a request."""
    with LoopbackServer([adapter.reply(Completion("ok"))]) as server:
        assert ask(adapter, server.url, messages, **asked).text == "ok"
    [heard] = map(adapter.wire.heard, server.asked)
    return heard


def answered(adapter: Adapter, completion: Completion) -> Completion:
    """Return what the adapter makes of an answer, but for when it began."""
    with LoopbackServer([adapter.reply(completion)]) as server:
        return timeless(ask(adapter, server.url))


def timeless(completion: Completion) -> Completion:
    """Return an answer without the time of its first token."""
    return msgspec.structs.replace(completion, first_token_seconds=None)


def failure(adapter: Adapter, fault: Fault) -> ProviderError:
    with LoopbackServer([fault]) as server, pytest.raises(ProviderError) as caught:
        ask(adapter, server.url)
    assert server.count == 1, "the SDK asked again by itself"
    assert caught.value.__cause__ is None, "an SDK's error may hold the key"
    return caught.value


def over(defaults: SamplingParameters, asked: SamplingParameters) -> SamplingParameters:
    """Return `asked`, and `defaults` where nothing was asked."""
    fields = msgspec.structs.asdict(defaults)
    fields |= {k: v for k, v in msgspec.structs.asdict(asked).items() if v not in (None, ())}
    return SamplingParameters(**fields)


def asked_for(parameters: SamplingParameters) -> set[str]:
    return {k for k, v in msgspec.structs.asdict(parameters).items() if v not in (None, ())}


class TestRequest:
    def test_a_question_and_nothing_else(self, adapter: Adapter) -> None:
        heard = hear(adapter)
        assert heard == Heard(adapter.wire_model, QUESTION, adapter.defaults)

    def test_a_system_prompt_and_a_conversation(self, adapter: Adapter) -> None:
        messages = (
            Message("system", "Be brief."),
            Message("user", "Hi"),
            Message("assistant", "Hello?"),
            Message("user", 'é 漢字 🜚 \u2028 "\\'),
        )
        assert hear(adapter, messages).messages == messages

    @pytest.mark.parametrize("parameters", PARAMETERS, ids=label)
    def test_parameters_arrive_as_given_or_are_refused(
        self, adapter: Adapter, parameters: SamplingParameters
    ) -> None:
        info = adapter.info("http://127.0.0.1:9")
        problems = provider_class(adapter.provider).unsupported(Request(info, QUESTION, parameters))
        if refused := asked_for(parameters) & adapter.lacks:
            assert all(any(name in problem for problem in problems) for name in refused)
            assert len(problems) == len(refused)
        else:
            assert problems == []
            heard = hear(adapter, parameters=parameters)
            assert heard.parameters == over(adapter.defaults, parameters)

    def test_a_schema_for_the_answer(self, adapter: Adapter) -> None:
        assert hear(adapter, response_format=REPLY).schema == REPLY.json_schema

    def test_a_schema_within_itself_is_sent_or_refused_before_the_call(
        self, adapter: Adapter
    ) -> None:
        tree = ResponseFormat("Tree", response_format(Tree).json_schema)
        optional = ResponseFormat("Chain", CHAIN)
        takes = {"openai": (tree, optional), "litellm": (tree, optional), "google": (optional,)}
        for wanted in (tree, optional):
            if wanted in takes.get(adapter.provider, ()):
                assert hear(adapter, response_format=wanted).schema == wanted.json_schema
                continue
            with LoopbackServer([]) as server:
                with pytest.raises(ConfigError, match="refers to itself"):
                    ask(adapter, server.url, response_format=wanted)
                assert server.count == 0

    def test_tools(self, adapter: Adapter) -> None:
        assert hear(adapter, tools=(WEATHER,)).tools == (WEATHER,)

    def test_what_tools_were_called_and_gave(self, adapter: Adapter) -> None:
        paris = ToolCall("call_1", "get_weather", '{"city": "Paris"}')
        rome = ToolCall("call_2", "get_weather", '{"city": "Rome"}')
        messages = (
            Message("user", "Where is it warmer?"),
            Message("assistant", "Let me look.", tool_calls=(paris, rome)),
            Message("tool", "11", tool_call_id="call_1"),
            Message("tool", "19", tool_call_id="call_2"),
        )
        heard = hear(adapter, messages, tools=(WEATHER,)).messages
        assert normal(heard[1].tool_calls, adapter) == normal((paris, rome), adapter)
        without = [msgspec.structs.replace(m, tool_calls=()) for m in messages]
        assert [msgspec.structs.replace(m, tool_calls=()) for m in heard] == without

    def test_images(self, adapter: Adapter) -> None:
        assert base64.b64decode(PNG.data, validate=True)[:4] == b"\x89PNG"
        messages = (Message("user", "Which of the two is red?", images=(PNG, PNG)),)
        assert hear(adapter, messages).messages == messages

    def test_the_model_is_asked_by_the_name_its_server_knows(self, adapter: Adapter) -> None:
        # What stands before the name says who is to be asked, where one SDK asks many.
        name = adapter.model.removesuffix(adapter.wire_model) + "some-other-name"
        with LoopbackServer([adapter.reply(Completion("ok"))]) as server:
            info = adapter.info(server.url, model_name=name)
            ask_all(info, [Request(info, QUESTION)])
        assert adapter.wire.heard(server.asked[0]).model == "some-other-name"


class TestAnswer:
    @pytest.mark.parametrize(
        "completion",
        [
            Completion("Paris.", Usage(7, 2)),
            Completion('é 漢字 🜚 \u2028 "\\', Usage(7, 9)),
            Completion("Par", Usage(7, 1), "length"),
            Completion("Paris.", Usage(100, 40, 64)),
            Completion("Paris.", Usage(100, 40, 64, 30)),
            Completion("Paris."),
            Completion("Paris.", Usage(7, 9), thoughts="The capital of France."),
            Completion("I cannot.", Usage(7, 3), "refusal"),
        ],
        ids=label,
    )
    def test_comes_back_as_it_was_given(self, adapter: Adapter, completion: Completion) -> None:
        if completion.finish_reason == "refusal":
            completion = msgspec.structs.replace(completion, finish_reason=adapter.refusal)
        if not adapter.gives_thoughts:
            completion = msgspec.structs.replace(completion, thoughts="")
        assert answered(adapter, completion) == completion

    @pytest.mark.parametrize("text", ["", "Let me look."])
    def test_tool_calls(self, adapter: Adapter, text: str) -> None:
        calls = (
            ToolCall("call_1", "get_weather", '{"city": "Paris"}'),
            ToolCall("call_2", "get_time", "{}"),
        )
        given = Completion(text, Usage(7, 9), "tool_calls", tool_calls=calls)
        completion = answered(adapter, given)
        assert normal(completion.tool_calls, adapter) == normal(calls, adapter)
        assert (completion.text, completion.finish_reason) == (text, "tool_calls")

    def test_an_answer_that_was_cut_off_before_its_first_word(self, adapter: Adapter) -> None:
        cut = Completion("", Usage(7, 64, 0, 64), "length")
        assert answered(adapter, cut) == cut


class TestFaults:
    @pytest.mark.parametrize("status", PASSING)
    def test_what_may_pass_is_retryable(self, adapter: Adapter, status: int) -> None:
        body = adapter.wire.error(status, "busy now")
        error = failure(adapter, Fault(status, body, raw=True))
        assert (error.retryable, error.status) == (True, status)
        assert f"HTTP {status}: busy now" in str(error)

    @pytest.mark.parametrize("status", REFUSED)
    def test_what_cannot_pass_is_not(self, adapter: Adapter, status: int) -> None:
        body = adapter.wire.error(status, "no such luck")
        error = failure(adapter, Fault(status, body, raw=True))
        assert (error.retryable, error.status) == (False, status)
        assert f"HTTP {status}: no such luck" in str(error)

    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_is_carried(self, adapter: Adapter, status: int) -> None:
        body = adapter.wire.error(status, "slow down")
        fault = Fault(status, body, {"retry-after": "7"}, raw=True)
        assert failure(adapter, fault).retry_after == 7.0

    def test_nobody_there_is_retryable(self, adapter: Adapter) -> None:
        with LoopbackServer([Fault()]) as server:
            pass
        with pytest.raises(ProviderError, match="connection failed") as caught:
            ask(adapter, server.url)
        assert caught.value.retryable

    def test_a_name_that_no_server_has_is_retryable(self, adapter: Adapter) -> None:
        with pytest.raises(ProviderError, match="connection failed") as caught:
            ask(adapter, "http://no-such-host.invalid:80")
        assert caught.value.retryable

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(0),
            Fault(RESET),
            Fault(200, "{" + "x" * 80, raw=True, cut=40),
            Fault(200, '{"id": "1", "cho', raw=True),
            Fault(200, "", raw=True),
            Fault(200, b"\xff\xfe{}", raw=True),
            Fault(200, "<html>proxy</html>", {"content-type": "text/html"}, raw=True),
            Fault(200, [], raw=True),
            Fault(200, None, raw=True),
            Fault(200, {}, raw=True),
            Fault(200, {"error": {"message": "upstream failed"}}, raw=True),
            Fault(200, b"not gzip", {"content-encoding": "gzip"}, raw=True),
            Fault(500, b"\x00\x01 not text \xff", raw=True),
            Fault(503, "<html>busy</html>", {"content-type": "text/html"}, raw=True),
        ],
        ids=str,
    )
    def test_a_broken_answer_is_retryable(self, adapter: Adapter, fault: Fault) -> None:
        error = failure(adapter, fault)
        said_in_a_success = fault.status == 200 and "upstream failed" in str(fault.body)
        assert error.retryable != (said_in_a_success and adapter.judges_errors)

    def test_an_answer_that_stops_in_the_middle_is_retryable(self, adapter: Adapter) -> None:
        whole = adapter.wire.answer(Completion("Paris is the capital of France.", Usage(7, 8)))
        for cut in range(1, len(json.dumps(whole)), 97):
            assert failure(adapter, adapter.body_reply(whole, cut=cut)).retryable

    # The SDKs of the others read answers themselves.
    @pytest.mark.parametrize("adapter", as_parameters(a for a in ADAPTERS if not a.extra))
    @pytest.mark.parametrize("packed", [False, True])
    def test_an_answer_larger_than_any_is_given_up_and_fills_no_memory(
        self, adapter: Adapter, packed: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(adapting, "MOST_BYTES", 100_000)
        body, headers = b" " * 1_000_000, {}
        if packed:
            body, headers = gzip.compress(body), {"content-encoding": "gzip"}
            assert len(body) < 10_000
        error = failure(adapter, Fault(200, body, raw=True, headers=headers))
        assert error.retryable
        assert "an answer of more than 100,000 bytes" in str(error)

    def test_json_that_is_no_answer_is_retryable(self, adapter: Adapter) -> None:
        for body in adapter.wire.meaningless:
            error = failure(adapter, json_reply(body))
            assert error.retryable
            assert "malformed answer" in str(error)

    def test_no_error_shows_the_key(self, adapter: Adapter) -> None:
        for fault in (
            Fault(401, adapter.wire.error(401, f"Incorrect API key: {KEY}"), raw=True),
            Fault(503, f"<html>{KEY}</html>", {"content-type": "text/html"}, raw=True),
            json_reply({"k": KEY}),
            Fault(200, f'{{"k": "{KEY}', raw=True),
        ):
            error = failure(adapter, fault)
            assert KEY not in "".join(traceback.format_exception(error)) + repr(error)

    def test_an_answer_after_a_fault_is_as_good_as_any(self, adapter: Adapter) -> None:
        answer = adapter.reply(Completion("Paris."))
        busy = Fault(503, adapter.wire.error(503, "busy"), raw=True)
        with LoopbackServer([Fault(RESET), busy, answer]) as server:
            for _ in range(2):
                with pytest.raises(ProviderError):
                    ask(adapter, server.url)
            assert ask(adapter, server.url).text == "Paris."


class TestConnections:
    def test_as_many_as_may_be_in_flight_and_no_more(self, adapter: Adapter) -> None:
        def slow(asked: Asked) -> Fault:
            text = adapter.wire.heard(asked).messages[-1].content
            return adapter.reply(Completion(text), delay=0.2)

        with LoopbackServer(slow) as server:
            info = adapter.info(server.url, max_concurrency=20)
            questions = [Request(info, (Message("user", str(i)),)) for i in range(40)]
            completions = ask_all(info, questions)
        assert [c.text for c in completions] == [str(i) for i in range(40)]
        assert server.most_in_flight == 20
        assert server.connections == 20
