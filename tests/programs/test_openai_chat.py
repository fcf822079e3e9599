"""Requests of chat completions, as our requests, and answers in their form."""

from __future__ import annotations

from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.models.media import Image
from ember_bench.models.types import Message, Response, TokenLogprob, ToolCall, Usage
from ember_bench.programs.openai_chat import chat_completion, read_chat

USER = {"role": "user", "content": "Hi"}


def read(**fields: Any) -> Any:
    return read_chat({"model": "m", "messages": [USER], **fields})


def test_a_conversation_is_read_with_its_tools_and_images() -> None:
    call = {"id": "c1", "function": {"name": "add", "arguments": {"a": 1}}}
    image = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"},
    }
    found = read(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, image]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
        ]
    )
    assert found.messages == (
        Message("system", "Be brief."),
        Message("user", "Look", (Image("image/png", "aGk=", "low"),)),
        Message("assistant", "", tool_calls=(ToolCall("c1", "add", '{"a": 1}'),)),
        Message("tool", "2", tool_call_id="c1"),
    )


def test_parameters_have_their_names_here() -> None:
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    found = read(
        temperature=0.5, max_completion_tokens=9, stop="x", logprobs=True, tools=[tool], n=3,
        tool_choice={"type": "function", "function": {"name": "add"}}, user="me", seed=None,
    )  # fmt: skip
    assert found.n == 3
    overrides = dict(found.overrides)
    assert [t.name for t in overrides.pop("tools")] == ["add"]
    assert overrides == {
        "temperature": 0.5, "max_tokens": 9, "stop": ("x",), "top_logprobs": 0,
        "tool_choice": "add",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temprature": 1}, "temprature: cannot be passed on; did you mean 'temperature'"),
        ({"messages": []}, "messages: expected a list of messages"),
        ({"messages": "Hi"}, "messages: expected a list of messages"),
        ({"messages": [{"role": "robot", "content": ""}]}, r"messages\[0\].role: expected system"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "'input_audio'"),
        ({"n": 0}, "n: expected 1 to 128, found 0"),
        ({"response_format": {"type": "xml"}}, "response_format: expected text, json_object"),
        ({"tools": [{"type": "web_search"}]}, r"tools\[0\]: expected a function"),
    ],
)
def test_what_cannot_be_passed_on_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(**fields)


def test_fields_that_say_nothing_are_left_out() -> None:
    assert read(functions=[], audio=None, web_search_options=False).overrides == {}


def test_an_answer_has_texts_tool_calls_and_probabilities() -> None:
    token = TokenLogprob("a", -0.5, (("a", -0.5), ("b", -1.0)))
    response = Response(
        "", "m", Usage(3, 4), 0.25, 1.0, "tool_calls",
        tool_calls=(ToolCall("", "add", "{}"),), logprobs=(token,), thoughts="hm",
    )  # fmt: skip
    body = chat_completion("m", [response])
    (choice,) = body["choices"]
    assert choice["message"]["content"] is None
    assert choice["message"]["reasoning_content"] == "hm"
    assert choice["message"]["tool_calls"][0]["id"] == "call_0"
    assert choice["finish_reason"] == "tool_calls"
    assert choice["logprobs"]["content"][0]["top_logprobs"][1]["token"] == "b"
    assert body["usage"] == {
        "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0.25,
    }  # fmt: skip


def test_unknown_tokens_are_no_usage_and_unknown_costs_no_cost() -> None:
    unknown = Response("x", "m", Usage(), 0.1, None)
    assert chat_completion("m", [unknown])["usage"] is None
    unpriced = Response("x", "m", Usage(1, 1), None, None)
    assert chat_completion("m", [unpriced])["usage"]["cost"] is None
