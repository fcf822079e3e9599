"""Streams put together: of each wire's events, the body that the same answer has in one piece.

So each wire has one reader of answers, whichever way they come. Any field of an event may be
missing or of any type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ember_bench.models.wire.adapting import body_of, decoded
from ember_bench.models.wire.counts import field
from ember_bench.models.wire.failures import MalformedError
from ember_bench.models.wire.growing import grow, settled

_DONE: Final = b"[DONE]"


class Assembler:
    """Puts one wire's events together.

    Attributes:
        is_whole: The answer is all there: the stream said so, or why the answer ended.
        has_ended: Nothing that matters can follow.
        piece: What the last event added to the text of the (first) answer.
    """

    def __init__(self) -> None:
        self._body: dict[str, Any] = {}
        self._failed: dict[str, Any] | None = None
        self.is_whole = False
        self.has_ended = False
        self.piece = ""

    def add(self, name: bytes, data: bytes) -> bool:
        """Take an event; return whether it has a piece of the answer or of its thoughts.

        Raises:
            MalformedError: if it cannot be read.
        """
        self.piece = ""
        if data.strip() == _DONE:
            self.is_whole = self.has_ended = True
            return False
        event = body_of(data) if name == b"error" else decoded(data)
        if (error := _stated(name, event)) is not None:
            self._failed = {"error": error, "usage": field(event, "usage")}
            self.is_whole = self.has_ended = True
            return False
        if not isinstance(event, dict):
            raise MalformedError("an event that is no object: ", event)
        piece = self._piece(event)
        self.piece = piece if isinstance(piece, str) else ""
        return self._add(event)

    def body(self) -> Any:
        """Return what the API answers if it is not asked for a stream."""
        return self._failed or settled(self._whole())

    def _add(self, event: Mapping[str, Any]) -> bool:
        """Take an event that states no error; return what `add` returns."""
        raise NotImplementedError

    def _piece(self, event: Mapping[str, Any]) -> Any:
        """Return what an event adds to the text of the answer, of whatever type."""
        raise NotImplementedError

    def _whole(self) -> Any:
        """Return the body; texts in it may still be in pieces."""
        return self._body


def _stated(name: bytes, event: Any) -> Any:
    """Return the error that an event states; None if it states none."""
    error = field(event, "error")
    if error or not (name == b"error" or field(event, "type") == "error"):
        return error or None
    return event or "no reason given"


class ChatAssembler(Assembler):
    """Puts the chunks of chat completions together."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, dict[str, Any]] = {}

    def _add(self, event: Mapping[str, Any]) -> bool:
        has_piece = False
        for name, value in event.items():
            if name == "choices":
                for choice in _objects(value):
                    has_piece |= self._add_choice(choice)
            elif value is not None:
                self._body[name] = value
        return has_piece

    def _piece(self, event: Mapping[str, Any]) -> Any:
        choices = _objects(event.get("choices"))
        first = next((choice for choice in choices if _index(choice) == 0), None)
        return field(field(first, "delta"), "content")

    def _add_choice(self, choice: Mapping[str, Any]) -> bool:
        index = _index(choice)
        kept = self._choices.setdefault(index, {"index": index, "message": {}})
        delta = choice.get("delta")
        for name, value in choice.items():
            if value is None or name in ("index", "delta"):
                continue
            if name == "message":
                # Perplexity repeats all that was said beside each piece.
                if not isinstance(delta, dict):
                    kept["message"] = value
            elif name == "logprobs":
                _extend(kept.setdefault(name, {}), value)
            else:
                kept[name] = value
        self.is_whole = self.is_whole or choice.get("finish_reason") is not None
        if not isinstance(delta, dict) or not isinstance(kept["message"], dict):
            return "message" in choice
        grow(kept["message"], delta)
        return any(value for name, value in delta.items() if name != "role")

    def _whole(self) -> Any:
        body = dict(self._body)
        choices = [self._choices[index] for index in sorted(self._choices)]
        if "usage" not in body:
            # Moonshot counts beside a choice, Groq in an object of its own.
            counted = [choice.get("usage") for choice in choices]
            body["usage"] = next(filter(None, [*counted, field(body.get("x_groq"), "usage")]), None)
        return body | {"choices": choices}


