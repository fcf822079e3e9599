"""OpenAI's responses: requests written, answers read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ember_bench.models.schemas import is_strict
from ember_bench.models.types import TOOL_CHOICES, Completion, TokenLogprob, ToolCall
from ember_bench.models.wire.adapting import cache_key
from ember_bench.models.wire.chat_tools import tool_call
from ember_bench.models.wire.contents import content, joined, stated_error, written_thoughts
from ember_bench.models.wire.counts import field, metered, openai_usage, stated_usd
from ember_bench.models.wire.endings import Endings
from ember_bench.models.wire.failures import MalformedError, stated_failure
from ember_bench.models.wire.openai_chat import token_logprobs
from ember_bench.models.wire.thoughts import id_with, split_id

if TYPE_CHECKING:
    from ember_bench.models.call import Request
    from ember_bench.models.info import Feature
    from ember_bench.models.media import File, Image
    from ember_bench.models.types import Message, ToolDefinition

LACKS: Final[Mapping[Feature, str]] = {
    "thinking_tokens": "use reasoning_effort",
    "stop": "use `options: {api: chat}`",
    "seed": "use `options: {api: chat}`",
    **dict.fromkeys(
        ("top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty"),
        "use `options: {api: chat}`, if the server takes it there",
    ),
    "logit_bias": "use `options: {api: chat}`",
    "safety_settings": "",
    "audio": "use `options: {api: chat}`",
}

_PRO: Final = "pro"

# The phase of a message: said before tools are called, or to whoever asked.
_COMMENTARY: Final = "commentary"
_FINAL: Final = "final_answer"

ENDINGS: Final = Endings(
    ours={
        "completed": "stop",
        "max_output_tokens": "length",
        "content_filter": "content_filter",
    },
    explain_nothing=frozenset({"length", "content_filter", "refusal"}),
)
# A response that is queued or in progress has no answer yet, and is not asked for again by its id.
_FAILED: Final = ("failed", "cancelled", "queued", "in_progress")


def arguments(request: Request, reasoning_effort: str | None) -> dict[str, Any]:
    """Return the body of a request; what is not asked for is left out.

    Args:
        request: What is asked.
        reasoning_effort: For requests that do not give theirs.
    """
    asked, effort = request.parameters, request.parameters.reasoning_effort or reasoning_effort
    fields: dict[str, Any] = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "max_output_tokens": asked.max_tokens,
        "reasoning": _reasoning(effort),
        "service_tier": asked.service_tier,
        "metadata": asked.metadata,
        "prompt_cache_key": cache_key(request),
        "tool_choice": _tool_choice(asked.tool_choice),
        "parallel_tool_calls": asked.parallel_tool_calls,
        "top_logprobs": asked.top_logprobs or None,
    }
    included = ["message.output_text.logprobs"] if asked.top_logprobs is not None else []
    if request.tools and (effort is not None or request.model.reasoning_efforts):
        # To be given back with the tools' results; a model that does not reason refuses it.
        included.append("reasoning.encrypted_content")
    fields["include"] = included or None
    fields["tools"] = [*map(_tool, request.tools), *asked.server_tools] or None
    text: dict[str, Any] = {} if asked.verbosity is None else {"verbosity": asked.verbosity}
    if (wanted := request.response_format) is not None:
        schema = wanted.json_schema
        text["format"] = {
            "type": "json_schema",
            "name": wanted.name,
            "schema": schema,
            "strict": is_strict(schema),
        }
    fields["text"] = text or None
    return {
        "model": request.model.model_name,
        "input": [item for message in request.messages for item in _items(message)],
        # Else OpenAI keeps every prompt and answer for a month, for a later turn to refer to.
        "store": False,
        **{name: value for name, value in fields.items() if value is not None},
    }


def _reasoning(effort: str | None) -> dict[str, str] | None:
    if effort is None:
        return None
    # More work on the same question, at an effort that is another setting.
    return {"mode": effort} if effort == _PRO else {"effort": effort}


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.json_schema,
        "strict": is_strict(tool.json_schema),
    }


def _tool_choice(choice: str | None) -> str | dict[str, Any] | None:
    if choice is None or choice in TOOL_CHOICES:
        return choice
    return {"type": "function", "name": choice}


def _image(image: Image) -> dict[str, Any]:
    return {"type": "input_image", "image_url": image.url, "detail": image.detail or "auto"}


def _file(file: File) -> dict[str, Any]:
    where = {"file_url": file.data} if file.is_url else {"file_data": file.url}
    return {"type": "input_file", "filename": file.name, **where}


def _items(message: Message) -> Iterator[dict[str, Any]]:
    for number, call in enumerate(message.tool_calls):
        call_id, before = split_id(call.id)
        yield from (item for item in before if _type(item) == "reasoning" or _is_commentary(item))
        if number == 0 and message.content:
            yield {"role": message.role, "content": message.content}
        yield {
            "type": "function_call",
            "call_id": call_id,
            "name": call.name,
            "arguments": call.arguments,
        }
    if message.tool_calls:
        return
    if message.role == "tool":
        yield {
            "type": "function_call_output",
            "call_id": split_id(message.tool_call_id or "")[0],
            "output": message.content,
        }
    elif message.images or message.files:
        parts = [*map(_image, message.images), *map(_file, message.files)]
        if message.content:
            parts.append({"type": "input_text", "text": message.content})
        yield {"role": message.role, "content": parts}
    else:
        yield {"role": message.role, "content": message.content}


def completion(answer: Any) -> Completion:
    """Return the model's answer.

    Args:
        answer: The body, parsed; any field may be missing or of any type.

    Raises:
        UnreadableError: if there is no answer in it.
    """
    usage = field(answer, "usage")
    tier = field(answer, "service_tier")
    return metered(openai_usage(usage), stated_usd(usage), lambda: _completion(answer), tier)


def _completion(answer: Any) -> Completion:
    status, output = field(answer, "status"), field(answer, "output")
    error = stated_error(answer)
    if error or status in _FAILED:
        said = error or f"no reason given, status {status!r}"
        raise stated_failure(said, "failed: " if status == "failed" else "")
    if not isinstance(output, list):
        if isinstance(field(answer, "message"), str):
            raise stated_failure(answer)
        raise MalformedError("no output in it: ", answer)
    calls = tuple(_tool_calls(output))
    final, before = _phases(output, is_over=not calls)
    parts = [part for item in final for part in _parts(item)]
    said = content(parts)
    thoughts = (_spoken(item) for item in output if item in before or _type(item) == "reasoning")
    return ENDINGS.completion(
        _ending(answer, status, is_empty=not said.text),
        said.text,
        refusal=said.refusal,
        calls=calls,
        thoughts=joined((*thoughts, said.thoughts)),
        logprobs=tuple(_logprobs(parts)),
    )


def _type(item: Any) -> Any:
    return field(item, "type")


def _parts(item: Any) -> list[Any]:
    content = field(item, "content")
    return content if isinstance(content, list) else []


def _phases(output: list[Any], *, is_over: bool) -> tuple[list[Any], list[Any]]:
    """Return the messages that are the answer, and the commentary before it.

    Args:
        output: The items of a response.
        is_over: Whether the turn is, as no tool was called; then the answer may be called anything.
    """
    messages = [item for item in output if _type(item) == "message"]
    before = [item for item in messages if _is_commentary(item)]
    final = [item for item in messages if field(item, "phase") == _FINAL]
    if not final:
        final = [item for item in messages if not _is_commentary(item)]
    return (before, []) if is_over and not final else (final, before)


def _is_commentary(item: Any) -> bool:
    return bool(field(item, "phase") == _COMMENTARY)


def _spoken(item: Any) -> str:
    return content(_parts(item)).text if _type(item) == "message" else written_thoughts(item)


def _tool_calls(output: list[Any]) -> Iterator[ToolCall]:
    thoughts: list[Any] = []
    for item in output:
        kind = _type(item)
        if kind == "reasoning" and field(item, "encrypted_content"):
            thoughts.append(item)
        elif kind == "message" and _is_commentary(item) and (said := _spoken(item)):
            # The model is to know later that this was no answer.
            thoughts.append({"role": "assistant", "content": said, "phase": _COMMENTARY})
        elif kind == "function_call":
            call = tool_call(
                field(item, "call_id"),
                field(item, "name"),
                field(item, "arguments"),
            )
            yield msgspec.structs.replace(call, id=id_with(call.id, thoughts))
            thoughts = []


def _logprobs(contents: list[Any]) -> Iterator[TokenLogprob]:
    for part in contents:
        yield from token_logprobs(field(part, "logprobs"))


def _ending(answer: Any, status: Any, *, is_empty: bool) -> Any:
    if status == "incomplete":
        reason = field(field(answer, "incomplete_details"), "reason")
        if isinstance(reason, str):
            return reason
        # Not every server says why. A part of a text was cut off; nothing at all is not explained.
        return status if is_empty else "max_output_tokens"
    return "completed" if status is None else status
