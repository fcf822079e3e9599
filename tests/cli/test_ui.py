"""MLflow's pages on a results folder."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, ENVIRONMENT, Command
from tests.support.programs import started

pytestmark = pytest.mark.slow


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A port that somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def test_without_a_store_it_says_what_makes_one(command: Command) -> None:
    result = command("ui", "--results", "elsewhere")
    assert result.status == 2
    assert "elsewhere/mlflow.db: is not there; a run makes it" in result.err


def test_a_file_that_is_no_database_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results/mlflow.db").write_text("hello " * 100)
    result = command("ui")
    assert result.status == 2
    assert "results/mlflow.db: is no database of MLflow" in result.err


def test_a_port_that_is_taken_is_refused(
    command: Command, tmp_path: Path, taken: socket.socket
) -> None:
    (tmp_path / "results").mkdir()
    with closing(sqlite3.connect(tmp_path / "results/mlflow.db")) as database:
        database.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    port = taken.getsockname()[1]
    result = command("ui", "--port", str(port))
    assert result.status == 2
    assert f"--port {port}: cannot be used (Address already in use)" in result.err


@pytest.mark.slow
def test_it_says_where_it_is_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    from ember_bench.tracking.messages import Open
    from ember_bench.tracking.mlflow_store import open_store

    uri = f"sqlite:///{tmp_path}/results/mlflow.db"
    store = open_store(Open(uri, "demo", str(tmp_path / "results/mlartifacts")))
    store.client.create_run(store.experiment_id)
    store.close()
    port = free_port()
    with started(
        [*COMMAND, "ui", "--port", str(port)],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = [process.stderr.readline() for _ in range(3)]
        assert said[1] == f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)\n"
        number = store.experiment_id
        assert said[2] == f"  demo: http://127.0.0.1:{port}/#/experiments/{number}/runs\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
            assert page.status == 200
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().endswith("stopped\n")
        assert process.wait(timeout=30) == 0
    assert children
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.killpg(int(child), 0)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
