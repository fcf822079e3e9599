"""Requests of OpenAI's APIs, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

import msgspec
from pydantic import ValidationError

from ember_bench.answers.formats import answer_format_names
from ember_bench.errors import did_you_mean
from ember_bench.models.types import Message
from ember_bench.operators.lm import LMModuleConfig
from ember_bench.plain_errors import plainly
from ember_bench.serving.networks import Question
from ember_bench.serving.structured import Schema

MOST_CHOICES: Final = 128

# Of both APIs, and of each.
_READ: Final = frozenset({"model", "stream", "stream_options", "store", "ember_bench"})
_READ_BY: Final[Mapping[str, frozenset[str]]] = {
    "chat": frozenset({"messages", "n", "stop", "response_format"}),
    "responses": frozenset({"input", "instructions", "text", "reasoning"}),
}
# Names of sampling parameters; `settle` says which a network uses.
_SAMPLING: Final = frozenset(
    {"temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "logit_bias"}
    | {"top_k", "min_p", "repetition_penalty", "reasoning_effort", "verbosity", "service_tier"}
    | {"max_tokens", "max_completion_tokens", "max_output_tokens"}
)
_FIELDS: Final[Mapping[str, str]] = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "reasoning.effort": "reasoning_effort",
    "text.verbosity": "verbosity",
}
# They change no answer: labels of a request, and how it may be computed.
_LABELS: Final = frozenset(
    {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
    | {"parallel_tool_calls", "max_tool_calls", "prediction"}
)
# They would change the answer; with these values, or null, they do not.
_NOT_SERVED: Final[Mapping[str, tuple[Any, ...]]] = {
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": (["text"],),
    "background": (False,),
    "truncation": ("disabled",),
    # There is no reasoning in the output.
    "include": ([], ["reasoning.encrypted_content"]),
    "audio": (),
    "conversation": (),
    "previous_response_id": (),
    "prompt": (),
    "web_search_options": (),
}
_ECHOED: Final = ("instructions", "metadata", "temperature", "top_p", "max_output_tokens", "user")
_STREAM_OPTIONS: Final = ("include_usage", "include_obfuscation")
# What a message of an earlier answer has beside its text says nothing.
_OF_MESSAGES: Final = frozenset({"role", "content", "type", "id", "status", "phase"})


class RequestError(Exception):
    """A request that cannot be answered; as OpenAI's API says so.

    Attributes:
        status: The HTTP status.
        parameter: The field that is wrong.
        code: OpenAI's word for it.
    """

    def __init__(
        self, message: str, parameter: str | None = None, *, status: int = 400, code: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.parameter = parameter
        self.code = code or None

    def body(self) -> dict[str, Any]:
        """Return it as the API writes it."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        if self.status == 429:
            kind = self.code or "rate_limit_exceeded"
        return {
            "message": str(self), "type": kind, "param": self.parameter, "code": self.code
        }  # fmt: skip


class Asked(msgspec.Struct, frozen=True):
    """A request.

    Attributes:
        model: Name of the network.
        question: What it is asked.
        n: Number of answers.
        stop: Texts before which an answer ends.
        stream: Whether the answer is sent as events.
        with_usage: Whether a stream ends with the usage.
        schema: What the answer must follow; None for any text.
        store: Whether calls are kept; None for as the server does.
        sampling: Sampling parameters by their names in the request, without those that are null.
        echoed: Fields of the request that stand in a response as they are.
    """

    model: str
    question: Question
    n: int
    stop: tuple[str, ...]
    stream: bool
    with_usage: bool
    schema: Schema | None
    store: bool | None
    sampling: Mapping[str, Any]
    echoed: Mapping[str, Any]


def read_request(body: Any, api: Literal["chat", "responses"]) -> Asked:
    """Return what a request asks.

    Raises:
        RequestError: naming the field that is wrong.
    """
    if not isinstance(body, dict):
        raise RequestError("We could not parse the JSON body of your request: expected an object")
    _check_names(body, api)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("you must provide a model parameter", "model")
    messages = _chat_messages(body) if api == "chat" else _input_messages(body)
    text, reasoning = _object(body, "text"), _object(body, "reasoning")
    schema = _schema(body.get("response_format"), "response_format")
    if api == "responses":
        schema = _schema(text.get("format"), "text.format")
    stream = _flag(body, "stream") or False
    return Asked(
        model,
        _question(messages, body.get("ember_bench"), schema),
        _whole(body, "n", 1, MOST_CHOICES) if api == "chat" else 1,
        _stop(body.get("stop")),
        stream,
        _with_usage(body, stream=stream),
        schema,
        _flag(body, "store"),
        _sampling(body, text, reasoning),
        {name: body[name] for name in _ECHOED if body.get(name) is not None},
    )


def field_of(name: str) -> str:
    """Return the field of `LMModuleConfig` that a sampling parameter of a request is."""
    return _FIELDS.get(name, name)


def _check_names(body: Mapping[str, Any], api: str) -> None:
    read = _READ | _READ_BY[api] | _SAMPLING | _LABELS
    for name, value in body.items():
        if name in read:
            continue
        if name not in _NOT_SERVED:
            hint = did_you_mean(name, read)
            raise RequestError(f"Unrecognized request argument supplied: {name}{hint}", name)
        if value is not None and value not in _NOT_SERVED[name]:
            raise RequestError(
                f"Unsupported parameter: '{name}' is not supported with this model, a network of"
                " models that answers with a text",
                name,
                code="unsupported_parameter",
            )


