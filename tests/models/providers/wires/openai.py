"""OpenAI's chat completions from the server's side."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from ember_bench.models.types import (
    Completion,
    Image,
    Message,
    SamplingParameters,
    ToolCall,
    ToolDefinition,
)
from tests.models.providers.wires import Fields, Heard, streams
from tests.support.loopback import Asked


class ChatWire:
    """`POST /v1/chat/completions`."""

    def base_url(self, server: str) -> str:
        return f"{server}/v1"

    def heard(self, asked: Asked) -> Heard:
        assert asked.path == "/v1/chat/completions"
        body = Fields(asked.body)
        if body.take("stream"):
            assert body.take("stream_options") == {"include_usage": True}
        heard = Heard(
            model=body.take("model"),
            messages=tuple(map(_message, body.take("messages"))),
            parameters=SamplingParameters(
                temperature=body.take("temperature"),
                top_p=body.take("top_p"),
                max_tokens=body.take("max_tokens") or body.take("max_completion_tokens"),
                stop=tuple(body.take("stop", ())),
                seed=body.take("seed"),
                reasoning_effort=body.take("reasoning_effort"),
                top_logprobs=body.take("top_logprobs") if body.take("logprobs") else None,
            ),
            schema=_schema(body.sub("response_format")),
            tools=tuple(map(_tool, body.take("tools", ()))),
            key=asked.headers["authorization"].removeprefix("Bearer "),
        )
        body.finish()
        return heard

    def answer(self, completion: Completion) -> Any:
        refused = completion.finish_reason == "refusal"
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if refused else completion.text or None,
            "refusal": completion.text if refused else None,
        }
        if completion.tool_calls:
            message["tool_calls"] = [_call_out(call) for call in completion.tool_calls]
        elif not refused:
            message["content"] = completion.text
        if completion.thoughts:
            message["reasoning_content"] = completion.thoughts
        reason = "stop" if refused else completion.finish_reason
        usage = completion.usage
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_750_000_000,
            "model": "test-model-2026",
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
            ],
            "usage": {
                "prompt_tokens": usage.input_tokens,
                "completion_tokens": usage.output_tokens,
                "total_tokens": usage.total_tokens,
                "prompt_tokens_details": {
                    "cached_tokens": usage.cached_input_tokens,
                    "audio_tokens": usage.input_audio_tokens,
                },
                "completion_tokens_details": {
                    "reasoning_tokens": usage.reasoning_tokens,
                    "audio_tokens": usage.output_audio_tokens,
                },
            },
        }

    def stream(self, body: Any) -> Iterator[bytes]:
        return streams.chat(body)

    def error(self, status: int, message: str) -> Any:
        return {"error": {"message": message, "type": "error", "param": None, "code": None}}

    @property
    def meaningless(self) -> list[Any]:
        return [
            {"choices": []},
            {"choices": None},
            {"choices": [{}]},
            {"choices": [{"message": {"content": 7}}]},
            {"choices": [{"message": {"content": None}, "finish_reason": "stop"}]},
        ]


def _message(data: dict[str, Any]) -> Message:
    message = Fields(data)
    text, images = _content(message.take("content"))
    read = Message(
        message.take("role"),
        text,
        images,
        tuple(map(_call_in, message.take("tool_calls", ()))),
        message.take("tool_call_id"),
    )
    message.finish()
    return read


def _content(content: Any) -> tuple[str, tuple[Image, ...]]:
    if not isinstance(content, list):
        return content or "", ()
    images = []
    for part in content[:-1]:
        assert part["type"] == "image_url", "the images come before the text"
        media_type, _, data = part["image_url"]["url"].removeprefix("data:").partition(";base64,")
        assert base64.b64decode(data, validate=True)
        images.append(Image(media_type, data))
    assert content[-1].keys() == {"type", "text"}
    return content[-1]["text"], tuple(images)


def _call_in(data: dict[str, Any]) -> ToolCall:
    assert data["type"] == "function"
    return ToolCall(data["id"], data["function"]["name"], data["function"]["arguments"])


def _call_out(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _schema(response_format: Fields) -> dict[str, Any] | None:
    if response_format.take("type") is None:
        return None
    wanted: dict[str, Any] = response_format.take("json_schema")["schema"]
    response_format.finish()
    return wanted


def _tool(data: dict[str, Any]) -> ToolDefinition:
    function = data["function"]
    return ToolDefinition(function["name"], function["description"], function["parameters"])
