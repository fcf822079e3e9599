"""Answers of networks as the events of OpenAI's APIs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from typing import Any
from uuid import uuid4

from ember_bench.serving.networks import Answer
from ember_bench.serving.openai_answers import (
    chat_head,
    chat_usage,
    message_item,
    response_end,
    response_head,
    text_part,
)
from ember_bench.serving.openai_requests import Asked, RequestError
from ember_bench.serving.pieces import Cut, Pieces, ended

Event = dict[str, Any]
Failed = Callable[[Exception], RequestError]
"""Returns what is said of a failure."""


async def chat_events(
    asked: Asked, pieces: Pieces, failed: Failed, done: Callable[[list[Answer]], None]
) -> AsyncIterator[Event]:
    """Yield the chunks of a chat completion.

    Args:
        asked: The request.
        pieces: The texts.
        failed: Says what went wrong, for the last chunk.
        done: Is told the answers.
    """
    head = chat_head(asked, "chat.completion.chunk")
    rest: Event = {"usage": None} if asked.with_usage else {}
    cuts = [Cut(asked.stop) for _ in range(asked.n)]
    begun, answers = set[int](), dict[int, Answer]()

    def chunk(index: int, delta: Event, reason: str | None = None) -> Event:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice], **rest}

    try:
        async for index, piece in pieces:
            if index not in begun:
                begun.add(index)
                yield chunk(index, {"role": "assistant", "content": "", "refusal": None})
            if isinstance(piece, str):
                if text := cuts[index].add(piece):
                    yield chunk(index, {"content": text})
                continue
            answers[index] = piece
            whole, reason = ended(piece, asked.stop)
            if text := cuts[index].rest(whole):
                yield chunk(index, {"content": text})
            yield chunk(index, {}, reason)
    except Exception as error:
        yield {"error": failed(error).body()}
        return
    found = [answers[index] for index in sorted(answers)]
    done(found)
    if asked.with_usage:
        yield {**head, "choices": [], "usage": chat_usage(found)}


async def response_events(
    asked: Asked, pieces: Pieces, failed: Failed, done: Callable[[list[Answer]], None]
) -> AsyncIterator[Event]:
    """Yield the events of a response; its arguments are those of `chat_events`."""
    head, item_id, number = response_head(asked), f"msg_{uuid4().hex}", count()
    at = {"item_id": item_id, "output_index": 0, "content_index": 0}

    def event(kind: str, **fields: Any) -> Event:
        return {"type": kind, **fields, "sequence_number": next(number)}

    try:
        for kind, fields in _begun(head, at):
            yield event(kind, **fields)
        cut = Cut(asked.stop)
        async for _, piece in pieces:
            if isinstance(piece, str):
                if text := cut.add(piece):
                    yield event("response.output_text.delta", **at, delta=text, logprobs=[])
                continue
            whole, reason = ended(piece, asked.stop)
            if text := cut.rest(whole):
                yield event("response.output_text.delta", **at, delta=text, logprobs=[])
            done([piece])
            end = response_end(piece, reason)
            item = message_item(whole, end["status"], item_id)
            yield event("response.output_text.done", **at, text=whole, logprobs=[])
            yield event("response.content_part.done", **at, part=text_part(whole))
            yield event("response.output_item.done", output_index=0, item=item)
            response = {**head, **end, "output": [item]}
            yield event(f"response.{end['status']}", response=response)
    except Exception as error:
        said = failed(error)
        problem = {"code": said.code or "server_error", "message": str(said)}
        response = {**head, "status": "failed", "error": problem, "output": [], "usage": None}
        yield event("response.failed", response=response)


def _begun(head: Event, at: Event) -> Iterator[tuple[str, Event]]:
    response = {**head, "status": "in_progress", "output": [], "usage": None}
    yield "response.created", {"response": response}
    yield "response.in_progress", {"response": response}
    item = {**message_item("", "in_progress", at["item_id"]), "content": []}
    yield "response.output_item.added", {"output_index": 0, "item": item}
    yield "response.content_part.added", {**at, "part": text_part("")}
