"""OpenAI's responses, and chat completions as Azure has them, from the server's side."""

from __future__ import annotations

import dataclasses
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
from tests.models.providers.wires.openai import ChatWire
from tests.support.loopback import Asked

API_VERSION = "2024-10-21"


class AzureWire(ChatWire):
    """`POST /openai/deployments/<name>/chat/completions?api-version=...`, with a key of its own."""

    def base_url(self, server: str) -> str:
        return server

    def heard(self, asked: Asked) -> Heard:
        deployment = asked.body["model"]
        path = f"/openai/deployments/{deployment}/chat/completions?api-version={API_VERSION}"
        assert asked.path == path
        assert "authorization" not in asked.headers
        headers = {**asked.headers, "authorization": f"Bearer {asked.headers['api-key']}"}
        plain = dataclasses.replace(asked, path="/v1/chat/completions", headers=headers)
        return super().heard(plain)


class ResponsesWire:
    """`POST /v1/responses`."""

    def base_url(self, server: str) -> str:
        return f"{server}/v1"

    def heard(self, asked: Asked) -> Heard:
        assert asked.path == "/v1/responses"
        body = Fields(asked.body)
        assert body.take("store") is False
        body.take("stream")
        schema = _schema(body.sub("text").take("format"))
        wants_logprobs = body.take("include") == ["message.output_text.logprobs"]
        most = body.take("top_logprobs", 0)
        heard = Heard(
            model=body.take("model"),
            messages=_messages(body.take("input")),
            parameters=SamplingParameters(
                temperature=body.take("temperature"),
                top_p=body.take("top_p"),
                max_tokens=body.take("max_output_tokens"),
                reasoning_effort=body.sub("reasoning").take("effort"),
                top_logprobs=most if wants_logprobs else None,
            ),
            schema=schema,
            tools=tuple(map(_tool, body.take("tools", ()))),
            key=asked.headers["authorization"].removeprefix("Bearer "),
        )
        body.finish()
        return heard

    def answer(self, completion: Completion) -> Any:
        usage = completion.usage
        cut = {"length": "max_output_tokens", "content_filter": "content_filter"}
        reason = cut.get(completion.finish_reason)
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_750_000_000,
            "model": "test-model-2026",
            "status": "incomplete" if reason else "completed",
            "error": None,
            "incomplete_details": {"reason": reason} if reason else None,
            "output": list(_output(completion)),
            "usage": {
                "input_tokens": usage.input_tokens,
                "input_tokens_details": {"cached_tokens": usage.cached_input_tokens},
                "output_tokens": usage.output_tokens,
                "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
                "total_tokens": usage.total_tokens,
            },
        }

    def stream(self, body: Any) -> Iterator[bytes]:
        return streams.responses(body)

    def error(self, status: int, message: str) -> Any:
        return {"error": {"message": message, "type": "error", "param": None, "code": None}}

    @property
    def meaningless(self) -> list[Any]:
        done = {"object": "response", "status": "completed"}
        return [
            done,
            {**done, "output": None},
            {**done, "output": []},
            {**done, "output": [None, 7, {}]},
            {**done, "output": [{"type": "reasoning", "summary": []}]},
            {**done, "output": [{"type": "message", "content": [{"type": "output_text"}]}]},
            {**done, "output": [{"type": "message", "content": []}]},
            {**done, "output": [{"type": "function_call", "name": 7}]},
        ]


def _output(completion: Completion) -> Any:
    if completion.usage.reasoning_tokens or completion.thoughts:
        summary = [{"type": "summary_text", "text": t} for t in [completion.thoughts] if t]
        yield {"type": "reasoning", "id": "rs_1", "summary": summary}
    part: dict[str, Any] = {"type": "output_text", "text": completion.text, "annotations": []}
    if completion.finish_reason == "refusal":
        part = {"type": "refusal", "refusal": completion.text}
    if completion.text or completion.finish_reason == "stop":
        yield {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}
    for call in completion.tool_calls:
        yield {
            "type": "function_call",
            "id": f"fc_{call.id}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }


def _messages(items: list[dict[str, Any]]) -> tuple[Message, ...]:
    """Read the conversation: calls belong to the message of the assistant that they follow."""
    read: list[Message] = []
    for data in items:
        item = Fields(data)
        kind = item.take("type")
        if kind == "function_call":
            before = read.pop() if read[-1].role == "assistant" else Message("assistant", "")
            call = ToolCall(item.take("call_id"), item.take("name"), item.take("arguments"))
            calls = (*before.tool_calls, call)
            read.append(Message("assistant", before.content, tool_calls=calls))
        elif kind == "function_call_output":
            read.append(Message("tool", item.take("output"), tool_call_id=item.take("call_id")))
        else:
            text, images = _content(item.take("content"))
            read.append(Message(item.take("role"), text, images))
        item.finish()
    return tuple(read)


def _content(content: Any) -> tuple[str, tuple[Image, ...]]:
    if isinstance(content, str):
        return content, ()
    images = []
    for part in content[:-1]:
        assert part["type"] == "input_image"
        media_type, _, data = part["image_url"].removeprefix("data:").partition(";base64,")
        images.append(Image(media_type, data))
    assert content[-1].keys() == {"type", "text"}
    assert content[-1]["type"] == "input_text"
    return content[-1]["text"], tuple(images)


def _schema(wanted: dict[str, Any] | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    assert wanted.keys() == {"type", "name", "schema", "strict"}
    schema: dict[str, Any] = wanted["schema"]
    return schema


def _tool(data: dict[str, Any]) -> ToolDefinition:
    assert (data["type"], data["strict"]) == ("function", True)
    return ToolDefinition(data["name"], data["description"], data["parameters"])
