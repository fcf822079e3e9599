"""The live view: pages on the experiments of a results folder, for this machine only."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from ember_bench.errors import EmberBenchError
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_report import html_report
from ember_bench.running.live import Live, read_live
from ember_bench.running.places import RESPONSES, TRIALS
from ember_bench.serving.control import Control, ControlError
from ember_bench.serving.live_pages import under_way_page, under_way_trial
from ember_bench.serving.pages import Page
from ember_bench.serving.progress import ExperimentProgress, Watch, writer
from ember_bench.serving.progress_page import middle, page
from ember_bench.serving.server import (
    LOOPBACK,
    PRIVATE,
    address,
    is_own_host,
    listen,
    same_secret,
    serve,
)
from ember_bench.serving.trial_pages import (
    LATEST_CALLS,
    SHOWN,
    Place,
    calls_page,
    trial_page,
    trials_page,
)

# Reading is given this share of the time at most, whatever the size of the results.
_SHARE: Final = 0.02
_LEAST_MS: Final = 1_000
_IS_NUMBER: Final = re.compile("[0-9]{1,9}")

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
        self._control = Control(results)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/{token}/", self._guarded(self._page)),
                Route("/{token}/live", self._guarded(self._live)),
                Route("/{token}/calls", self._guarded(self._calls)),
                Route("/{token}/report/{name}", self._guarded(self._report)),
                Route("/{token}/stop/{name}", self._guarded(self._stop), methods=["POST"]),
                Route("/{token}/resume/{name}", self._guarded(self._resume), methods=["POST"]),
                Route("/{token}/under-way/{name}", self._guarded(self._under_way)),
                Route("/{token}/trials/{name}/{cell:int}", self._guarded(self._trials)),
                Route(
                    "/{token}/trials/{name}/{cell:int}/{item:int}/{epoch:int}",
                    self._guarded(self._trial),
                ),
            ]
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            if not is_own_host(request.headers.get("host", "")) or not same_secret(
                request.path_params["token"], self.token
            ):
                return _not_found()
            response = await handler(request)
            response.headers.update(PRIVATE)
            return response

        return guarded

    def _experiments(self) -> list[ExperimentProgress]:
        self._control.reap()
        return self._watch.experiments()

    async def _page(self, _request: Request) -> Response:
        found = await run_in_threadpool(self._experiments)
        return HTMLResponse(page(str(self.results.resolve()), found, time.time(), self._control))

    async def _live(self, _request: Request) -> Response:
        began = time.perf_counter()
        found = await run_in_threadpool(self._experiments)
        shown = middle(found, time.time(), self._control)
        took = time.perf_counter() - began
        return _part(shown, took)

    async def _calls(self, request: Request) -> Response:
        return await _shown(request, lambda: _calls_of(self.results / RESPONSES))

    async def _report(self, request: Request) -> Response:
        if (path := self._store(request)) is None:
            return _not_found()
        return await _shown(request, lambda: _report_of(path, self.results / RESPONSES))

    async def _trials(self, request: Request) -> Response:
        path, cell = self._store(request), request.path_params["cell"]
        shown = request.query_params.get("show", SHOWN[0])
        first = request.query_params.get("from", "0")
        if path is None or shown not in SHOWN or not _IS_NUMBER.fullmatch(first):
            return _not_found()
        return await _shown(request, lambda: _trials_of(path, cell, shown, int(first)))

    async def _under_way(self, request: Request) -> Response:
        path, first = self._store(request), request.query_params.get("from", "0")
        if path is None or not _IS_NUMBER.fullmatch(first):
            return _not_found()
        return await _shown(request, lambda: _under_way_of(path, int(first)))

    async def _trial(self, request: Request) -> Response:
        if (path := self._store(request)) is None:
            return _not_found()
        place = Place(*(request.path_params[name] for name in ("cell", "item", "epoch")))
        return await _shown(request, lambda: _trial_of(path, self.results / RESPONSES, place))

    async def _stop(self, request: Request) -> Response:
        return await self._told(request, self._control.stop)

    async def _resume(self, request: Request) -> Response:
        return await self._told(request, self._control.resume)

    async def _told(self, request: Request, tell: Callable[[str], None]) -> Response:
        if self._store(request) is None:
            return _not_found()
        try:
            await run_in_threadpool(tell, request.path_params["name"])
        except ControlError as error:
            return PlainTextResponse(str(error), 409)
        return Response(status_code=204)

    def _store(self, request: Request) -> Path | None:
        """Return the trial store of the experiment that is asked for; None if there is none."""
        path = self.results / request.path_params["name"] / TRIALS
        # A name is that of a folder right here.
        folders = self.results.iterdir() if self.results.is_dir() else ()
        return path if path.parent in set(folders) and path.is_file() else None


async def _shown(request: Request, made: Callable[[], Page | str | None]) -> Response:
    """Return the page that `made` makes in a thread, or the part that a live one asks for again.

    It returns None for what is not there.
    """
    began = time.perf_counter()
    try:
        shown = await run_in_threadpool(made)
    except EmberBenchError as error:
        return PlainTextResponse(str(error), 500)
    if shown is None:
        return _not_found()
    if isinstance(shown, str):
        return HTMLResponse(shown)
    if request.query_params.get("part") == "main":
        return _part(shown.middle, time.perf_counter() - began, again=shown.live)
    return HTMLResponse(shown.text)


def _part(shown: str, took: float, *, again: bool = True) -> Response:
    """Return the changing part of a page, with the time after which to ask for it again."""
    wait = max(_LEAST_MS, round(1_000 * took / _SHARE))
    return HTMLResponse(shown, headers={"X-Next-Ms": str(wait)} if again else {})


def _not_found() -> Response:
    return PlainTextResponse("not found", 404)


@contextmanager
def _answers(responses: Path) -> Iterator[StoredAnswers | None]:
    """Open the response store; None where there is none."""
    if not responses.is_file():
        yield None
        return
    with closing(StoredAnswers(responses)) as answers:
        yield answers


def _calls_of(responses: Path) -> Page:
    with _answers(responses) as answers:
        return calls_page([] if answers is None else answers.latest(LATEST_CALLS))


def _report_of(path: Path, responses: Path) -> str:
    """Return the report of what is stored now, without running the graphs."""
    with closing(StoredTrials(path)) as rows, _answers(responses) as answers:
        return html_report(Contents(rows, {cell.name for cell in rows.description.cells}, answers))


def _trials_of(path: Path, cell: int, shown: str, first: int) -> Page | None:
    with closing(StoredTrials(path)) as rows:
        known = cell < len(rows.description.cells)
        return trials_page(rows, cell, shown, first) if known else None


def _trial_of(path: Path, responses: Path, place: Place) -> Page | None:
    # Before the rows: a trial that ends in between is found in them.
    process = writer(path.parent)
    live = None if process is None else read_live(path.parent, process, Live)
    with closing(StoredTrials(path)) as rows, _answers(responses) as answers:
        if not place.is_asked(rows):
            return None
        stored = trial_page(rows, answers, place)
        if stored is not None or process is None:
            return stored
        return under_way_trial(rows, answers, place, live)


def _under_way_of(path: Path, first: int) -> Page:
    process = writer(path.parent)
    live = None if process is None else read_live(path.parent, process, Live)
    with closing(StoredTrials(path)) as rows:
        return under_way_page(rows, live, first)


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
