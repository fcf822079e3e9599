"""Anthropic's messages from the server's side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ember_bench.models.types import (
    Completion,
    Image,
    Message,
    SamplingParameters,
    ToolCall,
    ToolDefinition,
    Usage,
)
from tests.models.providers.wires import Fields, Heard, streams
from tests.support.loopback import Asked

_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


class MessagesWire:
    """`POST /v1/messages`, as of the API version that the request names."""

    def base_url(self, server: str) -> str:
        return server

    def heard(self, asked: Asked) -> Heard:
        assert asked.path == "/v1/messages"
        version, body = asked.headers["anthropic-version"], Fields(asked.body)
        if version == "2026-10-21":
            gone = {"temperature", "top_p", "top_k"} & set(asked.body)
            assert not gone, f"Extra inputs are not permitted: {gone}"
        body.take("stream")
        config, thinking = body.sub("output_config"), body.sub("thinking")
        thinks = thinking.take("type")
        assert thinks in (None, "enabled")
        system = body.take("system")
        heard = Heard(
            model=body.take("model"),
            messages=(
                *([Message("system", system)] if system is not None else []),
                *(m for message in body.take("messages") for m in _messages(Fields(message))),
            ),
            parameters=SamplingParameters(
                temperature=body.take("temperature"),
                top_p=body.take("top_p"),
                max_tokens=body.take("max_tokens"),
                stop=tuple(body.take("stop_sequences", ())),
                reasoning_effort=config.take("effort"),
                thinking_tokens=thinking.take("budget_tokens"),
            ),
            schema=_schema(config.sub("format")),
            tools=tuple(map(_tool, body.take("tools", ()))),
            key=asked.headers["authorization"].removeprefix("Bearer "),
        )
        for fields in (thinking, config, body):
            fields.finish()
        return heard

    def answer(self, completion: Completion) -> Any:
        content: list[dict[str, Any]] = []
        if completion.thoughts:
            thinking = {"thinking": completion.thoughts, "signature": "c2lnbmVk"}
            content.append({"type": "thinking", **thinking})
        if completion.text or not completion.tool_calls:
            content.append({"type": "text", "text": completion.text, "citations": None})
        content += (
            {"type": "tool_use", "id": c.id, "name": c.name, "input": json.loads(c.arguments)}
            for c in completion.tool_calls
        )
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "test-model-2026",
            "content": content,
            "stop_reason": _REASONS.get(completion.finish_reason, completion.finish_reason),
            "stop_sequence": None,
            "usage": _usage(completion.usage),
        }

    def stream(self, body: Any) -> Iterator[bytes]:
        return streams.messages(body)

    def error(self, status: int, message: str) -> Any:
        return {"type": "error", "error": {"type": "api_error", "message": message}}

    @property
    def meaningless(self) -> list[Any]:
        return [
            {"content": None, "stop_reason": "end_turn"},
            {"content": 7, "stop_reason": "end_turn"},
            {"content": [], "stop_reason": "end_turn"},
            {"content": [{"type": "text", "text": ""}], "stop_reason": "end_turn"},
            {"content": [{"type": "text", "text": 7}], "stop_reason": "end_turn"},
            {"content": [None], "stop_reason": "end_turn"},
            {"content": [], "stop_reason": None},
        ]


def _usage(usage: Usage) -> dict[str, Any] | None:
    if usage.input_tokens is None:
        return None
    # Input that came from the cache, or went into it, is not in `input_tokens`.
    fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    for_an_hour = usage.cache_write_1h_tokens
    return {
        "input_tokens": fresh,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens - for_an_hour,
            "ephemeral_1h_input_tokens": for_an_hour,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }


def _messages(message: Fields) -> Iterator[Message]:
    """Yield one of our messages for a turn, or one for each tool's result in it."""
    role, content = message.take("role"), message.take("content")
    message.finish()
    assert role in ("user", "assistant")
    if isinstance(content, str):
        yield Message(role, content)
        return
    assert content, "an empty message is refused"
    text, images, calls = "", [], []
    for block in map(Fields, content):
        kind = block.take("type")
        if kind == "text":
            text = block.take("text")
            assert text, "an empty text block is refused"
        elif kind == "image":
            assert not text, "the images come before the text"
            source = block.sub("source")
            assert source.take("type") == "base64"
            images.append(Image(source.take("media_type"), source.take("data")))
            source.finish()
        elif kind == "tool_use":
            arguments = json.dumps(block.take("input"))
            calls.append(ToolCall(block.take("id"), block.take("name"), arguments))
        else:
            assert kind == "tool_result"
            call_id = block.take("tool_use_id")
            yield Message("tool", block.take("content"), tool_call_id=call_id)
        block.finish()
    if text or images or calls:
        yield Message(role, text, tuple(images), tuple(calls))


def _schema(output_format: Fields) -> dict[str, Any] | None:
    if output_format.take("type") is None:
        return None
    wanted: dict[str, Any] = output_format.take("schema")
    output_format.finish()
    return wanted


def _tool(data: dict[str, Any]) -> ToolDefinition:
    assert data.keys() == {"name", "description", "input_schema"}
    return ToolDefinition(data["name"], data["description"], data["input_schema"])