class ResponsesAssembler(Assembler):
    """Takes the response that the last event of a stream of OpenAI's responses has."""

    _ENDS: Final = frozenset(
        {
            "response.completed",
            "response.incomplete",
            "response.failed",
            "response.cancelled",
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[int, Any] = {}

    def _add(self, event: Mapping[str, Any]) -> bool:
        kind = event.get("type")
        if isinstance(kind, str) and kind in self._ENDS:
            response = event.get("response")
            self._body = response if isinstance(response, dict) else {}
            self.is_whole = self.has_ended = True
        elif kind == "response.output_item.done":
            self._items[_index(event, "output_index")] = event.get("item")
            return True
        return isinstance(kind, str) and kind.endswith(".delta")

    def _piece(self, event: Mapping[str, Any]) -> Any:
        return event.get("delta") if event.get("type") == "response.output_text.delta" else None

    def _whole(self) -> Any:
        if self._items and not self._body.get("output"):
            # Some gateways leave out of the last event what they have sent before.
            return {**self._body, "output": [self._items[i] for i in sorted(self._items)]}
        return self._body


class MessagesAssembler(Assembler):
    """Puts the events of Anthropic's messages together."""

    _PIECES: Final[Mapping[str, tuple[str, str]]] = {
        "text_delta": ("text", "text"),
        "thinking_delta": ("thinking", "thinking"),
        "signature_delta": ("thinking", "signature"),
        "input_json_delta": ("tool_use", "partial_json"),
    }

    def __init__(self) -> None:
        super().__init__()
        self._blocks: dict[int, dict[str, Any]] = {}

    def _add(self, event: Mapping[str, Any]) -> bool:
        kind = event.get("type")
        if kind == "message_start":
            message = event.get("message")
            self._body = dict(message) if isinstance(message, dict) else {}
        elif kind == "content_block_start":
            block = event.get("content_block")
            self._blocks[_index(event)] = dict(block) if isinstance(block, dict) else {}
            return bool(field(block, "type") == "tool_use")
        elif kind == "content_block_delta":
            return self._add_piece(_index(event), event.get("delta"))
        elif kind == "message_delta":
            self._end(event)
        elif kind == "message_stop":
            self.is_whole = self.has_ended = True
        return False

    def _piece(self, event: Mapping[str, Any]) -> Any:
        delta = event.get("delta") if event.get("type") == "content_block_delta" else None
        return field(delta, "text") if field(delta, "type") == "text_delta" else None

    def _add_piece(self, index: int, delta: Any) -> bool:
        kind = field(delta, "type")
        if not isinstance(kind, str) or kind not in self._PIECES:
            return False
        of, name = self._PIECES[kind]
        # Not every gateway says that a block begins.
        block = self._blocks.setdefault(index, {"type": of})
        grow(block, {name: field(delta, name)}, once=frozenset())
        return True

    def _end(self, event: Mapping[str, Any]) -> None:
        delta, usage = event.get("delta"), event.get("usage")
        if isinstance(delta, dict):
            self._body |= {name: value for name, value in delta.items() if value is not None}
        if isinstance(usage, dict):
            # Counts are of all that was said so far; what is not repeated stays.
            known = self._body.get("usage")
            counts = {name: value for name, value in usage.items() if value is not None}
            self._body["usage"] = {**(known if isinstance(known, dict) else {}), **counts}
        self.is_whole = self.is_whole or self._body.get("stop_reason") is not None

    def _whole(self) -> Any:
        blocks = [self._block(self._blocks[index]) for index in sorted(self._blocks)]
        return {**self._body, "content": blocks or self._body.get("content")}

    def _block(self, block: Mapping[str, Any]) -> Mapping[str, Any]:
        pieces = settled(block.get("partial_json"))
        if not pieces or not isinstance(pieces, str):
            return block
        own = {name: value for name, value in block.items() if name != "partial_json"}
        try:
            return {**own, "input": decoded(pieces.encode(errors="surrogatepass"))}
        except MalformedError:
            # The limit of tokens may end an answer in the middle of a tool's arguments.
            was_cut = self._body.get("stop_reason") == "max_tokens"
            return {**own, "input": {} if was_cut else pieces}


class GeminiAssembler(Assembler):
    """Puts the parts of Gemini's answers together."""

    def __init__(self) -> None:
        super().__init__()
        self._candidates: dict[int, dict[str, Any]] = {}

    def _add(self, event: Mapping[str, Any]) -> bool:
        has_piece = False
        for name, value in event.items():
            if name == "candidates":
                for candidate in _objects(value):
                    has_piece |= self._add_candidate(candidate)
            elif name == "usageMetadata":
                # Each is of all that was said so far, and not each has every count.
                self._body.setdefault(name, {}).update(value if isinstance(value, dict) else {})
            elif value is not None:
                self._body[name] = value
        if isinstance(field(self._body.get("promptFeedback"), "blockReason"), str):
            self.is_whole = True
        self.has_ended = self.is_whole and "usageMetadata" in event
        return has_piece

    def _piece(self, event: Mapping[str, Any]) -> Any:
        candidates = _objects(event.get("candidates"))
        first = next((each for each in candidates if _index(each) == 0), None)
        parts = _objects(field(field(first, "content"), "parts"))
        texts = [part.get("text") for part in parts if not part.get("thought")]
        return "".join(text for text in texts if isinstance(text, str))

    def _add_candidate(self, candidate: Mapping[str, Any]) -> bool:
        index = _index(candidate)
        kept = self._candidates.setdefault(index, {"content": {"parts": []}, "logprobsResult": {}})
        parts = field(candidate.get("content"), "parts")
        parts = parts if isinstance(parts, list) else []
        kept["content"]["parts"] += parts
        for name, value in candidate.items():
            if name == "logprobsResult":
                _extend(kept[name], value)
            elif name != "content" and value is not None:
                kept[name] = value
        self.is_whole = self.is_whole or candidate.get("finishReason") is not None
        return bool(parts)

    def _whole(self) -> Any:
        if not self._candidates:
            return self._body
        candidates = [self._candidates[index] for index in sorted(self._candidates)]
        return {**self._body, "candidates": candidates}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _extend(known: dict[str, list[Any]], more: Any) -> None:
    """Add the next tokens to lists of tokens."""
    for kind, tokens in more.items() if isinstance(more, dict) else ():
        if isinstance(tokens, list):
            known.setdefault(kind, []).extend(tokens)


def _index(event: Mapping[str, Any], name: str = "index") -> int:
    index = event.get(name)
    return index if isinstance(index, int) else 0
