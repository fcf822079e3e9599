"""The live view: pages on the experiments of a results folder, for this machine only."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from ember_bench.errors import EmberBenchError
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.models.store.response_store import StoredAnswers
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_report import html_report
from ember_bench.running.places import RESPONSES, TRIALS
from ember_bench.serving.progress import Watch
from ember_bench.serving.progress_page import middle, page
from ember_bench.serving.server import LOOPBACK, address, is_own_host, listen, same_secret, serve

# Reading is given this share of the time at most, whatever the size of the results.
_SHARE: Final = 0.02
_LEAST_MS: Final = 1_000
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address has the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Handler = Callable[[Request], Awaitable[Response]]


class View:
    """The application.

    Args:
        results: The results folder.
        token: The part of the address that nobody else knows.
    """

    def __init__(self, results: Path, token: str | None = None) -> None:
        self.results = results
        self.token = token or secrets.token_urlsafe(16)
        self._watch = Watch(results)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/{token}/", self._guarded(self._page)),
                Route("/{token}/live", self._guarded(self._live)),
                Route("/{token}/report/{name}", self._guarded(self._report)),
            ]
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            if not is_own_host(request.headers.get("host", "")) or not same_secret(
                request.path_params["token"], self.token
            ):
                return PlainTextResponse("not found", 404)
            response = await handler(request)
            response.headers.update(_HEADERS)
            return response

        return guarded

    async def _page(self, _request: Request) -> Response:
        found = await run_in_threadpool(self._watch.experiments)
        return HTMLResponse(page(str(self.results.resolve()), found, time.time()))

    async def _live(self, _request: Request) -> Response:
        began = time.perf_counter()
        found = await run_in_threadpool(self._watch.experiments)
        shown = middle(found, time.time())
        took = time.perf_counter() - began
        wait = max(_LEAST_MS, round(1_000 * took / _SHARE))
        return HTMLResponse(shown, headers={"X-Next-Ms": str(wait)})

    async def _report(self, request: Request) -> Response:
        name = request.path_params["name"]
        path = self.results / name / TRIALS
        # A name is that of a folder right here.
        if path.parent not in set(self.results.iterdir()) or not path.is_file():
            return PlainTextResponse("not found", 404)
        try:
            return HTMLResponse(await run_in_threadpool(_report_of, path, self.results / RESPONSES))
        except EmberBenchError as error:
            return PlainTextResponse(str(error), 500)


def _report_of(path: Path, responses: Path) -> str:
    """Return the report of what is stored now, without running the graphs."""
    with ExitStack() as stack:
        rows = StoredTrials(path)
        stack.callback(rows.close)
        answers = None
        if responses.is_file():
            answers = StoredAnswers(responses)
            stack.callback(answers.close)
        return html_report(Contents(rows, {cell.name for cell in rows.description.cells}, answers))


def view(results: Path, port: int, told: Callable[[str], None]) -> None:
    """Show the experiments of a folder until SIGINT or SIGTERM.

    Args:
        results: The results folder.
        port: The port on 127.0.0.1; 0 for any that is free.
        told: Is told the link.

    Raises:
        ConfigError: if the port cannot be had.
    """
    shown = View(results)
    listening = listen(LOOPBACK, port)
    told(f"{address(listening)}/{shown.token}/")
    serve(shown.app(), listening)
