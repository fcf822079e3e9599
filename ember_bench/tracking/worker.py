"""The process that talks to MLflow.

Importing mlflow and migrating a new database take some ten seconds of processor time: in a process
of its own they hold up no trial, and what mlflow prints or logs reaches nobody's terminal.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

from ember_bench.secrets import without_secrets
from ember_bench.tracking.messages import (
    Begin,
    Check,
    Checked,
    End,
    Failed,
    Follow,
    Followed,
    Log,
    Logged,
    LoggedSearch,
    LogSearch,
    Open,
    Opened,
    Point,
    Reply,
    Rows,
    Trace,
    Traced,
    TrackingError,
    Wanted,
    to_json,
    to_request,
)

if TYPE_CHECKING:
    from ember_bench.tracking.live import Live
    from ember_bench.tracking.log_experiment import Columns, Trials
    from ember_bench.tracking.mlflow_store import Store
    from ember_bench.tracking.traces import Traces


def main() -> None:
    """Serve the tracker that started this process, until it closes our input."""
    signal.signal(signal.SIGTERM, _stop)
    # Whatever prints must not end up between the messages.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        _serve(sys.stdin.buffer, replies)
    finally:
        sys.stderr.flush()
        # Nothing is left to do; mlflow would take another second to go.
        os._exit(0)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # Another one, which the tracker sends if it hears nothing, must not break off the tidying up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(143)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    def reply(message: Reply) -> None:
        replies.write(to_json(message) + b"\n")
        replies.flush()

    def trials(cell: str) -> Iterator[Columns]:
        reply(Wanted(cell))
        for line in requests:
            match to_request(line):
                case Rows(columns):
                    yield columns
                case End():
                    return
        raise EOFError("the tracker went away")

    store: Store | None = None
    live: Live | None = None
    traces: Traces | None = None
    try:
        for line in requests:
            match to_request(line):
                case Open() as request:
                    store = _open(request)
                    reply(Opened())
                case (Check() | LogSearch()) as request if store is not None:
                    reply(_answered(store, request))
                case Begin() as request if store is not None:
                    live = _live(store, request)
                case Follow(points) if live is not None:
                    _follow(live, points)
                    reply(Followed())
                case Log() as request if store is not None:
                    logged = _record(store, live, request, trials)
                    live = None
                    traces = _traces(store, request, logged)
                    reply(logged)
                case Trace(some) if traces is not None:
                    traces.log(some)
                    reply(Traced())
    except TrackingError as error:
        reply(Failed(str(error)))
    except Exception as error:
        traceback.print_exc()
        # MLflow raises its own errors, and those of SQLAlchemy, requests and the cloud SDKs.
        reply(Failed(_explain(error)))
    finally:
        if live is not None:
            live.abandon()
        if store is not None:
            store.close()


def _open(request: Open) -> Store:
    # These import mlflow; errors of the import are reported too.
    from ember_bench.tracking.mlflow_store import open_store  # noqa: PLC0415

    return open_store(request)


def _are_there(store: Store, runs: Sequence[str]) -> bool:
    from ember_bench.tracking.runs import are_there  # noqa: PLC0415

    return are_there(store, runs)


def _live(store: Store, request: Begin) -> Live:
    from ember_bench.tracking.live import Live  # noqa: PLC0415

    return Live(store, request)


def _follow(live: Live, points: Sequence[Point]) -> None:
    try:
        live.add(points)
    except Exception:
        # They are kept; if they cannot be written in the end either, that is told then.
        traceback.print_exc()


def _record(store: Store, live: Live | None, request: Log, trials: Trials) -> Logged:
    from ember_bench.tracking.log_experiment import record  # noqa: PLC0415

    if live is not None:
        live.add(())
    return record(store, request, trials)


def _answered(store: Store, request: Check | LogSearch) -> Checked | LoggedSearch:
    """Return the answer to a request that needs no other."""
    if isinstance(request, Check):
        return Checked(_are_there(store, request.runs))
    from ember_bench.tracking.searches import record_search  # noqa: PLC0415

    return record_search(store, request)


def _traces(store: Store, request: Log, logged: Logged) -> Traces:
    from ember_bench.tracking.traces import Traces  # noqa: PLC0415

    return Traces(store, request.summary, logged)


def _explain(error: Exception) -> str:
    """Return the lines of an error that say something, without statements and passwords."""
    lines = [line.strip() for line in str(error).partition("[SQL: ")[0].splitlines()]
    said = [line for line in lines if line and not line.startswith("(Background on this error")]
    return without_secrets(" ".join(said))[:1_000] or type(error).__name__
