"""MLflow's own server, on this machine only, for the database of a results folder."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Final, Self

from ember_bench.errors import ConfigError
from ember_bench.secrets import without_secrets
from ember_bench.tracking.fields import EXPERIMENT_TAG
from ember_bench.tracking.messages import TrackingError
from ember_bench.tracking.uris import cells_url, default_uri, runs_url

_HOST: Final = "127.0.0.1"
_UP_WITHIN_SECONDS: Final = 120.0
_LOOK_EVERY_SECONDS: Final = 0.1
_DOWN_WITHIN_SECONDS: Final = 10.0
_ENVIRONMENT: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Its jobs are not used here, and their processes would outlive it.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


# Of each experiment that was not deleted, the last run that cells are below.
_LAST_RUNS: Final = """
    SELECT e.name, CAST(e.experiment_id AS TEXT), (
        SELECT p.run_uuid FROM runs p
        JOIN tags ours ON ours.run_uuid = p.run_uuid AND ours.key = :ours
        LEFT JOIN tags above ON above.run_uuid = p.run_uuid AND above.key = 'mlflow.parentRunId'
        WHERE p.experiment_id = e.experiment_id AND p.lifecycle_stage = 'active'
            AND above.run_uuid IS NULL
        ORDER BY p.start_time DESC LIMIT 1
    )
    FROM experiments e JOIN runs r USING (experiment_id)
    WHERE e.lifecycle_stage = 'active' AND r.lifecycle_stage = 'active'
    GROUP BY e.experiment_id ORDER BY max(r.start_time) DESC
"""


class Pages:
    """MLflow's pages; a context whose end stops the server.

    Args:
        results: The folder of results.
        port: A port of the loopback interface.

    Raises:
        ConfigError: if there is no database, or the port is taken.
    """

    def __init__(self, results: Path, port: int) -> None:
        uri, path = default_uri(results), results / "mlflow.db"
        if not path.is_file():
            raise ConfigError(f"{path}: is not there; a run makes it: ember-bench run quickstart")
        _check_database(path)
        _check_free(port)
        self.url = f"http://{_HOST}:{port}"
        self._path = path
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as we do
        self._process = subprocess.Popen(  # noqa: S603 - mlflow's own module
            [
                *(sys.executable, "-P", "-m", "mlflow", "ui", "--backend-store-uri", uri),
                *("--host", _HOST, "--port", str(port), "--workers", "1"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            env={**os.environ, **_ENVIRONMENT},
            # A group of its own: Ctrl-C comes to us alone, and all of it can be stopped.
            start_new_session=True,
        )

    def wait_until_up(self) -> None:
        """Return when the pages can be opened.

        Raises:
            TrackingError: if the server stops, or does not come up within two minutes.
        """
        until = time.monotonic() + _UP_WITHIN_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise TrackingError(f"MLflow does not start: {self._last_words()}")
            if self._answers():
                return
            time.sleep(_LOOK_EVERY_SECONDS)
        raise TrackingError(f"MLflow did not come up within {_UP_WITHIN_SECONDS:g} s")

    def experiments(self) -> list[tuple[str, str]]:
        """Return the name of each experiment that has runs, and a page; see `experiment_pages`."""
        return list(experiment_pages(self._path, self.url))

    def wait(self) -> None:
        """Wait, until interrupted.

        Raises:
            TrackingError: if the server stops by itself.
        """
        self._process.wait()
        raise TrackingError(f"MLflow has stopped: {self._last_words()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._end(signal.SIGTERM)
            self._process.wait(timeout=_DOWN_WITHIN_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._end(signal.SIGKILL)
            self._process.wait()
        finally:
            self._said.close()

    def _end(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:  # noqa: S310 - ours
                return bool(answer.status == 200)
        except OSError:
            return False

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        said = f": {without_secrets(lines[-1])}" if lines else ""
        return f"its process ended with status {self._process.wait()}{said}"


def experiment_pages(database: Path, pages: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each experiment that has runs, and a page of it, last first.

    The page is that of the cells of its last run, best first; that of all runs if none is one of
    ours.

    Args:
        database: MLflow's SQLite file.
        pages: Where MLflow's pages are.
    """
    with closing(sqlite3.connect(database)) as opened:
        found = opened.execute(_LAST_RUNS, {"ours": EXPERIMENT_TAG}).fetchall()
    for name, number, run in found:
        page = cells_url(pages, number, run) if run else runs_url(pages, number)
        yield str(name), page


def _check_database(path: Path) -> None:
    """Raise a `ConfigError` if the file is no database of MLflow."""
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("SELECT count(*) FROM experiments")
    except sqlite3.Error as error:
        raise ConfigError(f"{path}: is no database of MLflow: {error}") from None


def _check_free(port: int) -> None:
    """Raise a `ConfigError` if the port is in use."""
    with socket.socket() as ours:
        # As servers do: a port with only closing connections is free.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            ours.bind((_HOST, port))
        except OSError as error:
            raise ConfigError(
                f"--port {port}: cannot be used ({error.strerror}); give another one, such as"
                f" --port {port + 1 if port < 65_535 else port - 1}"
            ) from None


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM have the effect of Ctrl-C."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
