"""Bodies, errors and streams of events, as OpenAI's APIs have them over HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ember_bench.errors import (
    BudgetExhaustedError,
    CallGivenUpError,
    EmberBenchError,
    ProviderError,
)
from ember_bench.secrets import without_secrets
from ember_bench.serving.openai_requests import RequestError
from ember_bench.serving.openai_streams import Event

_LOGGER: Final = logging.getLogger("ember_bench.serving")
_MOST_BYTES: Final = 20_000_000


async def read_body(request: Request) -> Any:
    """Return the JSON of a request.

    Raises:
        RequestError: if it is none, or too long.
    """
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > _MOST_BYTES:
            raise RequestError(f"the request is longer than {_MOST_BYTES:,} bytes", status=413)
        pieces.append(piece)
    try:
        return orjson.loads(b"".join(pieces))
    except orjson.JSONDecodeError as error:
        raise RequestError(f"We could not parse the JSON body of your request: {error}") from None


def as_request_error(error: Exception) -> RequestError:
    """Return what the API says to an error behind it."""
    if isinstance(error, RequestError):
        return error
    if not isinstance(error, EmberBenchError):  # of an operator that a user wrote
        _LOGGER.error("a request failed", exc_info=error)
    message = said(error)
    if isinstance(error, BudgetExhaustedError):
        return RequestError(message, status=429, code="insufficient_quota")
    if isinstance(error, CallGivenUpError):
        return RequestError("the server is being stopped", status=503, code="server_error")
    if isinstance(error, ProviderError) and error.status == 429:
        return RequestError(message, status=429, code="rate_limit_exceeded")
    return RequestError(message, status=500, code="server_error")


def said(error: BaseException) -> str:
    """Return an error in words, without secrets."""
    if isinstance(error, ClientDisconnect | asyncio.CancelledError):
        return "the client went away"
    known = isinstance(error, EmberBenchError | RequestError)
    return without_secrets(str(error) if known else f"{type(error).__name__}: {error}")


def error_response(error: RequestError) -> Response:
    """Return an error as a response."""
    headers = {"retry-after": "1"} if error.code == "rate_limit_exceeded" else {}
    if error.code == "insufficient_quota" or error.status == 500:
        headers["x-should-retry"] = "false"  # what failed has been tried again already
    return json_response({"error": error.body()}, status=error.status, headers=headers)


def json_response(
    value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a value as a response."""
    return Response(orjson.dumps(value), status, headers, media_type="application/json")


class EventStream(StreamingResponse):
    """A stream of events.

    Args:
        lines: Its lines.
        over: Is called when it ends, however it does.
    """

    def __init__(self, lines: AsyncIterator[bytes], over: Callable[[], None]) -> None:
        super().__init__(lines, media_type="text/event-stream")
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over()


async def event_lines(
    events: AsyncIterator[Event], *, named: bool = False, done: bool = False
) -> AsyncIterator[bytes]:
    """Yield events as server-sent ones.

    Args:
        events: The events.
        named: Whether each has its type as its name.
        done: Whether the last one is `[DONE]`.
    """
    async for event in events:
        name = f"event: {event['type']}\n".encode() if named else b""
        yield name + b"data: " + orjson.dumps(event) + b"\n\n"
    if done:
        yield b"data: [DONE]\n\n"
