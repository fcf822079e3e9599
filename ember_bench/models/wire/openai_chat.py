"""OpenAI's chat completions: requests written, answers read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ember_bench.models.schemas import is_strict
from ember_bench.models.types import Completion, TokenLogprob, ToolCall, Usage
from ember_bench.models.wire.adapting import (
    MalformedError,
    WireErrors,
    data_url,
    field,
    token_count,
)

if TYPE_CHECKING:
    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Call
    from ember_bench.models.info import Feature
    from ember_bench.models.types import Message, SamplingParameters, ToolDefinition

LACKS: Final[Mapping[Feature, str]] = {"thinking_tokens": "use reasoning_effort"}

# An answer that was cut off before its first word is an answer all the same.
_MAY_BE_EMPTY: Final = frozenset({"length", "content_filter"})

# What OpenAI writes for a token that is very unlikely; no JSON has minus infinity.
_LEAST_LOGPROB: Final = -9999.0

# The API's own bounds.
_MOST_TEMPERATURE: Final = 2.0
_MOST_STOPS: Final = 4
_MOST_TOP_LOGPROBS: Final = 20


def refused_values(asked: SamplingParameters) -> Iterator[str]:
    """Yield what OpenAI would answer with 400."""
    if asked.temperature is not None and asked.temperature > _MOST_TEMPERATURE:
        yield f"temperature: at most {_MOST_TEMPERATURE:g}, found {asked.temperature:g}"
    if len(asked.stop) > _MOST_STOPS:
        yield f"stop: at most {_MOST_STOPS} texts, found {len(asked.stop)}"
    if asked.top_logprobs is not None and asked.top_logprobs > _MOST_TOP_LOGPROBS:
        yield f"top_logprobs: at most {_MOST_TOP_LOGPROBS}, found {asked.top_logprobs}"


def arguments(call: Call, max_tokens_field: str, reasoning_effort: str | None) -> dict[str, Any]:
    """Return the body of a request; what is not asked for is left out.

    Args:
        call: What is asked, and where.
        max_tokens_field: What the server calls `max_tokens`.
        reasoning_effort: For requests that do not give theirs.
    """
    request, asked = call.request, call.request.parameters
    fields: dict[str, Any] = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        max_tokens_field: asked.max_tokens,
        "stop": list(asked.stop) or None,
        "seed": call.seed,
        "reasoning_effort": asked.reasoning_effort or reasoning_effort,
        "logprobs": None if asked.top_logprobs is None else True,
        "top_logprobs": asked.top_logprobs or None,
        "tools": [_tool(tool) for tool in request.tools] or None,
    }
    if (wanted := request.response_format) is not None:
        schema = wanted.json_schema
        fields["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": wanted.name, "schema": schema, "strict": is_strict(schema)},
        }
    return {
        "model": request.model.model_name,
        "messages": [_message(message) for message in request.messages],
        **{name: value for name, value in fields.items() if value is not None},
    }


def _message(message: Message) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.images:
        parts: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": data_url(image)}} for image in message.images
        ]
        if message.content:
            parts.append({"type": "text", "text": message.content})
        written["content"] = parts
    if message.tool_calls:
        written["content"] = message.content or None
        written["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        written["tool_call_id"] = message.tool_call_id
    return written


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.json_schema,
    }
    # Not every server knows the word.
    strict = {"strict": True} if is_strict(tool.json_schema) else {}
    return {"type": "function", "function": {**function, **strict}}


def completion(answer: Any) -> Completion:
    """Return what the model answered.

    Args:
        answer: The body, parsed; any field may be missing or of any type.

    Raises:
        MalformedError: if it cannot be read.
    """
    choices = field(answer, "choices")
    if not isinstance(choices, list) or not choices:
        raise MalformedError("no choices in it: ", answer)
    message = field(choices[0], "message")
    text, reason = field(message, "content"), field(choices[0], "finish_reason")
    reason = reason if isinstance(reason, str) else "unknown"
    calls = tuple(_tool_calls(field(message, "tool_calls")))
    if text is None and isinstance(refusal := field(message, "refusal"), str):
        text, reason = refusal, "refusal"
    if text is None and (calls or reason in _MAY_BE_EMPTY):
        text = ""
    if not isinstance(text, str):
        raise MalformedError(f"no text in it, finish reason {reason!r}")
    if calls and reason not in _MAY_BE_EMPTY:
        # Some servers say `stop` or `function_call`.
        reason = "tool_calls"
    logprobs = field(field(choices[0], "logprobs"), "content")
    return Completion(
        text,
        _usage(field(answer, "usage")),
        reason,
        tool_calls=calls,
        logprobs=token_logprobs(logprobs),
    )


def refusal(
    errors: WireErrors, status: int, headers: Mapping[str, str], body: Any
) -> ProviderError:
    """Return the error for a status that is no success; `body` is parsed, or text if no JSON."""
    error = field(body, "error") or body
    said = field(error, "message")
    # An exhausted budget answers with 429 too, and no waiting helps.
    final = field(error, "code") == "insufficient_quota"
    said = said if isinstance(said, str) and said else error
    return errors.status(status, said, headers, final=final)


def _tool_calls(calls: Any) -> Iterator[ToolCall]:
    for call in calls if isinstance(calls, list) else ():
        function = field(call, "function")
        yield tool_call(
            field(call, "id"),
            field(function, "name"),
            field(function, "arguments"),
        )


def tool_call(call_id: Any, name: Any, written: Any) -> ToolCall:
    """Return a tool call, of whose fields any may be missing or of any type.

    Raises:
        MalformedError: if it names no tool, or its arguments are no text.
    """
    if isinstance(written, dict):
        written = json.dumps(written)  # as some servers have it
    if not isinstance(name, str) or not isinstance(written, str | None):
        raise MalformedError("a tool call that cannot be read")
    return ToolCall(call_id if isinstance(call_id, str) else "", name, written or "{}")


def token_logprobs(tokens: Any) -> tuple[TokenLogprob, ...]:
    """Return the tokens of an answer; none where the server gives none, or not in this form."""
    found = []
    for entry in tokens if isinstance(tokens, list) else ():
        own = _logprob(entry)
        if own is None:
            return ()
        others = field(entry, "top_logprobs")
        top = map(_logprob, others if isinstance(others, list) else ())
        found.append(TokenLogprob(*own, tuple(pair for pair in top if pair is not None)))
    return tuple(found)


def _logprob(entry: Any) -> tuple[str, float] | None:
    token, value = field(entry, "token"), field(entry, "logprob")
    if not isinstance(token, str) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return token, max(float(value), _LEAST_LOGPROB)


def _usage(usage: Any) -> Usage:
    """Return the tokens as counted by the server, 0 where it does not say."""
    sent, received = token_count(usage, "prompt_tokens"), token_count(usage, "completion_tokens")
    inside = field(usage, "prompt_tokens_details")
    outside = field(usage, "completion_tokens_details")
    cached = min(token_count(inside, "cached_tokens"), sent)
    return Usage(
        sent,
        received,
        cached,
        token_count(outside, "reasoning_tokens"),
        min(token_count(inside, "cache_write_tokens"), sent - cached),
        min(token_count(inside, "audio_tokens"), sent),
        token_count(outside, "audio_tokens"),
    )
