"""OpenAI's APIs of chat completions and responses, answered by networks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal, TypeVar
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ember_bench.errors import did_you_mean
from ember_bench.models.call import answered
from ember_bench.models.service import ModelService
from ember_bench.serving.networks import Answer, Network
from ember_bench.serving.openai_answers import chat_completion, response_object
from ember_bench.serving.openai_http import (
    EventStream,
    as_request_error,
    error_response,
    event_lines,
    json_response,
    read_body,
    said,
)
from ember_bench.serving.openai_requests import Asked, RequestError, read_request
from ember_bench.serving.openai_streams import chat_events, response_events
from ember_bench.serving.pieces import Pieces
from ember_bench.serving.request_traces import RequestTrace, RequestTraces
from ember_bench.serving.sampling import settle
from ember_bench.serving.server import PRIVATE, is_own_host, same_secret

Api = Literal["chat", "responses"]
T = TypeVar("T")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TRACE: Final = "x-ember-bench-trace"
_UNUSED: Final = "x-ember-bench-unused"


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
        own_sampling: Whether networks keep their sampling parameters whatever a request says.
        told: Is told once of each parameter that is not used.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        access: Access,
        plain: ModelService,
        storing: ModelService | None = None,
        *,
        own_sampling: bool = False,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.networks = {network.name: network for network in networks}
        self.access = access
        self.plain = plain
        self.storing = storing
        self.own_sampling = own_sampling
        self.told = told
        self.traces = RequestTraces()
        self.started = int(time.time())
        self._under_way = 0
        self._told_of = set[tuple[str, str]]()

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._guarded(self._chat), methods=["POST"]),
                Route("/v1/responses", self._guarded(self._responses), methods=["POST"]),
                Route("/v1/models", self._guarded(self._models), methods=["GET"]),
                Route("/v1/models/{name:path}", self._guarded(self._model), methods=["GET"]),
                Route("/traces/{name}", self._trace, methods=["GET"]),
                Route("/health", _health, methods=["GET"]),
                Route("/{rest:path}", self._guarded(_nothing), methods=_METHODS),
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
            request.state.trace = None
            try:
                self._check(request)
                response = await handler(request)
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception as error:
                response = error_response(as_request_error(error))
            response.headers["x-request-id"] = f"req_{uuid4().hex}"
            if (trace := request.state.trace) is not None:
                response.headers[_TRACE] = f"{request.base_url}traces/{trace.id}"
            return response

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
        asked = read_request(await read_body(request), api)
        network = self._network(asked.model)
        sampling = settle(network, asked.sampling, own=self.own_sampling)
        service = self._service(asked)
        if self._under_way >= self.access.in_flight:
            raise RequestError(
                f"Rate limit reached: {self.access.in_flight:,} requests are under way",
                status=429,
                code="rate_limit_exceeded",
            )
        trace = RequestTrace(
            uuid4().hex, network.name, asked.question, sampling.used, sampling.unused
        )
        request.state.trace = trace
        self.traces.begin(trace)
        asks = [partial(_ask, network, asked, epoch, service, trace) for epoch in range(asked.n)]
        if asked.stream:
            response = await self._streamed(request, api, asked, Pieces(asks, network.name), trace)
        else:
            response = await self._whole(request, api, asked, asks, trace)
        if sampling.unused:
            response.headers[_UNUSED] = ", ".join(sampling.unused)
            self._tell(network, sampling.unused)
        return response

    async def _whole(
        self,
        request: Request,
        api: Api,
        asked: Asked,
        asks: Sequence[Callable[[], Coroutine[Any, Any, Answer]]],
        trace: RequestTrace,
    ) -> Response:
        self._under_way += 1
        try:
            answers = await _unless_gone(request, _all(asks))
        except BaseException as error:
            self.traces.end(trace, (), said(error))
            raise
        finally:
            self._under_way -= 1
        self.traces.end(trace, answers)
        if api == "chat":
            return json_response(chat_completion(asked, answers))
        return json_response(response_object(asked, answers[0]))

    async def _streamed(
        self, request: Request, api: Api, asked: Asked, pieces: Pieces, trace: RequestTrace
    ) -> Response:
        self._under_way += 1

        def over() -> None:
            pieces.cancel()
            self._under_way -= 1
            if trace.seconds is None:
                self.traces.end(trace, (), said(ClientDisconnect()))

        def failed(error: Exception) -> RequestError:
            self.traces.end(trace, (), said(error))
            return as_request_error(error)

        try:
            await _unless_gone(request, pieces.begin())
        except BaseException as error:
            self.traces.end(trace, (), said(error))
            over()
            raise
        done = partial(self.traces.end, trace)
        if api == "chat":
            sent = event_lines(chat_events(asked, pieces, failed, done), done=True)
        else:
            sent = event_lines(response_events(asked, pieces, failed, done), named=True)
        return EventStream(sent, over)

    def _service(self, asked: Asked) -> ModelService:
        if asked.store and self.storing is None:
            raise RequestError(
                "this server keeps no answers; start it with --results to keep them", "store"
            )
        return self.plain if asked.store is False or self.storing is None else self.storing

    def _tell(self, network: Network, unused: Sequence[str]) -> None:
        """Tell once of each parameter that a network does not use."""
        for name in unused:
            if (network.name, name) not in self._told_of:
                self._told_of.add((network.name, name))
                self.told(f"{network.name}: {name} of requests is not used")

    async def _trace(self, request: Request) -> Response:
        if self.access.key is None and not is_own_host(request.headers.get("host", "")):
            return Response("not found", 404, PRIVATE, "text/plain")
        trace = self.traces.get(request.path_params["name"])
        if trace is None:
            return Response("not found", 404, PRIVATE, "text/plain")
        return HTMLResponse(trace.page(), headers=PRIVATE)

    def _network(self, name: str) -> Network:
        if (network := self.networks.get(name)) is None:
            hint = did_you_mean(name, self.networks)
            raise RequestError(
                f"The model `{name}` does not exist{hint}", status=404, code="model_not_found"
            )
        return network

    async def _models(self, _request: Request) -> Response:
        listed = [self._described(network) for network in self.networks.values()]
        return json_response({"object": "list", "data": listed})

    async def _model(self, request: Request) -> Response:
        return json_response(self._described(self._network(request.path_params["name"])))

    def _described(self, network: Network) -> dict[str, Any]:
        return {
            "id": network.name,
            "object": "model",
            "created": self.started,
            "owned_by": "ember-bench",
        }


async def _ask(
    network: Network, asked: Asked, epoch: int, service: ModelService, trace: RequestTrace
) -> Answer:
    """Return the answer of one epoch, in a task of its own."""
    answered.set(trace.note)
    schema = asked.schema
    answer = await network.answer(
        asked.question, epoch, service, trace.sampling, aloud=schema is None
    )
    return answer if schema is None else replace(answer, data=schema.read(answer.data))


async def _all(asks: Sequence[Callable[[], Coroutine[Any, Any, Answer]]]) -> list[Answer]:
    tasks = [asyncio.create_task(ask()) for ask in asks]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:  # one that failed makes the others useless
            task.cancel()


async def _unless_gone(request: Request, work: Awaitable[T]) -> T:
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


async def _health(_request: Request) -> Response:
    return Response("ok", media_type="text/plain")


async def _nothing(request: Request) -> Response:
    raise RequestError(
        f"Invalid URL ({request.method} {request.url.path})", status=404, code="unknown_url"
    )
