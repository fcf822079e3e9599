"""Streams put together: the body is the one that the API answers in one piece."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.models.types import Completion, TokenLogprob, ToolCall, Usage
from ember_bench.models.wire import anthropic_messages, gemini, openai_chat, openai_responses
from ember_bench.models.wire.assembling import (
    Assembler,
    ChatAssembler,
    GeminiAssembler,
    MessagesAssembler,
    ResponsesAssembler,
)
from ember_bench.models.wire.failures import FailedError, MalformedError, UnreadableError
from ember_bench.models.wire.streaming import Stream
from tests.models.providers.wires.streams import DONE, event

READERS: dict[type[Assembler], Callable[[Any], Completion]] = {
    ChatAssembler: openai_chat.completion,
    ResponsesAssembler: openai_responses.completion,
    MessagesAssembler: anthropic_messages.completion,
    GeminiAssembler: gemini.completion,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def read(assembler: type[Assembler], *events: bytes) -> Completion:
    """Return what is read of a stream that comes in one part for each event."""
    stream = Stream(assembler(), lambda: None)
    for part in events:
        stream.feed(part)
    return READERS[assembler](stream.body())


def said(delta: Any, reason: str | None = None, **more: Any) -> bytes:
    """Return a chunk of a chat completion."""
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}]})


def chat(*deltas: Any) -> Completion:
    return read(ChatAssembler, *map(said, deltas), said({}, "stop"), DONE)


def called(index: int | None, **fields: Any) -> dict[str, Any]:
    function = {n: fields.pop(n) for n in ("name", "arguments") if n in fields}
    place = {} if index is None else {"index": index}
    return {"tool_calls": [{**place, **fields, "function": function}]}


class TestChat:
    @pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
    def test_thoughts_stand_beside_the_text(self, name: str) -> None:
        found = chat({name: "Let me "}, {name: "think."}, {"content": "4"}, {"content": "2"})
        assert (found.thoughts, found.text) == ("Let me think.", "42")

    def test_a_content_may_be_parts_and_texts(self) -> None:
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
        deltas = ({"content": [thought]}, {"content": [thought]}, {"content": "4"})
        found = chat(*deltas, {"content": "2"})
        assert (found.thoughts, found.text) == ("hmhm", "42")

    def test_details_of_reasoning_are_put_together_by_index(self) -> None:
        def details(index: int, text: str) -> dict[str, Any]:
            return {"reasoning_details": [{"type": "reasoning.text", "index": index, "text": text}]}

        found = chat(details(0, "a"), details(0, "b"), details(1, "c"), {"content": "x"})
        assert found.thoughts == "ab\n\nc"

    @pytest.mark.parametrize(
        "pieces",
        [
            pytest.param(
                [
                    called(0, id="1", type="function", name="f", arguments=""),
                    called(0, arguments='{"a"'),
                    called(0, arguments=": 1}"),
                    called(1, id="2", type="function", name="g", arguments="{}"),
                ],
                id="OpenAI's",
            ),
            pytest.param(
                [
                    called(0, id="1", name="f", arguments='{"a"'),
                    called(1, id="2", name="g", arguments="{"),
                    called(0, arguments=": 1}"),
                    called(1, arguments="}"),
                ],
                id="woven",
            ),
            pytest.param(
                [
                    called(0, id="1", type="function", name="f", arguments='{"a": 1}'),
                    called(0, id="2", type="function", name="g", arguments="{}"),
                ],
                id="all of one index",
            ),
            pytest.param(
                [
                    called(None, id="1", name="f", arguments='{"a"'),
                    called(None, arguments=": 1}"),
                    called(None, id="2", name="g", arguments="{}"),
                ],
                id="without indices",
            ),
            pytest.param(
                [
                    called(0, id="1", name="f", arguments='{"a"'),
                    called(0, id="1", name="f", arguments=": 1}"),
                    called(1, id="2", name="g", arguments="{}"),
                ],
                id="names repeated",
            ),
        ],
    )
    def test_tool_calls_are_put_together(self, pieces: list[Any]) -> None:
        expected = (ToolCall("1", "f", '{"a": 1}'), ToolCall("2", "g", "{}"))
        assert chat(*pieces).tool_calls == expected

    def test_whole_calls_without_index_and_id_stay_apart(self) -> None:
        pieces = (called(None, name=name, arguments="{}") for name in "fg")
        assert [call.name for call in chat(*pieces).tool_calls] == ["f", "g"]

    def test_a_refusal_and_log_probabilities(self) -> None:
        tokens = [{"token": t, "logprob": -0.5, "top_logprobs": []} for t in ("N", "o")]
        parts = [said({"refusal": t["token"]}, logprobs={"content": [t]}) for t in tokens]
        found = read(ChatAssembler, *parts, said({}, "stop"), DONE)
        assert (found.text, found.finish_reason) == ("No", "refusal")
        assert found.logprobs == (TokenLogprob("N", -0.5), TokenLogprob("o", -0.5))

    @pytest.mark.parametrize(
        "counted",
        [
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
            {"choices": [], "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}},
            {
                "choices": [
                    {"index": 0, "delta": {}, "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
                ]
            },
        ],
    )
    def test_tokens_are_those_of_the_last_event(self, counted: Any) -> None:
        early = event({"choices": [], "usage": None})
        found = read(ChatAssembler, early, said({"content": "x"}, "stop"), event(counted), DONE)
        assert found.usage == Usage(3, 2)

    def test_what_is_repeated_beside_each_piece_is_not_said_twice(self) -> None:
        parts = [
            said({"content": "4"}, message={"content": "4"}),
            said({"content": "2"}, message={"content": "42"}),
        ]
        assert read(ChatAssembler, *parts, said({}, "stop"), DONE).text == "42"

    def test_a_message_in_one_piece_is_the_answer(self) -> None:
        whole = {"index": 0, "message": {"content": "42"}, "finish_reason": "stop"}
        assert read(ChatAssembler, event({"choices": [whole]}), DONE).text == "42"

    def test_a_long_answer_takes_time_by_its_length(self) -> None:
        def seconds(tokens: int) -> float:
            parts, stream = [said({"content": "abcd"})] * tokens, Stream(ChatAssembler(), int)
            started = time.process_time()
            for part in parts:
                stream.feed(part)
            stream.feed(said({}, "stop") + DONE)
            assert len(openai_chat.completion(stream.body()).text) == 4 * tokens
            return time.process_time() - started

        seconds(1_000)
        assert seconds(40_000) < 40 * max(seconds(4_000), 0.001)


class TestMessages:
    def test_arguments_that_the_limit_cut_are_none(self) -> None:
        found = read(
            MessagesAssembler,
            event({"type": "message_start", "message": {"content": []}}),
            event(
                {
                    "type": "content_block_start",
                    "index": 0,
                    "content_block": {"type": "tool_use", "id": "1", "name": "f", "input": {}},
                }
            ),
            event(
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "input_json_delta", "partial_json": '{"a'},
                }
            ),
            event({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}),
            event({"type": "message_stop"}),
        )
        assert found.finish_reason == "length"
        assert found.tool_calls == (ToolCall("1", "f", "{}"),)

    def test_counts_that_are_not_repeated_stay(self) -> None:
        usage = {"input_tokens": 7, "cache_read_input_tokens": 5, "output_tokens": 1}
        text = {"type": "text_delta", "text": "x"}
        found = read(
            MessagesAssembler,
            event({"type": "message_start", "message": {"usage": usage}}),
            event({"type": "content_block_delta", "index": 0, "delta": text}),
            event(
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 40, "input_tokens": None},
                }
            ),
        )
        assert (found.text, found.usage) == ("x", Usage(12, 40, 5))


class TestResponses:
    def test_items_are_those_that_were_sent_if_the_end_has_none(self) -> None:
        item = {"type": "message", "content": [{"type": "output_text", "text": "42"}]}
        done = {"type": "response.output_item.done", "output_index": 0, "item": item}
        end = {"type": "response.completed", "response": {"status": "completed", "output": []}}
        assert read(ResponsesAssembler, event(done), event(end)).text == "42"

    def test_a_failure_is_one(self) -> None:
        response = {"status": "failed", "error": {"code": "server_error", "message": "oh"}}
        with pytest.raises(FailedError, match="oh"):
            read(ResponsesAssembler, event({"type": "response.failed", "response": response}))


class TestGemini:
    def test_parts_log_probabilities_and_counts(self) -> None:
        def part(text: str, logprob: float, **more: Any) -> bytes:
            tokens = {"chosenCandidates": [{"token": text, "logProbability": logprob}]}
            content = {"parts": [{"text": text}]}
            candidate = {"content": content, "logprobsResult": tokens, **more}
            counts = {"promptTokenCount": 3, "candidatesTokenCount": len(text)}
            return event({"candidates": [candidate], "usageMetadata": counts})

        found = read(GeminiAssembler, part("4", -1.0), part("2", -2.0, finishReason="STOP"))
        assert found.text == "42"
        assert found.logprobs == (TokenLogprob("4", -1.0), TokenLogprob("2", -2.0))
        assert found.usage == Usage(3, 1)

    def test_a_prompt_that_is_blocked(self) -> None:
        blocked = event({"promptFeedback": {"blockReason": "SAFETY"}})
        assert read(GeminiAssembler, blocked).finish_reason == "content_filter"


ERRORS: dict[type[Assembler], list[bytes]] = {
    ChatAssembler: [
        event({"error": {"message": "no more", "code": 503}}),
        event({"error": {"message": "no more", "code": 503}}, "error"),
        b'error: {"message": "no more", "code": 503}\n\n',
        b"event: error\ndata: no more\n\n",
        event({"error": {"message": "no more", "code": 503}, "choices": [{"delta": {}}]}),
        event({"base_resp": {"status_code": 1000, "status_msg": "no more"}}) + DONE,
    ],
    ResponsesAssembler: [event({"type": "error", "code": "server_error", "message": "no more"})],
    MessagesAssembler: [
        event(
            {"type": "error", "error": {"type": "overloaded_error", "message": "no more"}}, "error"
        )
    ],
    GeminiAssembler: [
        event({"error": {"code": 503, "message": "no more"}}),
        b'{\n  "error": {\n    "code": 503,\n    "message": "no more"\n  }\n}\n',
    ],
}


class TestAllWires:
    @pytest.mark.parametrize(
        ("assembler", "stated"), [(a, stated) for a, each in ERRORS.items() for stated in each]
    )
    def test_an_error_in_a_stream_is_that_error(
        self, assembler: type[Assembler], stated: bytes
    ) -> None:
        with pytest.raises(FailedError, match="no more") as caught:
            read(assembler, stated)
        assert caught.value.retryable

    @pytest.mark.parametrize("assembler", READERS)
    @pytest.mark.parametrize(
        "stream", [b": only a comment\n\n", b"data: {}\n\n", b"data: {}\n\ndata: {", b"event: x\n"]
    )
    def test_a_stream_without_end_is_no_answer(
        self, assembler: type[Assembler], stream: bytes
    ) -> None:
        with pytest.raises(MalformedError, match="ended before the answer did"):
            read(assembler, stream)

    @pytest.mark.parametrize("assembler", READERS)
    @pytest.mark.parametrize("data", [b"[1]", b"7", b'"x"', b"{", b"<html>", b"\xff", b"[" * 9999])
    def test_an_event_that_is_none_is_an_error(
        self, assembler: type[Assembler], data: bytes
    ) -> None:
        with pytest.raises(MalformedError):
            read(assembler, b"data: " + data + b"\n\n", DONE)

    @given(st.data())
    def test_whatever_comes_is_an_answer_or_unreadable(self, data: st.DataObject) -> None:
        assembler = data.draw(st.sampled_from(list(READERS)))
        names = st.sampled_from(
            [
                "choices", "delta", "message", "content", "tool_calls", "index", "function", "id",
                "usage", "type", "content_block", "candidates", "parts", "usageMetadata", "output",
                "response", "logprobs", "logprobsResult", "item", "finish_reason", "text",
            ]
        )  # fmt: skip
        kinds = st.sampled_from(
            ["message_start", "content_block_start", "content_block_delta", "message_delta",
             "response.completed", "response.output_item.done", "text_delta", "input_json_delta"]
        )  # fmt: skip
        deep = st.recursive(
            JSON | kinds,
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=4),
        )
        events = data.draw(st.lists(st.dictionaries(names, deep, max_size=5), max_size=5))
        with suppress(UnreadableError):
            assert isinstance(read(assembler, *map(event, events), DONE), Completion)

    def test_the_first_token_is_timed_and_comments_are_heard(self) -> None:
        now, heard = iter(range(10, 100, 10)), []
        stream = Stream(ChatAssembler(), lambda: heard.append(1), lambda: float(next(now)))
        for part in (b": ping\n\n", said({"role": "assistant", "content": ""})):
            stream.feed(part)
        assert stream.first_token_seconds is None
        stream.feed(said({"content": "x"}))
        stream.feed(said({"content": "y"}))
        assert (stream.first_token_seconds, len(heard)) == (10.0, 4)

    @pytest.mark.parametrize("assembler", READERS)
    def test_an_answer_in_one_piece_is_taken_as_it_is(self, assembler: type[Assembler]) -> None:
        body = {"any": ["thing", 1]}
        stream = Stream(assembler(), lambda: None)
        for byte in _bytes(json.dumps(body).encode()):
            assert not stream.feed(byte)
        assert (stream.body(), stream.first_token_seconds) == (body, None)


def _bytes(content: bytes) -> Iterator[bytes]:
    return (content[i : i + 1] for i in range(len(content)))


@pytest.mark.slow
def test_more_parts_than_any_answer_has_are_an_error() -> None:
    draw = random.Random(1)
    entries = [{"index": i, "id": str(draw.random())} for i in range(10_001)]
    with pytest.raises(MalformedError, match="more than 10,000 parts"):
        chat({"tool_calls": entries})
