"""Answers of networks as OpenAI's APIs write them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from ember_bench.serving.networks import Answer
from ember_bench.serving.openai_requests import Asked
from ember_bench.serving.pieces import ended


def chat_completion(asked: Asked, answers: Sequence[Answer]) -> dict[str, Any]:
    """Return a chat completion."""
    choices = []
    for index, answer in enumerate(answers):
        text, reason = ended(answer, asked.stop)
        message = {"role": "assistant", "content": text, "refusal": None}
        choices.append(
            {"index": index, "message": message, "logprobs": None, "finish_reason": reason}
        )
    return {**chat_head(asked, "chat.completion"), "choices": choices, "usage": chat_usage(answers)}


def response_object(asked: Asked, answer: Answer) -> dict[str, Any]:
    """Return a response."""
    text, reason = ended(answer, asked.stop)
    item = message_item(
        text, "completed" if reason == "stop" else "incomplete", f"msg_{uuid4().hex}"
    )
    return {**response_head(asked), **response_end(answer, reason), "output": [item]}


def chat_head(asked: Asked, kind: str) -> dict[str, Any]:
    """Return the fields of a completion, or of one of its chunks, that are no answer."""
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": asked.model,
    }


def chat_usage(answers: Sequence[Answer]) -> dict[str, Any] | None:
    """Return the tokens of all calls of all answers, and their cost; None if tokens are unknown."""
    sent, received = (_total(answers, name) for name in ("input_tokens", "output_tokens"))
    if sent is None or received is None:
        return None
    return {
        "prompt_tokens": sent,
        "completion_tokens": received,
        "total_tokens": sent + received,
        "prompt_tokens_details": {"cached_tokens": _used(answers, "cached_input_tokens")},
        "completion_tokens_details": {"reasoning_tokens": _used(answers, "reasoning_tokens")},
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


def _used(answers: Sequence[Answer], name: str) -> int:
    return sum(getattr(call.usage, name) for answer in answers for call in answer.calls)


def _total(answers: Sequence[Answer], name: str) -> int | None:
    counts = [getattr(answer, name) for answer in answers]
    return None if None in counts else sum(counts)


def response_head(asked: Asked) -> dict[str, Any]:
    """Return the fields of a response that are no answer."""
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
        **asked.echoed,
    }


def response_end(answer: Answer, reason: str) -> dict[str, Any]:
    """Return the fields of a response that say how it ended, and its usage."""
    sent, received = answer.input_tokens, answer.output_tokens
    usage = None
    if sent is not None and received is not None:
        cached, written, thought = (
            _used([answer], name)
            for name in ("cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
        )
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


def message_item(text: str, status: str, item_id: str) -> dict[str, Any]:
    """Return the item of a response's output that has the text."""
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [text_part(text)],
    }


def text_part(text: str) -> dict[str, Any]:
    """Return the part of an item that has the text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
