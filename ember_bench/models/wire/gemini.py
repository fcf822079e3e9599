"""Gemini's `generateContent`: requests written, answers read, whichever SDK carries them.

Requests are written with the SDKs' own names (`function_call`), which both of them take; answers
are read as the API writes them (`functionCall`).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ember_bench.errors import ConfigError
from ember_bench.models.extras import merged
from ember_bench.models.types import Completion, TokenLogprob, ToolCall
from ember_bench.models.wire.adapting import refused_penalties, tool_arguments
from ember_bench.models.wire.contents import stated_error
from ember_bench.models.wire.counts import field, gemini_usage, metered, stated_usd
from ember_bench.models.wire.endings import Endings
from ember_bench.models.wire.failures import MalformedError, WireErrors, stated_failure
from ember_bench.models.wire.thoughts import split_id

if TYPE_CHECKING:
    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Request
    from ember_bench.models.info import Feature
    from ember_bench.models.media import File, Image
    from ember_bench.models.types import Message, SamplingParameters

LACKS: Final[Mapping[Feature, str]] = {
    "min_p": "",
    "repetition_penalty": "use frequency_penalty",
    "logit_bias": "",
    "verbosity": "",
    "parallel_tool_calls": "",
    "metadata": "",
    "cache": "Gemini decides by itself",
    "image_detail": "",
}

_TOOL_MODES: Final[Mapping[str, str]] = {"auto": "AUTO", "none": "NONE", "required": "ANY"}

# The API's own bounds.
_MOST_STOPS: Final = 5
_TIERS: Final = ("standard", "flex", "priority")
_MOST_TEMPERATURE: Final = 2.0
_MOST_LOGPROBS: Final = 20
_MOST_SEED: Final = 2**31 - 1

ENDINGS: Final = Endings(
    ours={
        "stop": "stop",
        "max_tokens": "length",
        "continuation": "length",
        **dict.fromkeys(
            (
                "safety",
                "recitation",
                "language",
                "blocklist",
                "prohibited_content",
                "spii",
                "escalation",
                "model_armor",
                "pup_limited_disabled",
                "image_safety",
                "image_prohibited_content",
                "image_recitation",
            ),
            "content_filter",
        ),
    },
    explain_nothing=frozenset({"length", "content_filter"}),
    failed=frozenset({"other", "no_image", "image_other"}),
)

# Gemini 3 refuses a call that comes back without what it had thought before it, so that travels in
# the call's id, behind this mark.
_SIGNATURE: Final = "~thought:"
# Older models give calls no id; ours begins so and is not sent back.
_OWN_ID: Final = "#"


def refused_values(asked: SamplingParameters) -> Iterator[str]:
    """Yield what the API would answer with 400."""
    if asked.temperature is not None and asked.temperature > _MOST_TEMPERATURE:
        yield f"temperature: at most {_MOST_TEMPERATURE:g}, found {asked.temperature:g}"
    if len(asked.stop) > _MOST_STOPS:
        yield f"stop: at most {_MOST_STOPS} texts, found {len(asked.stop)}"
    if (asked.top_logprobs or 0) > _MOST_LOGPROBS:
        yield f"top_logprobs: at most {_MOST_LOGPROBS}, found {asked.top_logprobs}"
    yield from refused_penalties(asked)
    if asked.service_tier is not None and asked.service_tier not in _TIERS:
        yield f"service_tier: expected one of {', '.join(_TIERS)}; found {asked.service_tier!r}"
    if abs(asked.seed or 0) > _MOST_SEED:
        yield f"seed: at most {_MOST_SEED}, found {asked.seed}"
    if asked.reasoning_effort is not None and asked.thinking_tokens is not None:
        yield "reasoning_effort and thinking_tokens: give one of them"


def sampling(asked: SamplingParameters) -> dict[str, Any]:
    """Return the part of the generation config that every version has."""
    fields = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "frequency_penalty": asked.frequency_penalty,
        "presence_penalty": asked.presence_penalty,
        "max_output_tokens": asked.max_tokens,
        "stop_sequences": list(asked.stop) or None,
        "response_logprobs": None if asked.top_logprobs is None else True,
        "logprobs": asked.top_logprobs or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def choices(request: Request) -> dict[str, Any]:
    """Return what a request asks for beside sampling, as the config of google-genai has it."""
    asked = request.parameters
    declared = [
        {"name": t.name, "description": t.description, "parameters_json_schema": t.json_schema}
        for t in request.tools
    ]
    own = [{"function_declarations": declared}] if declared else []
    safety = (asked.safety_settings or {}).items()
    fields = {
        "tools": [*asked.server_tools, *own] or None,  # in the order in which the SDK sends them
        "tool_config": _tool_config(asked.tool_choice),
        "safety_settings": [{"category": c, "threshold": t} for c, t in safety] or None,
        "service_tier": asked.service_tier,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tool_config(choice: str | None) -> dict[str, Any] | None:
    if choice is None:
        return None
    if (mode := _TOOL_MODES.get(choice)) is not None:
        return {"function_calling_config": {"mode": mode}}
    return {"function_calling_config": {"mode": "ANY", "allowed_function_names": [choice]}}


def system(request: Request) -> str | None:
    """Return the system instruction."""
    return "\n\n".join(m.content for m in request.messages if m.role == "system") or None


def contents(request: Request, *, signed: bool = True) -> list[dict[str, Any]]:
    """Return the conversation; all results of one turn's tools are in one turn.

    Args:
        request: What is asked.
        signed: Send back what was thought before a tool was called.

    Raises:
        ConfigError: if a tool's result answers no call, or a call's arguments are no JSON object.
    """
    turns: list[dict[str, Any]] = []
    names: dict[str | None, str] = {}
    after_result = False
    for message in request.messages:
        if message.role == "system":
            continue
        if message.role == "tool":
            part = _result(message, names, request.model.model_id)
            if after_result:
                turns[-1]["parts"].append(part)
            else:
                turns.append({"role": "user", "parts": [part]})
        else:
            names |= {call.id: call.name for call in message.tool_calls}
            parts = list(_parts(message, request.model.model_id, signed))
            turns.append({"role": "model" if message.role == "assistant" else "user"})
            turns[-1]["parts"] = parts
        after_result = message.role == "tool"
    return turns


def resource(name: str) -> str:
    """Return a model's name as an address has it."""
    return name if name.startswith(("models/", "tunedModels/")) else f"models/{name}"


