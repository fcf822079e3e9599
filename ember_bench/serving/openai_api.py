"""OpenAI's APIs of chat completions and responses, answered by networks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import uuid4

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ember_bench.errors import (
    BudgetExhaustedError,
    CallGivenUpError,
    EmberBenchError,
    ProviderError,
    did_you_mean,
)
from ember_bench.models.service import ModelService
from ember_bench.secrets import without_secrets
from ember_bench.serving.networks import Answer, Network
from ember_bench.serving.openai_answers import (
    chat_completion,
    chat_events,
    response_events,
    response_object,
)
from ember_bench.serving.openai_requests import Asked, RequestError, read_request
from ember_bench.serving.server import is_own_host, same_secret

_LOGGER: Final = logging.getLogger("ember_bench.serving")
_MOST_BYTES: Final = 20_000_000
Api = Literal["chat", "responses"]


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        key: The bearer token that is asked for; None for none, and then only this machine may ask.
        in_flight: Number of requests that are answered at once.
    """

    key: str | None
    in_flight: int


class OpenAIServer:
    """The application.

    Args:
        networks: What it serves.
        access: Who may ask.
        plain: Makes calls that are not kept.
        storing: Makes calls that are kept; None if none are.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        access: Access,
        plain: ModelService,
        storing: ModelService | None = None,
    ) -> None:
        self.networks = {network.name: network for network in networks}
        self.access = access
        self.plain = plain
        self.storing = storing
        self.started = int(time.time())
        self._under_way = 0

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._guarded(self._chat), methods=["POST"]),
                Route("/v1/responses", self._guarded(self._responses), methods=["POST"]),
                Route("/v1/models", self._guarded(self._models), methods=["GET"]),
                Route("/v1/models/{name:path}", self._guarded(self._model), methods=["GET"]),
                Route("/health", _health, methods=["GET"]),
                Route("/{rest:path}", self._guarded(_nothing)),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            for service in (self.plain, self.storing):
                if service is not None:
                    await service.close()

    def _guarded(
        self, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return a handler behind the check of the key, which says errors as OpenAI does."""

        async def guarded(request: Request) -> Response:
            try:
                self._check(request)
                return await handler(request)
            except ClientDisconnect:
                return Response(status_code=499)
            except RequestError as error:
                return _error(error)
            except EmberBenchError as error:
                return _error(_as_request_error(error))
            except Exception as error:  # of an operator that a user wrote
                _LOGGER.exception("a request failed")
                message = without_secrets(f"{type(error).__name__}: {error}")
                return _error(RequestError(message, status=500, code="server_error"))

        return guarded

    def _check(self, request: Request) -> None:
        if self.access.key is None:
            if not is_own_host(request.headers.get("host", "")):
                raise RequestError("this server answers to this machine only", status=403)
        else:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not same_secret(given.strip(), self.access.key):
                raise RequestError(
                    "Incorrect API key provided.", status=401, code="invalid_api_key"
                )
        # A page in a browser can send anything but this without asking first.
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if request.method == "POST" and kind != "application/json":
            raise RequestError("expected the header Content-Type: application/json", status=415)

    async def _chat(self, request: Request) -> Response:
        return await self._answered(request, "chat")

    async def _responses(self, request: Request) -> Response:
        return await self._answered(request, "responses")

    async def _answered(self, request: Request, api: Api) -> Response:
        asked = read_request(await _body(request), api)
        network = self._network(asked.model)
        if self._under_way >= self.access.in_flight:
            raise RequestError(
                f"Rate limit reached: {self.access.in_flight:,} requests are under way",
                status=429,
                code="rate_limit_exceeded",
            )
        self._under_way += 1
        try:
            answers = await _unless_gone(request, self._answers(network, asked))
        finally:
            self._under_way -= 1
        headers = {"x-request-id": f"req_{uuid4().hex}"}
        if api == "chat":
            if asked.stream:
                return _events(chat_events(asked, answers), headers, done=True)
            return _json(chat_completion(asked, answers), headers=headers)
        if asked.stream:
            return _events(response_events(asked, answers[0]), headers, named=True)
        return _json(response_object(asked, answers[0]), headers=headers)

    async def _answers(self, network: Network, asked: Asked) -> list[Answer]:
        """Return the answers to a request, `n` of them with draws of their own."""
        storing = self.storing
        if asked.store and storing is None:
            raise RequestError(
                "this server keeps no answers; start it with --results to keep them", "store"
            )
        service = self.plain if asked.store is False or storing is None else storing
        tasks = [
            asyncio.create_task(network.answer(asked.question, epoch, service))
            for epoch in range(asked.n)
        ]
        try:
            found = await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # one that failed makes the others useless
                task.cancel()
        if asked.schema is None:
            return found
        return [Answer(asked.schema.read(a.text), a.calls, a.wasted_usd, a.cut_off) for a in found]

    def _network(self, name: str) -> Network:
        if (network := self.networks.get(name)) is None:
            hint = did_you_mean(name, self.networks)
            raise RequestError(
                f"The model `{name}` does not exist{hint}", status=404, code="model_not_found"
            )
        return network

    async def _models(self, _request: Request) -> Response:
        listed = [self._described(network) for network in self.networks.values()]
        return _json({"object": "list", "data": listed})

    async def _model(self, request: Request) -> Response:
        return _json(self._described(self._network(request.path_params["name"])))

    def _described(self, network: Network) -> dict[str, Any]:
        return {
            "id": network.name,
            "object": "model",
            "created": self.started,
            "owned_by": "ember-bench",
        }


async def _unless_gone(request: Request, work: Awaitable[list[Answer]]) -> list[Answer]:
    """Return the result of `work`; cancel it if the client goes away, which pays for nobody.

    Raises:
        ClientDisconnect: if it did.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> Any:
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


async def _health(_request: Request) -> Response:
    return Response("ok", media_type="text/plain")


async def _nothing(request: Request) -> Response:
    raise RequestError(
        f"Invalid URL ({request.method} {request.url.path})", status=404, code="unknown_url"
    )


def _as_request_error(error: EmberBenchError) -> RequestError:
    """Return what the API says to an error behind it."""
    message = without_secrets(str(error))
    if isinstance(error, BudgetExhaustedError):
        return RequestError(message, status=429, code="insufficient_quota")
    if isinstance(error, CallGivenUpError):
        return RequestError("the server is being stopped", status=503, code="server_error")
    if isinstance(error, ProviderError) and error.status == 429:
        return RequestError(message, status=429, code="rate_limit_exceeded")
    return RequestError(message, status=500, code="server_error")


def _error(error: RequestError) -> Response:
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    if error.status == 429:
        kind = error.code or "rate_limit_exceeded"
    body = {
        "message": str(error),
        "type": kind,
        "param": error.parameter,
        "code": error.code,
    }
    headers = {"retry-after": "1"} if error.code == "rate_limit_exceeded" else {}
    if error.code == "insufficient_quota" or error.status == 500:
        headers["x-should-retry"] = "false"  # what failed has been tried again already
    return _json({"error": body}, status=error.status, headers=headers)


def _json(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, media_type="application/json")


def _events(
    events: Iterator[Mapping[str, Any]],
    headers: Mapping[str, str],
    *,
    named: bool = False,
    done: bool = False,
) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        for event in events:
            name = f"event: {event['type']}\n".encode() if named else b""
            yield name + b"data: " + orjson.dumps(event) + b"\n\n"
        if done:
            yield b"data: [DONE]\n\n"

    return StreamingResponse(lines(), 200, headers, media_type="text/event-stream")
