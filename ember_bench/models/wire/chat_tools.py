"""Tool calls of chat completions, and what was thought before them.

Servers that let a model think between its tools want its thoughts back beside the calls, in the
fields in which they sent them. They travel in the id of the message's first call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ember_bench.errors import ProviderError
from ember_bench.models.types import ToolCall
from ember_bench.models.wire.contents import parted_thoughts, written_thoughts
from ember_bench.models.wire.counts import field
from ember_bench.models.wire.failures import MalformedError
from ember_bench.models.wire.thoughts import id_with, split_id

if TYPE_CHECKING:
    from ember_bench.models.call import Request
    from ember_bench.models.types import Completion, Message

# In a message: DeepSeek's and vLLM's, OpenRouter's, Ollama's, litellm's.
_THOUGHTS: Final = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "reasoning_details",
    "thinking_blocks",
)

# The first of these that an answer has is all that its server wants back (OpenRouter's, litellm's);
# without any, all fields of plain text (DeepSeek's, Moonshot's, vLLM's) go back as they came.
_SIGNED_THOUGHTS: Final = ("reasoning_details", "thinking_blocks")
_PLAIN_THOUGHTS: Final = ("reasoning_content", "reasoning", "thinking")
# Of a call, not of its message: Google's signature of thoughts.
_OF_CALL: Final = "extra_content"
# In the id of a call: the fields of its message, and those of its own.
_IN_MESSAGE, _IN_CALL = "message", "call"
# Groq and Mistral, say, know no such fields in messages that they are sent.
_FIELD: Final = (
    r"(?:\b(?:reasoning_details|thinking_blocks|reasoning_content|extra_content)\b"
    r"|['\"`.](?:reasoning|thinking)['\"`])"
)
_UNKNOWN: Final = (
    r"\b(?:unsupported|unknown|unrecognized|unexpected|forbidden"
    r"|not (?:supported|permitted|allowed))"
)
_REFUSED_THOUGHTS: Final = re.compile(
    rf"{_FIELD}[^.]{{0,60}}{_UNKNOWN}|{_UNKNOWN}[^.]{{0,60}}{_FIELD}", re.IGNORECASE
)


class ReturnedThoughts:
    """Whether one server is given thoughts back: until it says that it knows no field for them.

    Attributes:
        wanted: Whether the next request has them.
    """

    def __init__(self) -> None:
        self.wanted = True

    async def ask(self, request: Request, ask: Callable[[], Awaitable[Completion]]) -> Completion:
        """Return what `ask` returns; asks again, without thoughts, where they are refused."""
        returned = self.wanted and _has_thoughts(request)
        try:
            return await ask()
        except ProviderError as error:
            if not (returned and _refuses_thoughts(error)):
                raise
        self.wanted = False
        return await ask()


def _has_thoughts(request: Request) -> bool:
    return any(split_id(call.id)[1] for m in request.messages for call in m.tool_calls)


def _refuses_thoughts(error: ProviderError) -> bool:
    return error.status in (400, 422) and _REFUSED_THOUGHTS.search(str(error)) is not None


def calling(message: Message, *, thoughts: bool) -> dict[str, Any]:
    """Return the fields of a message that calls tools.

    Args:
        message: The message.
        thoughts: Give back what was thought before the calls.
    """
    calls: list[dict[str, Any]] = []
    beside: dict[str, Any] = {}
    for call in message.tool_calls:
        call_id, kept = split_id(call.id)
        function = {"name": call.name, "arguments": call.arguments}
        calls.append({"id": call_id, "type": "function", "function": function})
        for fields in kept if thoughts else ():
            beside |= _known(field(fields, _IN_MESSAGE), *_THOUGHTS, "content")
            calls[-1] |= _known(field(fields, _IN_CALL), _OF_CALL)
    said: Any = message.content or None
    if (parts := beside.pop("content", None)) is not None:
        said = [*parts, {"type": "text", "text": said}] if said else parts
    return {"content": said, "tool_calls": calls, **beside}


def _known(fields: Any, *names: str) -> dict[str, Any]:
    """Return those of `fields` that another wire format cannot have put into a call's id."""
    return {name: value for name in names if (value := field(fields, name)) is not None}


def thoughts_beside(message: Any) -> str:
    """Return thoughts that stand beside the content, under one of the names that servers use."""
    for name in _THOUGHTS:
        written = field(message, name)
        if written and (thoughts := written_thoughts(written)):
            return thoughts
    return ""


def tool_calls(message: Any) -> Iterator[ToolCall]:
    """Yield the calls of a message, of whose fields any may be missing or of any type.

    Raises:
        MalformedError: if one cannot be read.
    """
    calls, older = field(message, "tool_calls"), field(message, "function_call")
    if not calls and isinstance(older, dict):
        calls = [{"function": older}]
    if not calls or not isinstance(calls, list):
        return
    thoughts = {_IN_MESSAGE: before} if (before := _given_back(message)) else {}
    for call in calls:
        function = field(call, "function")
        read = tool_call(
            field(call, "id"),
            field(function, "name"),
            field(function, "arguments"),
        )
        if own := _known(call, _OF_CALL):
            thoughts[_IN_CALL] = own
        yield msgspec.structs.replace(read, id=id_with(read.id, [thoughts] if thoughts else []))
        thoughts = {}


def _given_back(message: Any) -> dict[str, Any]:
    """Return the thoughts of a message that calls tools as its server wants to have them back."""
    for name in _SIGNED_THOUGHTS:
        if (signed := field(message, name)) and isinstance(signed, list):
            return {name: signed}
    plain = {name: field(message, name) for name in _PLAIN_THOUGHTS}
    if parts := parted_thoughts(field(message, "content")):
        plain["content"] = parts
    return {name: value for name, value in plain.items() if value}


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