def body(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of the request that google-genai makes of `arguments`, in the API's names."""
    config = dict(arguments["config"])
    config.pop("automatic_function_calling", None)  # the SDK's own
    options = config.pop("http_options", None) or {}
    written: dict[str, Any] = {"contents": [_turn(turn) for turn in arguments["contents"]]}
    if (instruction := config.pop("system_instruction", None)) is not None:
        written["systemInstruction"] = {"parts": [{"text": instruction}], "role": "user"}
    if (tools := config.pop("tools", None)) is not None:
        written["tools"] = [
            {"functionDeclarations": [_renamed(each) for each in tool["function_declarations"]]}
            if "function_declarations" in tool
            else tool
            for tool in tools
        ]
    if (chosen := config.pop("tool_config", None)) is not None:
        calling = _renamed(chosen["function_calling_config"])
        written["toolConfig"] = {"functionCallingConfig": calling}
    for name in ("safety_settings", "service_tier"):
        if name in config:
            written[_CAMEL[name]] = config.pop(name)
    if (thinking := config.get("thinking_config")) is not None:
        config["thinking_config"] = _renamed(thinking)
    # Without any of it the SDK sends an empty one.
    return merged({**written, "generationConfig": _renamed(config)}, options.get("extra_body", {}))


def _turn(turn: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": turn["role"], "parts": [_part(part) for part in turn["parts"]]}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    written = dict(part)
    if (data := part.get("inline_data")) is not None:
        written["inline_data"] = _renamed({**data, "data": _base64(data["data"])})
    if (data := part.get("file_data")) is not None:
        written["file_data"] = _renamed(data)
    if (signature := part.get("thought_signature")) is not None:
        written["thought_signature"] = _base64(signature)
    return _renamed(written)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _renamed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with the API's names in place of the SDK's: `topP` for `top_p`."""
    return {_CAMEL[name]: value for name, value in fields.items()}


class _Camel(dict[str, str]):
    def __missing__(self, name: str) -> str:
        first, *others = name.split("_")
        camel = self[name] = first + "".join(map(str.capitalize, others))
        return camel


_CAMEL: Final = _Camel()


def _result(message: Message, names: Mapping[str | None, str], model_id: str) -> dict[str, Any]:
    if (name := names.get(message.tool_call_id)) is None:
        raise ConfigError(f"{model_id}: no tool call has the id {message.tool_call_id!r}")
    call_id, _ = _split_id(message.tool_call_id or "")
    return {"function_response": {**call_id, "name": name, "response": {"output": message.content}}}


def _parts(message: Message, model_id: str, signed: bool) -> Iterator[dict[str, Any]]:
    yield from map(_media, message.images)
    yield from map(_media, message.files)
    if message.content or not (message.images or message.files or message.tool_calls):
        yield {"text": message.content}
    for call in message.tool_calls:
        call_id, signature = _split_id(call.id)
        function = {**call_id, "name": call.name, "args": tool_arguments(call, model_id)}
        thought = {"thought_signature": signature} if signed and signature else {}
        yield {"function_call": function, **thought}


def _media(media: Image | File) -> dict[str, Any]:
    if media.is_url:
        return {"file_data": {"mime_type": media.media_type, "file_uri": media.data}}
    data = base64.b64decode(media.data)
    return {"inline_data": {"mime_type": media.media_type, "data": data}}


def _split_id(call_id: str) -> tuple[dict[str, str], bytes]:
    """Return the API's own id of a call as a field, if there is one, and the call's signature."""
    own, _, signature = split_id(call_id)[0].partition(_SIGNATURE)
    field = {"id": own} if own and not own.startswith(_OWN_ID) else {}
    return field, base64.urlsafe_b64decode(signature.replace("+", "-").replace("/", "_"))


def completion(answer: Any, *, stops: bool = False) -> Completion:
    """Return the model's answer.

    Args:
        answer: The body, parsed; any field may be missing or of any type.
        stops: Whether the request had stop sequences, which may end an answer at once.

    Raises:
        UnreadableError: if there is no answer in it.
    """
    usage = field(answer, "usageMetadata")
    return metered(gemini_usage(usage), stated_usd(usage), lambda: _completion(answer, stops))


def _completion(answer: Any, stops: bool) -> Completion:
    body = _object(answer)
    if error := stated_error(body):
        raise stated_failure(error)
    candidates = body.get("candidates")
    if not isinstance(candidates, list) or not candidates:
        if isinstance(_object(body.get("promptFeedback")).get("blockReason"), str):
            return Completion("", finish_reason="content_filter")
        raise MalformedError("no candidates in it: ", answer)
    candidate = _object(candidates[0])
    text, thoughts, calls = _read_parts(_object(candidate.get("content")).get("parts"))
    return ENDINGS.completion(
        candidate.get("finishReason"),
        text,
        calls=calls,
        thoughts=thoughts,
        logprobs=_logprobs(_object(candidate.get("logprobsResult"))),
        stopped=stops,
    )


def _read_parts(parts: Any) -> tuple[str, str, tuple[ToolCall, ...]]:
    """Return the text, the thoughts and the tool calls of an answer's parts."""
    text, thoughts = "", ""
    calls: list[ToolCall] = []
    for part in map(_object, parts if isinstance(parts, list) else ()):
        if "text" in part:
            if not isinstance(part["text"], str):
                raise MalformedError("a text that is none in it")
            if part.get("thought") is True:
                thoughts += part["text"]
            else:
                text += part["text"]
        elif "functionCall" in part:
            calls.append(_call(part, len(calls)))
    return text, thoughts, tuple(calls)


def _call(part: Mapping[str, Any], place: int) -> ToolCall:
    function = _object(part["functionCall"])
    name, arguments, call_id = function.get("name"), function.get("args", {}), function.get("id")
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise MalformedError("a tool call that cannot be read")
    own = call_id if isinstance(call_id, str) and call_id else f"{_OWN_ID}{place}"
    signature = part.get("thoughtSignature")
    mark = f"{_SIGNATURE}{signature}" if isinstance(signature, str) and signature else ""
    return ToolCall(own + mark, name, json.dumps(arguments))


def _logprobs(result: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    """Return the tokens of an answer; none where the server gives none, or not in this form."""
    chosen, others = result.get("chosenCandidates"), result.get("topCandidates")
    others = others if isinstance(others, list) else []
    found = []
    for place, entry in enumerate(chosen if isinstance(chosen, list) else ()):
        if (own := _logprob(entry)) is None:
            return ()
        beside = _object(others[place]).get("candidates") if place < len(others) else None
        top = map(_logprob, beside if isinstance(beside, list) else ())
        found.append(TokenLogprob(*own, tuple(pair for pair in top if pair is not None)))
    return tuple(found)


def _logprob(entry: Any) -> tuple[str, float] | None:
    # A field whose value is the default, such as a certain token's 0, may be left out.
    token, value = _object(entry).get("token"), _object(entry).get("logProbability", 0.0)
    if not isinstance(token, str) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return token, float(value)


def refusal(
    errors: WireErrors, status: int, said: object, headers: Mapping[str, str], body: Any
) -> ProviderError:
    """Return the error for an HTTP status that is no success.

    Args:
        errors: Of the model.
        status: The HTTP status.
        said: For bodies without a message.
        headers: Of the response.
        body: The response, parsed. How long to wait stands in it, and only rarely in a header.
    """
    error = _object(_object(body[0] if isinstance(body, list) and body else body).get("error"))
    message, details = error.get("message"), error.get("details")
    for detail in map(_object, details if isinstance(details, list) else ()):
        kind = str(detail.get("@type")).rpartition(".")[2]
        if kind == "RetryInfo" and "retry-after" not in headers:
            headers = {"retry-after": str(detail.get("retryDelay")).removesuffix("s")}
    said = message if isinstance(message, str) and message else said
    usage = gemini_usage(field(body, "usageMetadata"))
    return errors.status(status, said, headers, body=body, usage=usage)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
