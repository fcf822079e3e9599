"""Gemini's `generateContent` from the server's side.

The API reads a field's name in either spelling (`mimeType`, `mime_type`), as proto3's JSON has it,
and the SDKs use both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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

REASONS = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
# google.ai.generativelanguage.Type, which the old SDK writes as numbers.
_TYPES = ("", "string", "number", "integer", "boolean", "array", "object")


class GeminiWire:
    """`POST /v1beta/models/{model}:generateContent`."""

    def base_url(self, server: str) -> str:
        return server

    def heard(self, asked: Asked) -> Heard:
        path, _, query = asked.path.partition("?")
        assert path.startswith("/v1beta/models/")
        assert path.endswith(":generateContent") or (
            path.endswith(":streamGenerateContent") and "alt=sse" in query
        )
        body = _fields(asked.body)
        config, system = _sub(body, "generationConfig"), _sub(body, "systemInstruction")
        thinking = _sub(config, "thinkingConfig")
        texts = [part["text"] for part in system.take("parts", ())]
        assert system.take("role") in (None, "user")
        parameters = SamplingParameters(
            temperature=config.take("temperature"),
            top_p=config.take("topP"),
            max_tokens=config.take("maxOutputTokens"),
            stop=tuple(config.take("stopSequences", ())),
            seed=config.take("seed"),
            reasoning_effort=(thinking.take("thinkingLevel") or "").lower() or None,
            thinking_tokens=thinking.take("thinkingBudget"),
            top_logprobs=config.take("logprobs", 0) if config.take("responseLogprobs") else None,
        )
        schema = config.take("responseJsonSchema") or _json_schema(config.take("responseSchema"))
        assert config.take("responseMimeType") == ("application/json" if schema else None)
        messages = (m for turn in body.take("contents") for m in _messages(_fields(turn)))
        heard = Heard(
            model=path.removeprefix("/v1beta/models/").rpartition(":")[0],
            messages=(*([Message("system", "\n".join(texts))] if texts else ()), *messages),
            parameters=parameters,
            schema=schema,
            tools=tuple(_tools(body.take("tools", ()))),
            key=asked.headers["x-goog-api-key"],
        )
        for fields in (thinking, system, config, body):
            fields.finish()
        return heard

    def answer(self, completion: Completion) -> Any:
        parts: list[dict[str, Any]] = []
        if completion.thoughts:
            parts.append({"text": completion.thoughts, "thought": True})
        if completion.text or not completion.tool_calls:
            parts.append({"text": completion.text})
        parts += (
            {"functionCall": {"id": c.id, "name": c.name, "args": json.loads(c.arguments)}}
            for c in completion.tool_calls
        )
        return {
            "candidates": [
                {
                    "index": 0,
                    "content": {"role": "model", "parts": parts},
                    "finishReason": REASONS[completion.finish_reason],
                    "aFieldOfTomorrow": {"x": 1},
                }
            ],
            "usageMetadata": _usage(completion.usage),
            "modelVersion": "test-model-2026",
        }

    def stream(self, body: Any) -> Iterator[bytes]:
        return streams.gemini(body)

    def error(self, status: int, message: str) -> Any:
        return {"error": {"code": status, "message": message, "status": "SOME_NAME"}}

    @property
    def meaningless(self) -> list[Any]:
        return [
            {"candidates": []},
            {"candidates": None},
            {"candidates": [{}]},
            {"candidates": [None]},
            {"candidates": [{"content": {"parts": [{"text": 7}]}}]},
            {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]},
            {"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]},
            {
                "candidates": [
                    {"content": {"role": "model"}, "finishReason": "FINISH_REASON_UNSPECIFIED"}
                ]
            },
            {"candidates": "text"},
            [{"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}],
        ]


def _usage(usage: Usage) -> dict[str, Any] | None:
    if usage.output_tokens is None:
        return None
    return {
        "promptTokenCount": usage.input_tokens,
        "cachedContentTokenCount": usage.cached_input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "totalTokenCount": usage.total_tokens,
    }


def _fields(data: Mapping[str, Any]) -> Fields:
    return Fields({_camel(name): value for name, value in data.items()})


def _sub(fields: Fields, name: str) -> Fields:
    return _fields(fields.take(name) or {})


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _messages(turn: Fields) -> Iterator[Message]:
    """Yield one of our messages for a turn, or one for each tool's result in it."""
    role, parts = turn.take("role"), turn.take("parts")
    turn.finish()
    assert role in ("user", "model")
    assert parts, "an empty turn is refused"
    text, images, calls = "", [], []
    for part in map(_fields, parts):
        result, blob = _sub(part, "functionResponse"), _sub(part, "inlineData")
        call = _sub(part, "functionCall")
        if call_id := result.take("id"):
            assert result.take("name"), "a result says which tool it is of"
            yield Message("tool", result.take("response")["output"], tool_call_id=call_id)
            result.finish()
        elif data := blob.take("data"):
            assert not text, "the images come before the text"
            # Base64 comes in either of its alphabets.
            data = data.replace("-", "+").replace("_", "/")
            images.append(Image(blob.take("mimeType"), data))
            blob.finish()
        elif name := call.take("name"):
            calls.append(ToolCall(call.take("id"), name, json.dumps(call.take("args"))))
            call.finish()
        else:
            text += part.take("text")
        part.finish()
    if text or images or calls:
        yield Message("assistant" if role == "model" else "user", text, tuple(images), tuple(calls))


def _tools(tools: Any) -> Iterator[ToolDefinition]:
    for tool in map(_fields, tools):
        for declared in map(_fields, tool.take("functionDeclarations")):
            schema = declared.take("parametersJsonSchema")
            schema = schema or _json_schema(declared.take("parameters"))
            assert schema is not None
            yield ToolDefinition(declared.take("name"), declared.take("description"), schema)
            declared.finish()
        tool.finish()


def _json_schema(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return Gemini's dialect of OpenAPI as the JSON schema it means: its objects are closed."""
    if schema is None:
        return None
    read = {**schema, "type": _TYPES[schema["type"]]}
    if "properties" in read:
        read["properties"] = {k: _json_schema(v) for k, v in read["properties"].items()}
        read["additionalProperties"] = False
    return read
