"""The providers' wire protocols from the server's side: the inverse of the adapters.

A wire reads a request back into our own types and writes our own `Completion` as the provider
would. So the conformance tests can say "what was asked is what was heard, and what was answered is
what came back" once, for every adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ember_bench.models.info import ModelInfo
from ember_bench.models.types import (
    Completion,
    Message,
    SamplingParameters,
    ToolDefinition,
)
from tests.support.loopback import Asked, Fault, json_reply

UNASKED = SamplingParameters()
KEY = "sk-secret-0123456789"


@dataclass(frozen=True)
class Heard:
    """A request as the provider's server understands it.

    Attributes:
        model: The model's name on the wire.
        messages: The conversation; the system prompt, wherever it was, comes first.
        schema: That the answer must follow.
        key: Sent with the request.
    """

    model: str
    messages: tuple[Message, ...]
    parameters: SamplingParameters = UNASKED
    schema: dict[str, Any] | None = None
    tools: tuple[ToolDefinition, ...] = ()
    key: str = KEY


class Wire(Protocol):
    """One provider's protocol."""

    def base_url(self, server: str) -> str:
        """Return the `base_url` of a model that is served at `server` (http://host:port)."""

    def heard(self, asked: Asked) -> Heard:
        """Read a request; fails on any field that it does not know."""

    def answer(self, completion: Completion) -> Any:
        """Return the body of a good answer."""

    def stream(self, body: Any) -> Iterator[bytes]:
        """Yield the events that a server sends of the body of a good answer."""

    def error(self, status: int, message: str) -> Any:
        """Return the body of an answer of that status."""

    @property
    def meaningless(self) -> list[Any]:
        """Bodies that are JSON, but no answer."""


@dataclass(frozen=True)
class Adapter:
    """An adapter as the conformance tests run it.

    Attributes:
        name: Shown in the test's id.
        provider: As it is registered.
        wire: What it speaks.
        package: That must be installed, as it is imported.
        model: The model's name, on the wire as well unless `wire_model` differs.
        options: Of the model.
        lacks: Features that its API has no place for.
        defaults: Parameters that are sent though they were not asked for.
        has_call_ids: Whether the protocol gives tool calls an id.
        refusal: The finish reason of a refused answer.
        aimock_reads_schemas: Whether aimock sees a tool's schema, in the spelling of this SDK.
        judges_errors: Whether the SDK takes an error in an answer of status 200 for a 422.
        gives_thoughts: Whether the SDK tells thoughts from the answer.
        transport: Of the model.
        stream: Of the model: whether its answers come as streams.
        extra: The package comes with an extra only, which CI has in an environment of its own.
    """

    name: str
    provider: str
    wire: Wire
    package: str
    model: str = "test-model"
    wire_model: str = "test-model"
    options: dict[str, Any] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()
    defaults: SamplingParameters = UNASKED
    has_call_ids: bool = True
    refusal: str = "refusal"
    aimock_reads_schemas: bool = True
    judges_errors: bool = False
    gives_thoughts: bool = True
    transport: Literal["direct", "sdk"] = "sdk"
    stream: bool = False
    extra: bool = False

    def info(self, server: str, **fields: Any) -> ModelInfo:
        """Return the model as it is registered, served at `server` (http://host:port)."""
        return ModelInfo.model_validate(
            {
                "model_id": f"{self.provider}:{self.model}",
                "provider": {"name": self.provider, "base_url": self.wire.base_url(server)},
                "options": self.options,
                "transport": self.transport,
                "stream": self.stream,
                "api_key": KEY,
                **fields,
            }
        )

    def reply(self, completion: Completion, **more: Any) -> Fault:
        """Return what a server sends of an answer."""
        return self.body_reply(self.wire.answer(completion), **more)

    def body_reply(self, body: Any, **more: Any) -> Fault:
        """Return what a server sends of the body of a good answer."""
        if not self.stream:
            return json_reply(body, **more)
        events = b"".join(self.wire.stream(body))
        return Fault(200, events, {"content-type": "text/event-stream"}, raw=True, **more)

    def __str__(self) -> str:
        return self.name


class Fields:
    """A JSON object that is read field by field, so that one nobody knows is noticed."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._left = dict(data)

    def take(self, name: str, default: Any = None) -> Any:
        """Return and remove a field."""
        return self._left.pop(name, default)

    def sub(self, name: str) -> Fields:
        """Return and remove a field that is an object itself; an empty one where it is missing."""
        return Fields(self._left.pop(name, None) or {})

    def finish(self) -> None:
        """See that nothing is left."""
        assert not self._left, f"the server does not know {self._left}"
