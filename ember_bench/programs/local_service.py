"""A service of chat completions on this machine, through which a program's calls are made.

Each run of a program has an address of its own. What it asks there is asked at the program's place
in its trial, by the LM modules of its operator.
"""

from __future__ import annotations

import asyncio
import contextvars
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from ember_bench import host
from ember_bench.errors import (
    ConfigError,
    EmberBenchError,
    ProviderError,
    StoreError,
    did_you_mean,
)
from ember_bench.models.types import Response
from ember_bench.operators.lm import LMModule
from ember_bench.programs.asking import ask, here
from ember_bench.programs.openai_chat import chat_completion, chat_usage, read_chat
from ember_bench.secrets import without_secrets

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response as HttpResponse

_LOOPBACK: Final = "127.0.0.1"
_THREADS: Final = 1_000
_START_SECONDS: Final = 30


@dataclass
class Session:
    """One run of a program.

    Attributes:
        url: The base URL of its calls.
        key: Stands for an API key there.
        modules: Make its calls.
        place: Its context.
        failed: An error that ends the run, whatever the program makes of it.
    """

    url: str
    key: str
    modules: Sequence[LMModule]
    place: contextvars.Context
    failed: StoreError | None = None

    def module(self, model: str) -> LMModule:
        """Return the LM module that a request's `model` names: an id, or a bare name.

        Raises:
            ConfigError: if there is none; lists near matches.
        """
        for lm in self.modules:
            if model in (lm.model.model_id, lm.model.model_name):
                return lm
        known = [lm.model.model_id for lm in self.modules]
        hint = did_you_mean(model, known) or f"; there is {', '.join(known)}"
        raise ConfigError(f"model {model!r} is not one of the program's LM modules{hint}")


class _LocalService:
    """The server, which is started when it is first needed and ends with the process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the server: a fork has the object, but not the thread."""
        self._lock = threading.Lock()
        self._address: str | None = None
        self._sessions: dict[str, Session] = {}
        self._threads: ThreadPoolExecutor | None = None

    @contextmanager
    def session(self, modules: Sequence[LMModule]) -> Iterator[Session]:
        """Open an address for the calls of the running code.

        Raises:
            ConfigError: if the server's packages are not installed.
        """
        key = secrets.token_urlsafe(18)
        session = Session(f"{self._started()}/{key}/v1", key, modules, here())
        self._sessions[key] = session
        try:
            yield session
        finally:
            del self._sessions[key]
        if session.failed is not None:
            raise session.failed

    def _started(self) -> str:
        with self._lock:
            if self._address is None:
                self._address = self._start()
            return self._address

    def _start(self) -> str:
        try:
            import uvicorn  # noqa: PLC0415 - an optional dependency

            app = self._app()
        except ImportError as error:
            raise ConfigError(
                "a program that asks over HTTP needs the extra `serve`:"
                f" pip install 'ember-bench[serve]' ({error})"
            ) from None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="ember-bench-local")
        config = uvicorn.Config(
            app, _LOOPBACK, 0, log_level="error", access_log=False, server_header=False
        )
        server = uvicorn.Server(config)
        threading.Thread(target=server.run, name="ember-bench-local", daemon=True).start()
        end = time.monotonic() + _START_SECONDS
        while not server.started:
            if time.monotonic() > end:
                raise ConfigError(f"no server could be started on {_LOOPBACK}")
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://{_LOOPBACK}:{port}"

    def _app(self) -> Starlette:
        from starlette.applications import Starlette  # noqa: PLC0415 - an optional dependency
        from starlette.routing import Route  # noqa: PLC0415 - the same

        return Starlette(
            routes=[
                Route("/{key}/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/{key}/v1/models", self._models, methods=["GET"]),
                Route("/{rest:path}", self._nothing, methods=["GET", "POST"]),
            ]
        )

    async def _models(self, request: Request) -> HttpResponse:
        session = self._sessions.get(request.path_params["key"])
        names = [] if session is None else [lm.model.model_id for lm in session.modules]
        listed = [{"id": name, "object": "model", "owned_by": "ember-bench"} for name in names]
        return _json({"object": "list", "data": listed})

    async def _nothing(self, request: Request) -> HttpResponse:
        return _error(f"{request.url.path} is not served: chat completions and models are", 404)

    async def _chat(self, request: Request) -> HttpResponse:
        session = self._sessions.get(request.path_params["key"])
        if session is None:
            return _error("the program that asks here has ended", 410)
        try:
            return await self._answered(session, orjson.loads(await request.body()))
        except (orjson.JSONDecodeError, AttributeError):
            message, status = "the body of the request is no JSON object", 400
        except StoreError as error:
            session.failed = error
            message, status = str(error), 500
        except (ConfigError, TypeError, ValueError) as error:
            message, status = str(error), 400
        except ProviderError as error:
            message, status = f"{type(error).__name__}: {error}", error.status or 500
        except (EmberBenchError, asyncio.CancelledError) as error:
            message, status = f"{type(error).__name__}: {error}", 500
        return _error(message, status)

    async def _answered(self, session: Session, body: Mapping[str, Any]) -> HttpResponse:
        chat = read_chat(body)
        module = session.module(chat.model)
        # The answer is waited for in a thread, as the program's own threads would.
        responses: Sequence[Response] = await asyncio.get_running_loop().run_in_executor(
            self._threads, session.place.copy().run, ask, module, body
        )
        model = module.model.model_id
        if chat.stream:
            return _stream(model, responses, with_usage=chat.with_usage)
        return _json(chat_completion(model, responses))


def _stream(model: str, responses: Sequence[Response], *, with_usage: bool) -> HttpResponse:
    """Return the answer as events: each choice comes as a whole."""
    from starlette.responses import Response as HttpResponse  # noqa: PLC0415 - optional

    whole = chat_completion(model, responses)
    head = {name: whole[name] for name in ("id", "created", "model")}
    head["object"] = "chat.completion.chunk"
    events: list[Mapping[str, Any]] = []
    for choice in whole["choices"]:
        delta = dict(choice["message"])
        for place, call in enumerate(delta.get("tool_calls", ())):
            call["index"] = place
        at = {"index": choice["index"], "logprobs": choice["logprobs"]}
        events.append({**head, "choices": [{**at, "delta": delta, "finish_reason": None}]})
        end = {**at, "logprobs": None, "delta": {}, "finish_reason": choice["finish_reason"]}
        events.append({**head, "choices": [end]})
    if with_usage:
        events.append({**head, "choices": [], "usage": chat_usage(responses)})
    lines = [b"data: " + orjson.dumps(event) + b"\n\n" for event in events]
    return HttpResponse(b"".join([*lines, b"data: [DONE]\n\n"]), media_type="text/event-stream")


def _json(body: Mapping[str, Any]) -> HttpResponse:
    from starlette.responses import Response as HttpResponse  # noqa: PLC0415 - optional

    return HttpResponse(orjson.dumps(body), media_type="application/json")


def _error(message: str, status: int) -> HttpResponse:
    """Return an error as OpenAI's API says it; the service has asked again already."""
    from starlette.responses import Response as HttpResponse  # noqa: PLC0415 - optional

    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": without_secrets(message), "type": kind, "code": None}}
    headers = {"x-should-retry": "false"}
    return HttpResponse(orjson.dumps(body), status, headers, "application/json")


local_service: Final = _LocalService()
"""The service of this process."""
host.after_fork(local_service.reset)
