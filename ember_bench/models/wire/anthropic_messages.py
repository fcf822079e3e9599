"""Anthropic's messages: requests written, answers read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ember_bench.errors import ConfigError
from ember_bench.models.schemas import is_free_form, recursive_reference
from ember_bench.models.types import Completion, Message, ToolCall
from ember_bench.models.wire.adapting import tool_arguments
from ember_bench.models.wire.contents import joined, stated_error, written_thoughts
from ember_bench.models.wire.counts import anthropic_usage, field, metered, stated_usd
from ember_bench.models.wire.endings import Endings
from ember_bench.models.wire.failures import MalformedError, WireErrors, stated_failure
from ember_bench.models.wire.thoughts import id_with, split_id

if TYPE_CHECKING:
    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Request
    from ember_bench.models.info import Feature
    from ember_bench.models.media import File, Image
    from ember_bench.models.types import ResponseFormat, SamplingParameters, ToolDefinition

LACKS: Final[Mapping[Feature, str]] = {
    "seed": "",
    "top_logprobs": "",
    "min_p": "",
    "frequency_penalty": "",
    "presence_penalty": "",
    "repetition_penalty": "",
    "logit_bias": "",
    "verbosity": "use reasoning_effort",
    "safety_settings": "",
    "image_detail": "",
    "audio": "",
}

_MARK: Final[Mapping[str, str]] = {"type": "ephemeral"}  # kept for five minutes
_TIERS: Final = ("auto", "standard_only")
_TOOL_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "required": "any"}

# The API's own bounds.
_LEAST_THINKING_TOKENS: Final = 1024
_MOST_TEMPERATURE: Final = 1.0

_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})

ENDINGS: Final = Endings(
    ours={
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "refusal": "refusal",
        # Bedrock's, and those of gateways.
        "content_filter": "content_filter",
        "content_filtered": "content_filter",
        "guardrail_intervened": "content_filter",
    },
    explain_nothing=frozenset({"length", "content_filter", "refusal"}),
)


def refused_values(asked: SamplingParameters) -> Iterator[str]:
    """Yield what the API would answer with 400."""
    if asked.temperature is not None and asked.temperature > _MOST_TEMPERATURE:
        yield f"temperature: at most {_MOST_TEMPERATURE:g}, found {asked.temperature:g}"
    if asked.service_tier is not None and asked.service_tier not in _TIERS:
        yield f"service_tier: expected one of {', '.join(_TIERS)}; found {asked.service_tier!r}"
    if asked.metadata is not None and set(asked.metadata) != {"user_id"}:
        yield "metadata: expected `user_id` alone"
    if (thinking := asked.thinking_tokens) is not None:
        if thinking < _LEAST_THINKING_TOKENS:
            yield f"thinking_tokens: at least {_LEAST_THINKING_TOKENS}, found {thinking}"
        if asked.max_tokens is not None and thinking >= asked.max_tokens:
            yield (
                f"thinking_tokens: {thinking} leave nothing of max_tokens, {asked.max_tokens}, "
                "of which they are part"
            )
        if asked.temperature not in (None, _MOST_TEMPERATURE):
            yield f"temperature: a model that thinks takes no other than {_MOST_TEMPERATURE:g}"


def arguments(
    request: Request, max_tokens: int, reasoning_effort: str | None, thinking: str | None
) -> dict[str, Any]:
    """Return the body of a request; what is not asked for is left out.

    Args:
        request: What is asked.
        max_tokens: For requests that do not give theirs; the API insists on a number.
        reasoning_effort: For requests that do not give theirs.
        thinking: Its type, for requests without `thinking_tokens`.

    Raises:
        ConfigError: if the API cannot take it.
    """
    asked = request.parameters
    system = "\n\n".join(m.content for m in request.messages if m.role == "system")
    config = {
        "effort": asked.reasoning_effort or reasoning_effort,
        "format": _format(request.model.model_id, request.response_format),
    }
    fields: dict[str, Any] = {
        "system": _system(system, cached=bool(asked.cache)),
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "stop_sequences": list(asked.stop) or None,
        "service_tier": asked.service_tier,
        "metadata": asked.metadata,
        "cache_control": _MARK if asked.cache else None,  # at the end of the prompt
        "thinking": _thinking(request, thinking),
        "output_config": _given(config) or None,
        "tools": [*map(_tool, request.tools), *asked.server_tools] or None,
        "tool_choice": _tool_choice(asked),
    }
    return {
        "model": request.model.model_name,
        "messages": list(_turns(request)),
        # What is thought counts towards it.
        "max_tokens": asked.max_tokens or max_tokens + (asked.thinking_tokens or 0),
        **_given(fields),
    }


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _thinking(request: Request, kind: str | None) -> dict[str, Any] | None:
    budget = request.parameters.thinking_tokens
    if budget is None:
        return None if kind is None else {"type": kind}
    if request.messages[-1].role == "tool" and not _thought_before_calling(request):
        raise ConfigError(
            f"{request.model.model_id}: thinking_tokens cannot be given with a tool's result: the "
            "API wants to see what was thought before the tool was called, which stands in the id "
            "of a `ToolCall` of this model that was asked to think"
        )
    return {"type": "enabled", "budget_tokens": budget}


def _thought_before_calling(request: Request) -> bool:
    """Whether the tools whose results come last were called after some thinking."""
    asking = next((m for m in reversed(request.messages) if m.role == "assistant"), None)
    return bool(asking and asking.tool_calls and split_id(asking.tool_calls[0].id)[1])


def _format(model_id: str, wanted: ResponseFormat | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    from anthropic import transform_schema  # noqa: PLC0415 - takes a second

    if is_free_form(wanted.json_schema):
        raise ConfigError(
            f"{model_id}: the schema {wanted.name!r} has an object with properties of any name, "
            "which Anthropic's structured output cannot have"
        )
    if (reference := recursive_reference(wanted.json_schema)) is not None:
        raise ConfigError(
            f"{model_id}: the schema {wanted.name!r} refers to itself ({reference}), which "
            "Anthropic's structured output cannot have"
        )
    try:
        # Closes the objects, and says in words what the API does not enforce, such as bounds.
        schema = transform_schema(wanted.json_schema)
    except (ValueError, AssertionError) as error:
        raise ConfigError(f"{model_id}: the schema {wanted.name!r}: {error}") from None
    return {"type": "json_schema", "schema": schema}


def _system(text: str, *, cached: bool) -> str | list[dict[str, Any]] | None:
    # Prompts with the same system instruction share what stands before this mark.
    if text and cached:
        return [{"type": "text", "text": text, "cache_control": _MARK}]
    return text or None


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.json_schema,
    }


def _tool_choice(asked: SamplingParameters) -> dict[str, Any] | None:
    choice, parallel = asked.tool_choice, asked.parallel_tool_calls
    if choice is None and parallel is None:
        return None
    kind = _TOOL_CHOICES.get(choice or "auto")
    written: dict[str, Any] = {"type": kind} if kind else {"type": "tool", "name": choice}
    if parallel is not None and kind != "none":
        written["disable_parallel_tool_use"] = not parallel
    return written


def _turns(request: Request) -> Iterator[dict[str, Any]]:
    """Yield the conversation; all results of one turn's tools are in one turn."""
    results: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role == "tool":
            results.append(
                {
                    "type": "tool_result",
                    "tool_use_id": split_id(message.tool_call_id or "")[0],
                    "content": message.content,
                }
            )
            continue
        if results:
            yield {"role": "user", "content": results}
            results = []
        if message.role != "system":
            yield {"role": message.role, "content": _content(message, request.model.model_id)}
    if results:
        yield {"role": "user", "content": results}


