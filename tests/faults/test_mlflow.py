"""An MLflow server that is down: trials go on, and the log comes later or is said to be missing.

The server is a real one; between it and the run there is a switch.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ember_bench.running.session import Outcome
from tests.faults.rows import answers, nothing
from tests.faults.study import (
    NEEDED,
    FaultyServer,
    comparable,
    fill,
    finish,
    kill_after,
    moments,
    stored,
)
from tests.support.switch import Rule, Switch

# Until the process that logs has loaded mlflow and writes.
SOON_SECONDS = 3.0
pytestmark = pytest.mark.slow
# Of the requests to MLflow, those that write a run of such a study.
MIDDLE = range(3, 12)


def never(_number: int, _path: str) -> bool:
    """Down at the start, and not seen again."""
    return False


def but_for(lost: int, number: int, _path: str) -> bool:
    """Down in the middle, for one request."""
    return number != lost


def until_files_come(_number: int, path: str) -> bool:
    """Down at the end, when all but the files is written."""
    return "/mlflow-artifacts/" not in path


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a tracking server."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"),
        *("--artifacts-destination", str(folder / "served")),
    ]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder,
            env=environment,
        )
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                ask(port, "experiments/search?max_results=1")
                break
            except OSError:
                time.sleep(0.2)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def ask(port: int, what: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/2.0/mlflow/{what}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")


def logged_accuracies(port: int, ran: Outcome) -> dict[str, float]:
    """Return the accuracy of each cell as MLflow has it."""
    assert ran.logged is not None
    found = {}
    for cell, run_id in ran.logged.cells.items():
        run = ask(port, f"runs/get?run_id={run_id}")["run"]
        assert run["info"]["status"] == "FINISHED"
        metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
        found[cell] = metrics["accuracy"]
    return found


def accuracies(ran: Outcome) -> dict[str, float]:
    return {cell.name: cell.accuracy.value for cell in ran.summary.cells if cell.accuracy}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with FaultyServer(answers) as server:
        return comparable(finish(fill(tmp_path_factory.mktemp("u"), server.base_url)).summary)


ROWS = {"at the start": never, "in the middle": but_for, "at the end": until_files_come}


def rule(name: str) -> Rule:
    """Return when the server is there, for a row of the matrix."""
    if name == "in the middle":
        return functools.partial(but_for, moments(f"mlflow {name}").choice(MIDDLE))
    found: Rule = ROWS[name]
    return found


@pytest.mark.parametrize("name", ROWS)
def test_the_run_goes_on_and_the_log_is_delivered_later(
    tmp_path: Path, mlflow: int, undisturbed: Any, impatient: None, name: str
) -> None:
    with FaultyServer(answers) as server, Switch(mlflow, rule(name)) as switch:
        workspace = fill(tmp_path, server.base_url)
        ran = finish(workspace, switch.url)
        assert comparable(ran.summary) == undisturbed
        if name == "in the middle":
            assert ran.log_error is None  # what was not heard is said again
        else:
            assert ran.logged is None
            assert ran.log_error is not None
            assert "the results are not in MLflow" in ran.log_error
            assert "onnection" in ran.log_error
        switch.up = lambda *_: True
        ran = finish(workspace, switch.url)
        assert set(server.answered.values()) == {1}
    assert comparable(ran.summary) == undisturbed
    assert logged_accuracies(mlflow, ran) == accuracies(ran)


@pytest.mark.parametrize("name", ROWS)
def test_also_if_the_run_is_killed_on_the_way(
    tmp_path: Path, mlflow: int, undisturbed: Any, impatient: None, name: str
) -> None:
    with FaultyServer(answers) as server, Switch(mlflow, rule(name)) as switch:
        workspace = fill(tmp_path, server.base_url)
        seconds = moments(f"mlflow killed {name}").uniform(0, SOON_SECONDS)
        kill_after(seconds, workspace, nothing, switch.url)
        kept = stored(workspace)
        switch.up = lambda *_: True
        ran = finish(workspace, switch.url)
    assert comparable(ran.summary) == undisturbed
    assert ran.summary.run.calls_made == NEEDED - kept
    assert logged_accuracies(mlflow, ran) == accuracies(ran)