def _sampling(
    body: Mapping[str, Any], text: Mapping[str, Any], reasoning: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the sampling parameters that are given, checked."""
    given = {name: body[name] for name in sorted(_SAMPLING) if name in body}
    given["text.verbosity"] = text.get("verbosity")
    given["reasoning.effort"] = reasoning.get("effort")
    _check_inner("text", text, ("format", "verbosity"))
    _check_inner("reasoning", reasoning, ("effort",))
    given = {name: value for name, value in given.items() if value is not None}
    fields: dict[str, str] = {}
    for name, value in given.items():
        try:
            LMModuleConfig.model_validate({"model_name": "-", field_of(name): value}, strict=True)
        except ValidationError as error:
            raise RequestError(
                f"{name}: {plainly(error.errors()[0])} (found {value!r})", name
            ) from None
        twin = fields.setdefault(field_of(name), name)
        if given[twin] != value:
            raise RequestError(f"{twin} and {name} say the same; give one of them", name)
    return {name: given[name] for name in fields.values()}


def _check_inner(outer: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name, value in given.items():
        if value is not None and name not in known:
            place = f"{outer}.{name}"
            raise RequestError(
                f"Unsupported parameter: '{place}' is not supported with this model",
                place,
                code="unsupported_parameter",
            )


def _with_usage(body: Mapping[str, Any], *, stream: bool) -> bool:
    options = _object(body, "stream_options")
    if options and not stream:
        raise RequestError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    for name in options:
        if name not in _STREAM_OPTIONS:
            hint = did_you_mean(name, _STREAM_OPTIONS)
            raise RequestError(
                f"Unknown parameter: 'stream_options.{name}'{hint}", "stream_options"
            )
    return _flag(options, "include_usage") or False


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise RequestError(f"{name}: expected an object, found {value!r}", name)
    return value or {}


def _chat_messages(body: Mapping[str, Any]) -> list[Message]:
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise RequestError("expected a list of messages, the last one from the user", "messages")
    return [_message(message, f"messages.{place}") for place, message in enumerate(given)]


def _input_messages(body: Mapping[str, Any]) -> list[Message]:
    given, found = body.get("input"), list[Message]()
    instructions = body.get("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise RequestError("instructions: expected a text", "instructions")
    if instructions:
        found.append(Message("system", instructions))
    if isinstance(given, str):
        return [*found, Message("user", given)]
    if not isinstance(given, list) or not given:
        raise RequestError("expected a text or a list of messages", "input")
    return [*found, *(_message(entry, f"input.{place}") for place, entry in enumerate(given))]


def _message(given: Any, place: str) -> Message:
    if not isinstance(given, dict) or given.get("type", "message") not in ("message", "text"):
        raise RequestError(f"{place}: expected a message", place)
    for name, value in given.items():
        if name not in _OF_MESSAGES and value not in (None, []):
            raise RequestError(
                f"{place}.{name} is not supported", f"{place}.{name}", code="unsupported_parameter"
            )
    role = "system" if given.get("role") == "developer" else given.get("role")
    if role not in ("system", "user", "assistant"):
        raise RequestError(
            f"{place}.role: expected system, developer, user or assistant, found {role!r}",
            f"{place}.role",
        )
    return Message(cast("Any", role), _content(given.get("content"), f"{place}.content"))


def _content(given: Any, place: str) -> str:
    if isinstance(given, str):
        return given
    if not isinstance(given, list):
        raise RequestError(f"{place}: expected a text or a list of parts", place)
    texts = []
    for part in given:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("text", "input_text", "output_text"):
            raise RequestError(
                f"{place}: only text is supported, found {kind!r}", place, code="unsupported_value"
            )
        if not isinstance(part.get("text"), str):
            raise RequestError(f"{place}: a part of type {kind} needs a text", place)
        texts.append(part["text"])
    return "\n".join(texts)


def _question(messages: Sequence[Message], own: Any, schema: Schema | None) -> Question:
    *turns, last = messages
    if last.role != "user":
        raise RequestError("the last message must be the user's", "messages")
    own = {} if own is None else own
    if not isinstance(own, dict) or (rest := own.keys() - {"answer_format", "choices"}):
        unknown = f", found {', '.join(sorted(rest))}" if isinstance(own, dict) else ""
        raise RequestError(
            f"ember_bench: expected an object with answer_format and choices{unknown}",
            "ember_bench",
        )
    answer_format, choices = own.get("answer_format"), own.get("choices", [])
    if answer_format is not None and answer_format not in answer_format_names():
        hint = did_you_mean(str(answer_format), answer_format_names())
        raise RequestError(
            f"unknown answer format {answer_format!r}{hint}", "ember_bench.answer_format"
        )
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise RequestError("expected a list of texts", "ember_bench.choices")
    text = last.content if schema is None else schema.asked(last.content)
    return Question(text, tuple(turns), answer_format, tuple(choices))


def _schema(given: Any, place: str) -> Schema | None:
    if given is None or (isinstance(given, dict) and given.get("type", "text") == "text"):
        return None
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "json_object":
        return Schema(None)
    if kind != "json_schema":
        raise RequestError(f"{place}: expected text, json_object or json_schema", place)
    inner = given.get("json_schema", given)  # in the API of responses it is flat
    schema = inner.get("schema") if isinstance(inner, dict) else None
    if not isinstance(schema, dict):
        raise RequestError(f"{place}: the schema is missing", place)
    try:
        return Schema.checked(schema)
    except ValueError as error:
        raise RequestError(f"{place}: {error}", place) from None


def _stop(given: Any) -> tuple[str, ...]:
    texts = [given] if isinstance(given, str) else given or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RequestError("stop: expected a text or a list of texts", "stop")
    return tuple(text for text in texts if text)


def _flag(body: Mapping[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise RequestError(f"{name}: expected true or false, found {value!r}", name)
    return value


def _whole(body: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = body.get(name)
    if value is None:
        return least
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RequestError(f"{name}: expected {least} to {most}, found {value!r}", name)
    return value
