"""Against a real tracking server, on PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ember_bench.tracking import Tracker
from ember_bench.tracking.messages import Point
from tests.support.postgres import postgresql
from tests.tracking.summaries import cell, network, summary, trial, trials

VOTE = "primes/vote(k=3)"

pytestmark = pytest.mark.slow


@pytest.fixture
def database() -> Iterator[str]:
    with postgresql() as uri:
        yield uri


@pytest.fixture
def server(database: str, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port),
        *("--backend-store-uri", database, "--workers", "1"),
        *("--artifacts-destination", str(tmp_path / "served")),
    ]
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=tmp_path,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert process.poll() is None, "the server stopped"
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError("the server did not come up")


def test_an_experiment_is_logged_and_brought_up_to_date(server: str, tmp_path: Path):
    grid = tmp_path / "demo.yaml"
    grid.write_text("name: demo\n")
    with Tracker("demo", results=tmp_path, tracking_uri=server) as tracker:
        tracker.begin(summary(*[cell(i) for i in range(4)], status="partial"))
        tracker.follow([Point("", 1_000, 9, None, 0.1, 0), Point(VOTE, 1_000, 9, 0.5, 0.1, 0)])
        first, second = (
            tracker.log(
                summary(*[cell(i, items=items) for i in range(4)]),
                markdown="| a |",
                grid=grid,
                trials=lambda _: trials(200),
                networks=[network()],
                traces=[trial()],
            )
            for items in (50, 100)
        )
    assert first.cells == second.cells
    assert second.command is None
    assert second.url.startswith(f"{server}/#/experiments/")
    assert second.url.endswith(f"/runs/{second.run_id}")
    served = {path.name for path in (tmp_path / "served").rglob("*") if path.is_file()}
    assert {"grid.yaml", "accuracy_and_cost.html", "trials.parquet", "trials.json"} <= served
    assert not (tmp_path / "mlartifacts").exists()

    from mlflow.tracking.client import MlflowClient

    run = MlflowClient(server).get_run(second.cells[VOTE])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["items"] == 100
    assert run.data.metrics["live/accuracy"] == 0.5
    assert run.inputs.dataset_inputs[0].dataset.name == "primes"

    from ember_bench.experiment.results.comparison import compare, pair_up
    from ember_bench.tracking.reading import read_file, read_runs

    pairs = pair_up([read_runs("demo", server)])
    assert [pair.cell.name for pair in pairs] == [f"primes/vote(k={k})" for k in (3, 5, 7)]
    items = {item for batch in trials(200) for item in batch["item"]}
    assert {found.items for found in compare(pairs).pairs} == {len(items)}

    assert read_file("demo", server, "grid.yaml") == (grid.read_bytes(), None)
    client = MlflowClient(server)
    (model,) = client.search_logged_models([second.experiment_id])
    (trace,) = client.search_traces(locations=[second.experiment_id])
    assert trace.info.trace_metadata["mlflow.modelId"] == model.model_id
    assert {said.name for said in trace.info.assessments} >= {"correct", "expected_response"}
    assert len(trace.data.spans) == 5
