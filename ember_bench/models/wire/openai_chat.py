"""OpenAI's chat completions: requests written, answers read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ember_bench.models.media import AUDIO
from ember_bench.models.schemas import is_strict
from ember_bench.models.types import TOOL_CHOICES, Completion, TokenLogprob
from ember_bench.models.wire.adapting import cache_key, refused_penalties, whole
from ember_bench.models.wire.chat_tools import calling, thoughts_beside, tool_calls
from ember_bench.models.wire.contents import content, stated_error
from ember_bench.models.wire.counts import field, metered, openai_usage, stated_usd
from ember_bench.models.wire.endings import Endings
from ember_bench.models.wire.failures import MalformedError, WireErrors, stated_failure
from ember_bench.models.wire.thoughts import split_id

if TYPE_CHECKING:
    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Call
    from ember_bench.models.info import Feature
    from ember_bench.models.media import File, Image
    from ember_bench.models.types import Message, SamplingParameters, ToolDefinition

LACKS: Final[Mapping[Feature, str]] = {
    "thinking_tokens": "use reasoning_effort",
    "safety_settings": "",
    "file_urls": "",
    "cache": "the server decides by itself; where it has a field for that, use extra_body",
}

OPENAI_LACKS: Final[Mapping[Feature, str]] = {
    "thinking_tokens": "use reasoning_effort",
    "safety_settings": "",
    "file_urls": "use `options: {api: responses}`",
    "top_k": "",
    "min_p": "",
    "repetition_penalty": "use frequency_penalty",
    "server_tools": "use `options: {api: responses}`",
    "metadata": "OpenAI takes it with answers that it stores; use `options: {api: responses}`",
}
"""What OpenAI and Azure lack, of what other servers of chat completions take."""

ENDINGS: Final = Endings(
    ours={
        "stop": "stop",
        "complete": "stop",
        "end_turn": "stop",
        "eos": "stop",
        "eos_token": "stop",
        "stop_sequence": "stop",
        "length": "length",
        "max_length": "length",
        "max_output_tokens": "length",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "model_length": "length",
        "content_filter": "content_filter",
        "content_filtered": "content_filter",
        "error_toxic": "content_filter",
        "guardrail_intervened": "content_filter",
        "prohibited_content": "content_filter",
        "recitation": "content_filter",
        "safety": "content_filter",
        "sensitive": "content_filter",
        "refusal": "refusal",
        "function_call": "tool_calls",
        "tool_calls": "tool_calls",
        "tool_use": "tool_calls",
    },
    explain_nothing=frozenset({"length", "content_filter", "refusal"}),
)

# In a choice: the stop sequence that ended it (vLLM, SGLang).
_MATCHED_STOPS: Final = ("stop_reason", "matched_stop")

# What OpenAI writes for a token that is very unlikely; no JSON has minus infinity.
_LEAST_LOGPROB: Final = -9999.0

# The API's own bounds.
_MOST_TEMPERATURE: Final = 2.0
_MOST_STOPS: Final = 4
_MOST_TOP_LOGPROBS: Final = 20


def refused_values(asked: SamplingParameters, *, chat: bool = True) -> Iterator[str]:
    """Yield what OpenAI would answer with 400.

    Args:
        asked: The parameters.
        chat: Whether chat completions are asked, and not responses.
    """
    if asked.temperature is not None and asked.temperature > _MOST_TEMPERATURE:
        yield f"temperature: at most {_MOST_TEMPERATURE:g}, found {asked.temperature:g}"
    if len(asked.stop) > _MOST_STOPS:
        yield f"stop: at most {_MOST_STOPS} texts, found {len(asked.stop)}"
    yield from refused_penalties(asked)
    if chat and asked.reasoning_effort == "pro":
        yield "reasoning_effort: `pro` needs `options: {api: responses}`"
    if asked.top_logprobs is not None and asked.top_logprobs > _MOST_TOP_LOGPROBS:
        yield f"top_logprobs: at most {_MOST_TOP_LOGPROBS}, found {asked.top_logprobs}"


def arguments(
    call: Call, max_tokens_field: str, reasoning_effort: str | None, *, thoughts: bool = True
) -> dict[str, Any]:
    """Return the body of a request; what is not asked for is left out.

    Args:
        call: What is asked, and where.
        max_tokens_field: What the server calls `max_tokens`.
        reasoning_effort: For requests that do not give theirs.
        thoughts: Give back what was thought before a tool was called.
    """
    request, asked = call.request, call.request.parameters
    fields: dict[str, Any] = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "min_p": asked.min_p,
        "frequency_penalty": asked.frequency_penalty,
        "presence_penalty": asked.presence_penalty,
        "repetition_penalty": asked.repetition_penalty,
        "logit_bias": _bias(asked),
        "verbosity": asked.verbosity,
        "service_tier": asked.service_tier,
        "metadata": asked.metadata,
        "prompt_cache_key": cache_key(request),
        max_tokens_field: asked.max_tokens,
        "stop": list(asked.stop) or None,
        "seed": call.seed,
        "reasoning_effort": asked.reasoning_effort or reasoning_effort,
        "logprobs": None if asked.top_logprobs is None else True,
        "top_logprobs": asked.top_logprobs or None,
        "tools": [*map(_tool, request.tools), *asked.server_tools] or None,
        "tool_choice": _tool_choice(asked.tool_choice),
        "parallel_tool_calls": asked.parallel_tool_calls,
    }
    if (wanted := request.response_format) is not None:
        schema = wanted.json_schema
        fields["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": wanted.name, "schema": schema, "strict": is_strict(schema)},
        }
    return {
        "model": request.model.model_name,
        "messages": [_message(message, thoughts) for message in request.messages],
        **{name: value for name, value in fields.items() if value is not None},
    }


def _message(message: Message, thoughts: bool) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.images or message.files:
        parts = [*map(_image, message.images), *map(_file, message.files)]
        if message.content:
            parts.append({"type": "text", "text": message.content})
        written["content"] = parts
    if message.tool_calls:
        written |= calling(message, thoughts=thoughts)
    if message.tool_call_id is not None:
        written["tool_call_id"] = split_id(message.tool_call_id)[0]
    return written


def _image(image: Image) -> dict[str, Any]:
    detail = {} if image.detail is None else {"detail": image.detail}
    return {"type": "image_url", "image_url": {"url": image.url, **detail}}


def _file(file: File) -> dict[str, Any]:
    if file.is_pdf:
        return {"type": "file", "file": {"filename": file.name, "file_data": file.url}}
    written = {"data": file.data, "format": AUDIO.get(file.media_type, file.media_type)}
    return {"type": "input_audio", "input_audio": written}


def _bias(asked: SamplingParameters) -> dict[str, float] | None:
    if asked.logit_bias is None:
        return None
    return {token: whole(bias) for token, bias in asked.logit_bias.items()}


def _tool_choice(choice: str | None) -> str | dict[str, Any] | None:
    if choice is None or choice in TOOL_CHOICES:
        return choice
    return {"type": "function", "function": {"name": choice}}


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.json_schema,
    }
    # Not every server knows the word.
    strict = {"strict": True} if is_strict(tool.json_schema) else {}
    return {"type": "function", "function": {**function, **strict}}


def completion(answer: Any, *, stops: bool = False) -> Completion:
    """Return the model's answer.

    Args:
        answer: The body, parsed; any field may be missing or of any type.
        stops: Whether the request had stop sequences, which may end an answer at once.

    Raises:
        UnreadableError: if there is no answer in it.
    """
    usage = field(answer, "usage")
    tier = field(answer, "service_tier")
    read = partial(_completion, answer, stops)
    return metered(openai_usage(usage), stated_usd(usage), read, tier)


def _completion(answer: Any, stops: bool) -> Completion:
    if error := stated_error(answer):
        raise stated_failure(error)
    choices = field(answer, "choices")
    if not isinstance(choices, list) or not choices:
        if isinstance(field(answer, "message"), str):
            raise stated_failure(answer)
        raise MalformedError("no choices in it: ", answer)
    choice = choices[0]
    message = field(choice, "message")
    if error := field(choice, "error") or field(message, "error"):
        raise stated_failure(error)
    said = content(field(message, "content"))
    refusal = field(message, "refusal")
    matched = (field(choice, name) for name in _MATCHED_STOPS)
    return ENDINGS.completion(
        field(choice, "finish_reason"),
        said.text,
        refusal=said.refusal or (refusal if isinstance(refusal, str) else ""),
        calls=tuple(tool_calls(message)),
        thoughts=said.thoughts or thoughts_beside(message),
        logprobs=token_logprobs(field(field(choice, "logprobs"), "content")),
        stopped=stops or any(isinstance(stop, str) for stop in matched),
    )


def refusal(
    errors: WireErrors, status: int, headers: Mapping[str, str], body: Any
) -> ProviderError:
    """Return the error for a status that is no success; `body` is parsed, or text if no JSON."""
    # Google's servers put an object of this form into a list.
    told = body[0] if isinstance(body, list) and body else body
    error = field(told, "error") or told
    said = field(error, "message")
    said = said if isinstance(said, str) and said else error
    return errors.status(status, said, headers, body=body, usage=openai_usage(field(told, "usage")))


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
