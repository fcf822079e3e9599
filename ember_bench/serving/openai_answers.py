"""Answers of networks as OpenAI's APIs write them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

from ember_bench.serving.networks import Answer
from ember_bench.serving.openai_requests import Asked


def chat_completion(asked: Asked, answers: Sequence[Answer]) -> dict[str, Any]:
    """Return a chat completion."""
    choices = []
    for index, answer in enumerate(answers):
        text, reason = _ended(answer, asked.stop)
        message = {"role": "assistant", "content": text, "refusal": None}
        choices.append(
            {"index": index, "message": message, "logprobs": None, "finish_reason": reason}
        )
    return {**_head(asked, "chat.completion"), "choices": choices, "usage": _chat_usage(answers)}


def chat_events(asked: Asked, answers: Sequence[Answer]) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a chat completion: the text of each choice is one."""
    head = _head(asked, "chat.completion.chunk")
    rest: dict[str, Any] = {"usage": None} if asked.with_usage else {}

    def chunk(index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice], **rest}

    for index, answer in enumerate(answers):
        text, reason = _ended(answer, asked.stop)
        yield chunk(index, {"role": "assistant", "content": ""})
        if text:
            yield chunk(index, {"content": text})
        yield chunk(index, {}, reason)
    if asked.with_usage:
        yield {**head, "choices": [], "usage": _chat_usage(answers)}


def response_object(asked: Asked, answer: Answer) -> dict[str, Any]:
    """Return a response."""
    text, reason = _ended(answer, asked.stop)
    item = _output(text, "completed" if reason == "stop" else "incomplete", f"msg_{uuid4().hex}")
    return {**_response_head(asked), **_response_end(answer, reason), "output": [item]}


def response_events(asked: Asked, answer: Answer) -> Iterator[dict[str, Any]]:
    """Yield the events of a response."""
    text, reason = _ended(answer, asked.stop)
    head, item_id = _response_head(asked), f"msg_{uuid4().hex}"
    begun = {**head, "status": "in_progress", "output": [], "usage": None}
    at = {"item_id": item_id, "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    ended = _response_end(answer, reason)
    item = _output(text, ended["status"], item_id)
    empty = {**item, "status": "in_progress", "content": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", **at, "part": part},
        {"type": "response.output_text.delta", **at, "delta": text, "logprobs": []},
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": {**part, "text": text}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {
            "type": f"response.{ended['status']}",
            "response": {**head, **ended, "output": [item]},
        },
    ]
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def _ended(answer: Answer, stop: Sequence[str]) -> tuple[str, str]:
    """Return the text up to the first stop text, and why it ends."""
    ends = [place for text in stop if (place := answer.text.find(text)) >= 0]
    if ends:
        return answer.text[: min(ends)], "stop"
    return answer.text, "length" if answer.cut_off else "stop"


def _head(asked: Asked, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": asked.model,
    }


def _chat_usage(answers: Sequence[Answer]) -> dict[str, Any] | None:
    """Return the tokens of all calls of all answers, and their cost; None if tokens are unknown."""
    sent, received = (_total(answers, name) for name in ("input_tokens", "output_tokens"))
    if sent is None or received is None:
        return None
    return {
        "prompt_tokens": sent,
        "completion_tokens": received,
        "total_tokens": sent + received,
        **_money(answers),
    }


def _money(answers: Sequence[Answer]) -> dict[str, Any]:
    costs = [answer.cost_usd for answer in answers]
    known = [usd for usd in costs if usd is not None]
    return {
        "cost": math.fsum(known) if len(known) == len(costs) else None,
        "calls": sum(len(answer.calls) for answer in answers),
        "stored_calls": sum(call.stored for answer in answers for call in answer.calls),
    }


def _total(answers: Sequence[Answer], name: str) -> int | None:
    counts = [getattr(answer, name) for answer in answers]
    return None if None in counts else sum(counts)


def _response_head(asked: Asked) -> dict[str, Any]:
    return {
        "id": f"resp_{uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "model": asked.model,
        "error": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": False,
        "temperature": None,
        "top_p": None,
        "tool_choice": "none",
        "tools": [],
    }


def _response_end(answer: Answer, reason: str) -> dict[str, Any]:
    sent, received = answer.input_tokens, answer.output_tokens
    usage = None
    if sent is not None and received is not None:
        cached = sum(call.usage.cached_input_tokens for call in answer.calls)
        written = sum(call.usage.cache_write_tokens for call in answer.calls)
        thought = sum(call.usage.reasoning_tokens for call in answer.calls)
        usage = {
            "input_tokens": sent,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "output_tokens": received,
            "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": sent + received,
            **_money([answer]),
        }
    if reason == "stop":
        return {"status": "completed", "incomplete_details": None, "usage": usage}
    details = {"reason": "max_output_tokens"}
    return {"status": "incomplete", "incomplete_details": details, "usage": usage}


def _output(text: str, status: str, item_id: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [part],
    }
