"""Requests in the form of OpenAI's chat completions, made by LM modules, and their answers.

Every framework can write this form, so it stands between them and ours.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import uuid4

from pydantic import BaseModel

from ember_bench.errors import ConfigError, did_you_mean
from ember_bench.models.media import Image
from ember_bench.models.schemas import response_format as format_of
from ember_bench.models.types import (
    TOOL_CHOICES,
    Message,
    Response,
    ResponseFormat,
    ToolCall,
    ToolDefinition,
)

MOST_CHOICES: Final = 128

# Sampling parameters that have the same name and values here.
_SAME: Final = frozenset(
    {"temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "top_logprobs"}
    | {"logit_bias", "reasoning_effort", "verbosity", "parallel_tool_calls", "service_tier"}
    | {"top_k", "min_p", "repetition_penalty"}
)
_READ: Final = frozenset(
    {"model", "messages", "n", "stop", "max_tokens", "max_completion_tokens", "tools"}
    | {"tool_choice", "response_format", "logprobs", "stream", "stream_options"}
)
# They change no answer: labels of a request, and what an account keeps of it.
_NOT_USED: Final = frozenset(
    {"user", "metadata", "store", "safety_identifier", "prompt_cache_key", "rollout_id"}
    | {"prompt_cache_retention"}
)
_SAYS_NOTHING: Final[tuple[Any, ...]] = (None, False, [], {})


@dataclass(frozen=True)
class Chat:
    """A request of chat completions.

    Attributes:
        model: The model's name, as it was given.
        messages: The conversation.
        overrides: Arguments of `LMModule.request` beside the messages.
        n: Number of answers.
        stream: Whether the answer is sent as events.
        with_usage: Whether a stream ends with the usage.
    """

    model: str
    messages: tuple[Message, ...]
    overrides: Mapping[str, Any]
    n: int = 1
    stream: bool = False
    with_usage: bool = False


def read_chat(body: Mapping[str, Any]) -> Chat:
    """Return what the body of a request asks.

    Raises:
        ConfigError: if it is invalid, or asks for what cannot be passed on.
    """
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        if name in _READ or name in _SAME or name in _NOT_USED or value in _SAYS_NOTHING:
            continue
        raise ConfigError(f"{name}: cannot be passed on{did_you_mean(name, [*_READ, *_SAME])}")
    messages = given.get("messages")
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise ConfigError("messages: expected a list of messages")
    n = given.get("n", 1)
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST_CHOICES:
        raise ConfigError(f"n: expected 1 to {MOST_CHOICES}, found {n!r}")
    options = given.get("stream_options")
    return Chat(
        str(given.get("model", "")),
        tuple(_message(message, f"messages[{i}]") for i, message in enumerate(messages)),
        _overrides(given),
        n,
        given.get("stream") is True,
        isinstance(options, Mapping) and options.get("include_usage") is True,
    )


def _overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: given[name] for name in _SAME if name in given}
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    if limit is not None:
        found["max_tokens"] = limit
    if stop := given.get("stop"):
        found["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
    if given.get("logprobs") is True:
        found.setdefault("top_logprobs", 0)
    if tools := given.get("tools"):
        found["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
        if (choice := given.get("tool_choice")) is not None:
            found["tool_choice"] = _tool_choice(choice)
    else:
        found.pop("parallel_tool_calls", None)  # without tools it says nothing
    if (form := _response_format(given.get("response_format"))) is not None:
        found["response_format"] = form
    return found


def _message(given: Any, place: str) -> Message:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{place}: expected an object with role and content")
    role = {"developer": "system", "function": "tool"}.get(
        str(given.get("role")), given.get("role")
    )
    if role not in ("system", "user", "assistant", "tool"):
        raise ConfigError(f"{place}.role: expected system, user, assistant or tool, found {role!r}")
    texts, images = _content(given.get("content"), f"{place}.content")
    if images and role != "user":
        raise ConfigError(f"{place}.content: only a user's message has images")
    return Message(
        cast("Any", role),
        texts,
        images,
        tuple(_tool_call(call, f"{place}.tool_calls") for call in given.get("tool_calls") or ()),
        str(given["tool_call_id"]) if role == "tool" and given.get("tool_call_id") else None,
    )


def _content(given: Any, place: str) -> tuple[str, tuple[Image, ...]]:
    if given is None or isinstance(given, str):
        return given or "", ()
    if not isinstance(given, Sequence):
        raise ConfigError(f"{place}: expected a text or a list of parts")
    texts, images = list[str](), list[Image]()
    for part in given:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if isinstance(part, str) or kind in ("text", "input_text", "output_text", "refusal"):
            texts.append(part if isinstance(part, str) else str(part.get("text") or ""))
        elif kind in ("image_url", "input_image"):
            images.append(_image(part["image_url"], place))
        else:
            raise ConfigError(f"{place}: texts and images can be passed on, found {kind!r}")
    return "\n".join(texts), tuple(images)


def _image(given: Any, place: str) -> Image:
    url = given.get("url") if isinstance(given, Mapping) else given
    detail = given.get("detail") if isinstance(given, Mapping) else None
    if not isinstance(url, str):
        raise ConfigError(f"{place}: expected the URL of an image")
    if not url.startswith("data:"):
        return Image("image/png", url, detail)
    head, _, data = url.removeprefix("data:").partition(",")
    return Image(head.partition(";")[0], data, detail)


def _tool_call(given: Any, place: str) -> ToolCall:
    function = given.get("function") if isinstance(given, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ConfigError(f"{place}: expected calls of functions")
    arguments = function.get("arguments", "{}")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(str(given.get("id") or ""), function["name"], text)


def _tool(given: Any, place: str) -> ToolDefinition:
    function = given.get("function") if isinstance(given, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ConfigError(f"{place}: expected a function")
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return ToolDefinition(function["name"], str(function.get("description") or ""), dict(schema))


def _tool_choice(given: Any) -> str:
    if isinstance(given, str):
        return {"any": "required"}.get(given, given)
    name = given.get("function", {}).get("name") if isinstance(given, Mapping) else None
    if not isinstance(name, str):
        raise ConfigError(f"tool_choice: expected {', '.join(TOOL_CHOICES)} or a function")
    return name


def _response_format(given: Any) -> ResponseFormat | None:
    if given is None:
        return None
    if isinstance(given, type) and issubclass(given, BaseModel):
        return format_of(given)
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return ResponseFormat("answer", {"type": "object"})
    inner = given.get("json_schema", given) if isinstance(given, Mapping) else {}
    if kind != "json_schema" or not isinstance(inner.get("schema"), Mapping):
        raise ConfigError(
            "response_format: expected text, json_object or json_schema with a schema"
        )
    return ResponseFormat(str(inner.get("name") or "answer"), dict(inner["schema"]))


def chat_completion(model: str, responses: Sequence[Response]) -> dict[str, Any]:
    """Return the body of the answer that has these responses as its choices."""
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [_choice(index, response) for index, response in enumerate(responses)],
        "usage": chat_usage(responses),
    }


def chat_usage(responses: Sequence[Response]) -> dict[str, Any] | None:
    """Return the tokens of responses, and their cost; None if tokens are unknown."""
    sent = [response.usage.input_tokens for response in responses]
    received = [response.usage.output_tokens for response in responses]
    if None in sent or None in received:
        return None
    costs = [response.cost for response in responses]
    tokens = sum(cast("list[int]", sent)), sum(cast("list[int]", received))
    return {
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "total_tokens": sum(tokens),
        "cost": None if None in costs else sum(cast("list[float]", costs)),
    }


def _choice(index: int, response: Response) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": str(response.data)}
    if response.tool_calls:
        message["content"] = message["content"] or None
        message["tool_calls"] = [
            {
                "id": call.id or f"call_{place}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for place, call in enumerate(response.tool_calls)
        ]
    if response.thoughts:
        message["reasoning_content"] = response.thoughts
    reason = {"refusal": "stop"}.get(response.finish_reason, response.finish_reason)
    if reason not in ("stop", "length", "tool_calls", "content_filter"):
        reason = "stop"
    return {
        "index": index,
        "message": message,
        "logprobs": _logprobs(response),
        "finish_reason": reason,
    }


def _logprobs(response: Response) -> dict[str, Any] | None:
    if not response.logprobs:
        return None
    return {
        "content": [
            {
                "token": token.token,
                "logprob": token.logprob,
                "bytes": list(token.token.encode()),
                "top_logprobs": [
                    {"token": text, "logprob": value, "bytes": list(text.encode())}
                    for text, value in token.top
                ],
            }
            for token in response.logprobs
        ]
    }
