"""Bodies of answers as the events that a server sends of them when it is asked for a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_PIECE = 5
DONE = b"data: [DONE]\n\n"


def event(data: Any, name: str = "") -> bytes:
    """Return an event of JSON."""
    first = f"event: {name}\n" if name else ""
    return f"{first}data: {json.dumps(data)}\n\n".encode()


def pieces(text: str) -> list[str]:
    """Return a text in pieces; none of an empty one."""
    return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]


def chat(body: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the chunks of a chat completion."""
    chunk = {name: body[name] for name in ("id", "created", "model") if name in body}
    chunk["object"] = "chat.completion.chunk"
    for choice in body["choices"]:
        message, index = choice["message"], choice["index"]

        def said(delta: Any, index: int = index, **more: Any) -> bytes:
            return event({**chunk, "choices": [{"index": index, "delta": delta, **more}]})

        yield said({"role": message.get("role"), "content": ""})
        for detail in message.get("reasoning_details") or ():
            for piece in pieces(detail.get("text", "")):
                yield said({"reasoning_details": [{**detail, "text": piece}]})
            if "text" not in detail:
                yield said({"reasoning_details": [detail]})
        for name in ("reasoning_content", "reasoning", "content", "refusal"):
            for piece in pieces(message.get(name) or ""):
                yield said({name: piece}, finish_reason=None)
        for number, call in enumerate(message.get("tool_calls") or ()):
            function = {**call["function"], "arguments": ""}
            yield said({"tool_calls": [{**call, "index": number, "function": function}]})
            for piece in pieces(call["function"]["arguments"]):
                yield said({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
        for token in (choice.get("logprobs") or {}).get("content") or ():
            yield said({}, logprobs={"content": [token]})
        yield said({}, finish_reason=choice["finish_reason"])
    yield event({**chunk, "choices": [], "usage": body["usage"]})
    yield DONE


def responses(body: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the events of one of OpenAI's responses."""
    begun = {**body, "status": "in_progress", "output": [], "usage": None}
    yield _typed("response.created", response=begun)
    for number, item in enumerate(body["output"]):
        yield _typed("response.output_item.added", output_index=number, item={"type": item["type"]})
        for part in item.get("content") or ():
            for piece in pieces(part.get("text", "")):
                yield _typed("response.output_text.delta", output_index=number, delta=piece)
        yield _typed("response.output_item.done", output_index=number, item=item)
    yield _typed(f"response.{body['status']}", response=body)


def messages(body: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the events of one of Anthropic's messages."""
    usage = body["usage"]
    counted = {**usage, "output_tokens": 1} if usage else None
    yield _typed(
        "message_start",
        message={**body, "content": [], "stop_reason": None, "usage": counted},
    )
    yield _typed("ping")
    for number, block in enumerate(body["content"]):
        yield _typed("content_block_start", index=number, content_block=_begun(block))
        for delta in _deltas(block):
            yield _typed("content_block_delta", index=number, delta=delta)
        yield _typed("content_block_stop", index=number)
    ended = {name: body[name] for name in ("stop_reason", "stop_sequence")}
    known = {"output_tokens": usage["output_tokens"]} if usage else None
    details = (usage or {}).get("output_tokens_details")
    if known is not None and details is not None:
        known["output_tokens_details"] = details
    yield _typed("message_delta", delta=ended, usage=known)
    yield _typed("message_stop")


def gemini(body: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the parts of one of Gemini's answers."""
    [candidate] = body["candidates"]
    parts = candidate["content"]["parts"]
    version = {"modelVersion": body["modelVersion"]}
    for part in parts:
        cut = [{**part, "text": piece} for piece in pieces(part.get("text", ""))]
        for piece in cut or [part]:
            content = {"role": "model", "parts": [piece]}
            yield event({"candidates": [{"index": 0, "content": content}], **version})
    last = {**candidate, "content": {"role": "model", "parts": [{"text": ""}]}}
    yield event({**body, "candidates": [last]})


def _typed(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)


def _begun(block: Mapping[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    if block["type"] == "tool_use":
        for piece in pieces(json.dumps(block["input"]) if block["input"] else ""):
            yield {"type": "input_json_delta", "partial_json": piece}
        return
    kind = block["type"]
    for piece in pieces(block[kind]):
        yield {"type": f"{kind}_delta", kind: piece}
    if signature := block.get("signature"):
        yield {"type": "signature_delta", "signature": signature}
