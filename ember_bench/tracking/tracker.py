"""The tracker: starts the process that talks to MLflow and sends it the results."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import IO, Any, Final, Self, TypeAlias

import msgspec

from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.secrets import redacted, without_secrets
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
    Network,
    Open,
    Opened,
    Point,
    Reply,
    Request,
    Rows,
    Trace,
    Traced,
    TracedTrial,
    TrackingError,
    Wanted,
    to_json,
    to_reply,
)
from ember_bench.tracking.uris import default_uri, sqlite_path

TrialBatch: TypeAlias = Mapping[str, Sequence[Any]]
"""Some trials of a cell by column: item, epoch, outcome, score, answer, explanation, error,
cost_usd, latency_seconds, calls, input_tokens, output_tokens, target, item_digest, cluster. All
columns have the same length; `item` must be there, others may be missing. Values are plain Python:
str, int, float, None."""

# MLflow's own defaults make a server that is not there cost ten minutes.
ENVIRONMENT: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Spares a request a run.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_SILENT_SECONDS: Final = 180.0
"""No step of the worker should take this long: one cell, or the migration of a new database."""

_TRACES_AT_ONCE: Final = 50

_SIGNALS: Final = 10
_SIGNAL_SECONDS: Final = 0.5

_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from ember_bench.tracking.worker import main; main()"
)


class Tracker:
    """Logs an experiment to MLflow.

    Made when a run starts: the store is opened, and if need be made, in another process while
    trials run. What goes wrong there is raised by `log`.

    Args:
        experiment: Name of the experiment in MLflow.
        results: The folder of results; holds the default store, `mlflow.db` and `mlartifacts/`.
        tracking_uri: Another store: a database, or the server of a team.
    """

    def __init__(self, experiment: str, *, results: Path, tracking_uri: str | None = None) -> None:
        self.tracking_uri = tracking_uri or default_uri(results)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as we do
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            # A module of the same name in the working directory must not come before mlflow.
            [sys.executable, "-P", "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**ENVIRONMENT, **os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            # Ctrl-C stops the trials; those that are done are still to be logged.
            start_new_session=True,
        )
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = Thread(target=self._read, name="ember-bench-tracker", daemon=True)
        self._reader.start()
        self._open = False
        self._points: queue.SimpleQueue[Sequence[Point] | None] = queue.SimpleQueue()
        self._feeder: Thread | None = None
        self._lost: TrackingError | None = None
        artifacts = _artifacts(self.tracking_uri, results)
        # Sent without waiting: if the worker has died already, `log` will say so.
        self._send(Open(self.tracking_uri, experiment, str(artifacts)), strict=False)

    def begin(self, summary: ExperimentSummary, *, price_date: str | None = None) -> None:
        """Say that the experiment is being run, so that `follow` can be called; never waits.

        Args:
            summary: Its summary before the first trial, see `curves.unfinished`.
            price_date: The day that the prices are of.
        """
        start = Begin(summary, price_date)
        self._feeder = Thread(target=self._feed, args=[start], name="ember-bench-curves")
        self._feeder.daemon = True
        self._feeder.start()

    def follow(self, points: Sequence[Point]) -> None:
        """Add points to the curves of the runs; never waits, and `log` raises its errors."""
        if points:
            self._points.put(points)

    def log(
        self,
        summary: ExperimentSummary,
        *,
        markdown: str,
        grid: Path,
        trials: Callable[[str], Iterable[TrialBatch]],
        files: Sequence[Path] = (),
        price_date: str | None = None,
        networks: Sequence[Network] = (),
        traces: Iterable[TracedTrial] = (),
    ) -> Logged:
        """Log the experiment, or bring its runs up to date; waits until it is done.

        Runs are found again by `summary.digest` and the cells' names; those that would not change
        are left alone.

        Args:
            summary: The summary to log.
            markdown: The table of cells, for the parent run's page; names in it escaped.
            grid: The grid file, logged as `grid.yaml`.
            trials: Returns the trials of a cell, given its name, some thousands in a batch. Asked
                only for cells that changed; called in this thread.
            files: More artifacts of the parent run, under their own names.
            price_date: The day that the prices are of.
            networks: The architectures of the cells.
            traces: Trials to be logged as traces, with a span for each node and call; taken one by
                one, in this thread.

        Raises:
            TrackingError: MLflow could not be reached or did not take it. The tracker is closed.
        """
        if self._errors.closed:
            raise TrackingError("the tracker is closed")
        try:
            self._end_curves()
            self.wait_until_open()
            paths = [str(file.absolute()) for file in files]
            grid_file = str(grid.absolute())
            self._send(Log(summary, markdown, grid_file, paths, price_date, list(networks)))
            while True:
                match self._receive():
                    case Wanted(cell):
                        for batch in trials(cell):
                            self._send_rows(batch)
                        self._send(End())
                    case Logged() as logged:
                        return self._trace(logged, traces)
                    case Failed(message):
                        raise self._failure(message)
                    case Opened() | Followed() | Checked() | Traced() | LoggedSearch():
                        raise self._failure("it answered out of turn")
        except BaseException:
            self.close()
            raise

    def _trace(self, logged: Logged, trials: Iterable[TracedTrial]) -> Logged:
        count, rest = 0, iter(trials)
        while some := list(islice(rest, _TRACES_AT_ONCE)):
            self._send(Trace(some))
            self._expect(Traced)
            count += len(some)
        return msgspec.structs.replace(logged, traces=count)

    def has(self, logged: Logged) -> bool:
        """Tell whether the runs of `logged` are there, and none was deleted in MLflow.

        Raises:
            TrackingError: if MLflow could not be reached, or has deleted the experiment. The
                tracker is closed.
        """
        try:
            self.wait_until_open()
            self._send(Check([logged.run_id, *logged.cells.values()]))
            reply = self._receive()
            if not isinstance(reply, Checked):
                raise self._failure(reply.message if isinstance(reply, Failed) else repr(reply))
        except BaseException:
            self.close()
            raise
        return reply.there

    def log_search(self, search: LogSearch) -> LoggedSearch:
        """Log a search for better prompts, unless it is there already.

        Raises:
            TrackingError: MLflow could not be reached or did not take it. The tracker is closed.
        """
        try:
            self.wait_until_open()
            self._send(search)
            reply = self._receive()
            if not isinstance(reply, LoggedSearch):
                raise self._failure(reply.message if isinstance(reply, Failed) else repr(reply))
        except BaseException:
            self.close()
            raise
        return reply

    def close(self) -> None:
        """Stop the process, whatever it is doing; a database it was making is taken away."""
        process = self._process
        # A signal just before a read begins is noted, but does not end the read; the next one does.
        for _ in range(_SIGNALS):
            if process.poll() is not None:
                break
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_SIGNAL_SECONDS)
        else:
            process.kill()
            process.wait()
        self._reader.join()
        if self._feeder is not None:
            self._points.put(None)
            self._feeder.join()
        for stream in (process.stdin, process.stdout, self._errors):
            if stream is not None:
                # The requests that are left no longer matter.
                with suppress(BrokenPipeError):
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._replies.put(line)
        self._replies.put(None)

    def wait_until_open(self) -> None:
        """Wait for MLflow to have started, as `begin` and `log` do by themselves.

        Raises:
            TrackingError: if it cannot.
        """
        if not self._open:
            self._expect(Opened)
            self._open = True

    def _feed(self, start: Begin) -> None:
        """Send points on, as many as there are by then, whenever the worker has time for them."""
        try:
            self.wait_until_open()
            self._send(start)
            ended = False
            while not ended:
                waiting = [self._points.get()]
                while not self._points.empty():
                    waiting.append(self._points.get())
                ended = None in waiting
                points = [point for some in waiting if some is not None for point in some]
                if points:
                    self._send(Follow(points))
                    self._expect(Followed)
        except TrackingError as error:
            self._lost = error

    def _end_curves(self) -> None:
        """Wait until the last points are written.

        Raises:
            TrackingError: if the worker is gone.
        """
        if self._feeder is not None:
            self._points.put(None)
            self._feeder.join()
            self._feeder = None
        if self._lost is not None:
            raise self._lost

    def _send_rows(self, batch: TrialBatch) -> None:
        columns = {name: list(values) for name, values in batch.items()}
        try:
            self._send(Rows(columns))
        except UnicodeEncodeError:
            # Half of a surrogate pair: a model may answer with one, no file can hold it.
            self._send(Rows({name: _encodable(values) for name, values in columns.items()}))

    def _send(self, request: Request, *, strict: bool = True) -> None:
        line = to_json(request) + b"\n"
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            if strict:
                raise self._failure(self._last_words()) from None

    def _receive(self) -> Reply:
        try:
            line = self._replies.get(timeout=_SILENT_SECONDS)
        except queue.Empty:
            raise self._failure(f"it did not answer for {_SILENT_SECONDS:g} s") from None
        if line is None:
            raise self._failure(self._last_words())
        reply: Reply = to_reply(line)
        return reply

    def _expect(self, kind: type[Reply]) -> None:
        reply = self._receive()
        if not isinstance(reply, kind):
            raise self._failure(reply.message if isinstance(reply, Failed) else repr(reply))

    def _failure(self, reason: str) -> TrackingError:
        return TrackingError(
            f"the results are not in MLflow ({redacted(self.tracking_uri)}): {reason}"
        )

    def _last_words(self) -> str:
        """Say why the process ended, in its own words if it left any."""
        self._reader.join()
        while not self._replies.empty():
            line = self._replies.get()
            if line is not None and isinstance(reply := to_reply(line), Failed):
                return reply.message
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"the process that writes them ended with status {status}" + (
            f": {without_secrets(lines[-1])}" if lines else ""
        )


def _artifacts(uri: str, results: Path) -> Path:
    """Return the folder for artifacts: beside a database file, or in the folder of results."""
    path = sqlite_path(uri)
    return (results if path is None else path.parent).absolute() / "mlartifacts"


def _encodable(values: list[Any]) -> list[Any]:
    return [
        value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for value in values
    ]
