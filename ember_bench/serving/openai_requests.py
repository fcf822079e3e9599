"""Requests of OpenAI's APIs, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

import msgspec

from ember_bench.answers.formats import answer_format_names
from ember_bench.errors import did_you_mean
from ember_bench.models.types import Message
from ember_bench.serving.networks import Question
from ember_bench.serving.structured import Schema

MOST_CHOICES: Final = 128

# A network has its own sampling parameters, and its limits; these say nothing to it.
_NOT_USED: Final = frozenset(
    {"temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "seed"}
    | {"presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "user"}
    | {"metadata", "service_tier", "parallel_tool_calls", "reasoning_effort", "reasoning"}
    | {"verbosity", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prediction"}
    | {"max_output_tokens", "truncation", "include", "background", "max_tool_calls", "prompt"}
    | {"modalities", "do_sample", "type"}
)
# These would change what an answer is.
_NOT_SERVED: Final = frozenset(
    {"tools", "functions", "tool_choice", "function_call", "logprobs", "top_logprobs", "audio"}
    | {"web_search_options", "previous_response_id", "conversation"}
)
_READ: Final = frozenset(
    {"model", "messages", "input", "instructions", "stream", "stream_options", "n", "stop"}
    | {"response_format", "text", "store", "ember_bench"}
)
_HARMLESS: Final[tuple[Any, ...]] = (None, False, [], {}, "none", "auto", 0)


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
    """

    model: str
    question: Question
    n: int
    stop: tuple[str, ...]
    stream: bool
    with_usage: bool
    schema: Schema | None
    store: bool | None


def read_request(body: Any, api: Literal["chat", "responses"]) -> Asked:
    """Return what a request asks.

    Raises:
        RequestError: naming the field that is wrong.
    """
    if not isinstance(body, dict):
        raise RequestError("We could not parse the JSON body of your request: expected an object")
    _check_names(body)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("you must provide a model parameter", "model")
    messages = _chat_messages(body) if api == "chat" else _input_messages(body)
    schema = _schema(body.get("response_format"), "response_format")
    if api == "responses":
        text = body.get("text")
        schema = _schema(text.get("format") if isinstance(text, dict) else None, "text.format")
    options = body.get("stream_options")
    return Asked(
        model,
        _question(messages, body.get("ember_bench"), schema),
        _whole(body, "n", 1, MOST_CHOICES) if api == "chat" else 1,
        _stop(body.get("stop")),
        _flag(body, "stream") or False,
        isinstance(options, dict) and bool(options.get("include_usage")),
        schema,
        _flag(body, "store"),
    )


def _check_names(body: Mapping[str, Any]) -> None:
    for name, value in body.items():
        if name in _READ or name in _NOT_USED:
            continue
        if name not in _NOT_SERVED:
            hint = did_you_mean(name, [*_READ, *_NOT_USED])
            raise RequestError(f"Unrecognized request argument supplied: {name}{hint}", name)
        if value not in _HARMLESS:
            raise RequestError(
                f"{name} is not supported: the model is a network of models, which answers with a"
                " text",
                name,
                code="unsupported_parameter",
            )


def _chat_messages(body: Mapping[str, Any]) -> list[Message]:
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise RequestError("expected a list of messages, the last one from the user", "messages")
    return [_message(message, f"messages.{place}") for place, message in enumerate(given)]


def _input_messages(body: Mapping[str, Any]) -> list[Message]:
    given, found = body.get("input"), list[Message]()
    if isinstance(instructions := body.get("instructions"), str):
        found.append(Message("system", instructions))
    if isinstance(given, str):
        return [*found, Message("user", given)]
    if not isinstance(given, list) or not given:
        raise RequestError("expected a text or a list of messages", "input")
    return [*found, *(_message(entry, f"input.{place}") for place, entry in enumerate(given))]


def _message(given: Any, place: str) -> Message:
    if not isinstance(given, dict) or given.get("type", "message") != "message":
        raise RequestError(f"{place}: expected a message", place)
    role = {"developer": "system"}.get(given.get("role", ""), given.get("role"))
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
        texts.append(str(part.get("text", "")))
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
