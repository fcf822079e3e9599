"""Messages, sampling parameters and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from ember_bench.errors import ProviderError
from ember_bench.models.hashable import hashable
from ember_bench.models.media import File, Image

# Parameters that are numbers, and those that are JSON-like.
_FLOATS: Final = (
    "temperature",
    "top_p",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
)
_OBJECTS: Final = (
    "logit_bias",
    "server_tools",
    "safety_settings",
    "metadata",
    "headers",
    "extra_body",
)

TOOL_CHOICES: Final = ("auto", "none", "required")
"""Values of `tool_choice` that are no tool's name."""


class ToolDefinition(msgspec.Struct, frozen=True):
    """A tool that the model may ask for.

    Attributes:
        name: What the model calls it by: letters, digits, `_` and `-`.
        description: What it does, for the model to read.
        json_schema: Of its arguments, an object.
    """

    name: str
    description: str
    json_schema: dict[str, Any]


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """A model's wish to have a tool called.

    Attributes:
        id: By which the tool's result is given back; some providers have none.
        name: Of the tool.
        arguments: A JSON object, as the model wrote it: it need not fit the tool's schema.
    """

    id: str
    name: str
    arguments: str


class TokenLogprob(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One token of an answer, with its natural log-probability and those of the likeliest others.

    Attributes:
        top: (token, log-probability) of the likeliest tokens at this place.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class CutOff(str):
    """A text that its model did not end: its limit of tokens did, maybe in mid-word.

    It is the text in every other respect, and what is made of it (slices, prompts) is a plain one.
    """

    __slots__ = ()


class Message(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One message of a conversation.

    Attributes:
        images: Shown to the model before the text; only in a user's message.
        tool_calls: What the assistant asked for in this message.
        tool_call_id: Which of them a `tool` message answers.
        files: Documents and sounds, given to the model before the text; only in a user's message.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    files: tuple[File, ...] = ()

    def __post_init__(self) -> None:
        """Take a text that was cut off as any other: encoders know no kinds of texts."""
        if type(self.content) is CutOff:
            msgspec.structs.force_setattr(self, "content", str(self.content))


class SamplingParameters(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Parameters of a request; None stands for the model's own default.

    Each is part of the call's identity if it is given. `LMModuleConfig` describes them.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning_effort: str | None = None
    thinking_tokens: int | None = None
    top_logprobs: int | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: Mapping[str, float] | None = None
    verbosity: str | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    server_tools: tuple[Mapping[str, Any], ...] = ()
    safety_settings: Mapping[str, str] | None = None
    service_tier: str | None = None
    cache: bool | None = None
    metadata: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    extra_body: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Make equal what is equal: 1 and 1.0 are written differently in a call key."""
        for name in _FLOATS:
            if isinstance(value := getattr(self, name), int):
                msgspec.structs.force_setattr(self, name, float(value))
        if self.cache is False:
            msgspec.structs.force_setattr(self, "cache", None)
        if self.logit_bias:
            bias = {token: float(value) for token, value in self.logit_bias.items()}
            msgspec.structs.force_setattr(self, "logit_bias", bias)
        for name in _OBJECTS:
            if value := getattr(self, name):
                msgspec.structs.force_setattr(self, name, hashable(value))
            elif value == {}:
                msgspec.structs.force_setattr(self, name, None)


class ResponseFormat(msgspec.Struct, frozen=True):
    """A JSON schema that the answer must follow."""

    name: str
    json_schema: dict[str, Any]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens of one call.

    Cached, cache-writing and audio input tokens are part of the input. Reasoning and audio output
    tokens are part of the output. `Usage()` is that of an answer whose tokens nobody counted.

    Attributes:
        input_tokens: None if the server did not report it.
        output_tokens: None if the server did not report it.
        cached_input_tokens: Input that the provider read from its cache.
        reasoning_tokens: Output that the model thought.
        cache_write_tokens: Input that the provider wrote to its cache, for any duration.
        cache_write_1h_tokens: The part of `cache_write_tokens` that is kept for one hour.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    cache_write_1h_tokens: int = 0

    @property
    def total_tokens(self) -> int | None:
        """Input and output together; None if one of them is unknown."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens

    @property
    def known_tokens(self) -> int:
        """Input and output together, as far as they are known."""
        return (self.input_tokens or 0) + (self.output_tokens or 0)


class Completion(msgspec.Struct, frozen=True, gc=False):
    """A provider's answer to one request.

    Attributes:
        text: The model's answer, without its thoughts.
        usage: Tokens, as the provider counted them; unknown if it did not.
        finish_reason: `stop`, `length`, `tool_calls`, `refusal`, `content_filter`, or the
            provider's own word.
        cost_usd: The price. A provider sets it if it knows the exact price, for example from a
            recording; else it is computed from the price list.
        latency_seconds: How long the model took, if that is not this process's own clock
            (recorded and simulated answers); None if it was not measured.
        tool_calls: The tools that the model asks for; then the text may be empty.
        logprobs: The answer by token, if it was asked for and the provider gives it.
        thoughts: The model's thoughts, if the API gives them apart from the answer.
        stated_usd: The price that the server itself stated (a gateway's `usage.cost`). It is the
            cost if the price list gives none.
        service_tier: The service tier that the server stated. It decides the price.
        first_token_seconds: From the request to the first piece of the answer or of its thoughts;
            None if it did not come as a stream.
    """

    text: str
    usage: Usage = Usage()
    finish_reason: str = "stop"
    cost_usd: float | None = None
    latency_seconds: float | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    thoughts: str = ""
    stated_usd: float | None = None
    service_tier: str | None = None
    first_token_seconds: float | None = None


class UnusableAnswerError(ProviderError):
    """A model answered, and the answer cannot be used: it is empty, malformed or failed.

    The provider charges for it as for any answer.

    Attributes:
        usage: Tokens, as the provider counted them.
        stated_usd: The price that the server itself stated.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = True,
        status: int | None = None,
        retry_after: float | None = None,
        usage: Usage | None = None,
        stated_usd: float | None = None,
    ) -> None:
        super().__init__(message, retryable=retryable, status=status, retry_after=retry_after)
        self.usage = usage if usage is not None else Usage()
        self.cost_usd: float | None = None  # what the tokens cost is not known here
        self.stated_usd = stated_usd
        self.service_tier: str | None = None  # that of the request is charged


class Response(msgspec.Struct, frozen=True, gc=False):
    """A model's answer to one call, as the caller sees it.

    Attributes:
        data: The model's text without its thoughts; a `CutOff` if the limit of tokens ended it.
        model_id: The model.
        usage: Tokens of the call.
        cost: US dollars the call costs when it is made; None if it is unknown.
        latency: Seconds the model took, also when the answer came out of the response store; None
            if that was not recorded.
        finish_reason: `stop`, `length`, `tool_calls`, `refusal`, `content_filter`, or the
            provider's own word.
        stored: True if no new request was made for it.
        tool_calls: The tools that the model asks for.
        logprobs: The answer by token, if it was asked for and the provider gives it.
        thoughts: The model's thoughts: those that the API gives apart from the answer, then those
            that stood between marks in its text.
        first_token_seconds: From the request to the first piece of the answer or of its thoughts;
            None if it did not come as a stream.
    """

    data: str
    model_id: str
    usage: Usage
    cost: float | None
    latency: float | None
    finish_reason: str = "stop"
    stored: bool = False
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    thoughts: str = ""
    first_token_seconds: float | None = None

    def __str__(self) -> str:
        return self.data


class Subject(Protocol):
    """The benchmark item behind a call, for models that answer without reading the prompt.

    Simulated and recorded models are given it beside the request; no other provider looks at it.
    """

    @property
    def id(self) -> str:
        """The item's id within its dataset."""

    @property
    def digest(self) -> str:
        """Changes when the item's content does."""

    @property
    def target(self) -> str:
        """The right answer."""

    @property
    def answer_format(self) -> str:
        """The format of answers."""

    @property
    def choices(self) -> Sequence[str]:
        """The options, if there are any."""

    @property
    def difficulty(self) -> float | None:
        """In [0, 1], where known."""

    def accepts(self, text: str) -> bool:
        """Whether `text` is a right answer."""