def _source(media: Image | File) -> dict[str, Any]:
    if media.is_url:
        return {"type": "url", "url": media.data}
    return {"type": "base64", "media_type": media.media_type, "data": media.data}


def _content(message: Message, model_id: str) -> str | list[dict[str, Any]]:
    if not (message.images or message.files or message.tool_calls):
        return message.content
    blocks: list[dict[str, Any]] = [
        *({"type": "image", "source": _source(image)} for image in message.images),
        *({"type": "document", "source": _source(file)} for file in message.files),
    ]
    said = [{"type": "text", "text": message.content}] if message.content else []
    for call in message.tool_calls:
        call_id, kept = split_id(call.id)
        thoughts = [block for block in kept if field(block, "type") in _THOUGHTS]
        # A turn begins with what was thought, and says something at most once.
        blocks += [*thoughts, *said]
        said = []
        written = tool_arguments(call, model_id)
        blocks.append({"type": "tool_use", "id": call_id, "name": call.name, "input": written})
    return blocks + said


def completion(answer: Any) -> Completion:
    """Return the model's answer.

    Args:
        answer: The body, parsed; any field may be missing or of any type.

    Raises:
        UnreadableError: if there is no answer in it.
    """
    usage = field(answer, "usage")
    tier = field(usage, "service_tier")
    return metered(anthropic_usage(usage), stated_usd(usage), lambda: _completion(answer), tier)


def _completion(answer: Any) -> Completion:
    if error := stated_error(answer):
        raise stated_failure(error)
    content, said = field(answer, "content"), field(answer, "stop_reason")
    if isinstance(content, str):  # as some servers have it
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise MalformedError("no content in it: ", answer)
    text, calls, thoughts = "", [], []
    before_call: list[Any] = []
    for block in content:
        kind = field(block, "type")
        if kind == "text":
            text += _text(block)
        elif kind == "tool_use":
            calls.append(_call(block, before_call))
            before_call = []
        elif not isinstance(kind, str):
            raise MalformedError("a block of no type in it")
        elif kind in _THOUGHTS:
            before_call.append(block)
            thoughts.append(written_thoughts(field(block, "thinking")))
    refusal = ""
    if said == "refusal" and not text:
        why = field(field(answer, "stop_details"), "explanation")
        refusal = why if isinstance(why, str) else ""
    return ENDINGS.completion(
        said,
        text,
        refusal=refusal,
        calls=tuple(calls),
        thoughts=joined(thoughts),
        stopped=said == "stop_sequence",
    )


def refusal(
    errors: WireErrors, status: int, headers: Mapping[str, str], body: Any
) -> ProviderError:
    """Return the error for a status that is no success; `body` is parsed, or text if no JSON."""
    said = field(field(body, "error"), "message")
    said = said if isinstance(said, str) and said else body
    usage = anthropic_usage(field(body, "usage"))
    return errors.status(status, said, headers, body=body, usage=usage)


def _text(block: Any) -> str:
    text = field(block, "text")
    if not isinstance(text, str):
        raise MalformedError("a text block without text in it")
    return text


def _call(block: Any, thoughts: list[Any]) -> ToolCall:
    call_id, name = field(block, "id"), field(block, "name")
    written = field(block, "input")
    if not isinstance(name, str) or not isinstance(written, dict):
        raise MalformedError("a tool call that cannot be read")
    own = call_id if isinstance(call_id, str) else ""
    return ToolCall(id_with(own, thoughts), name, json.dumps(written))
