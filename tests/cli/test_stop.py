"""Ctrl-C once, Ctrl-C twice, SIGTERM: nothing is lost, and the same command continues."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import COMMAND, ENVIRONMENT, program
from tests.support import programs
from tests.support.openai_server import Answer, Asked, Fault, OpenAIServer
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

RUN = ("run", "grid.yaml", "--no-mlflow", "--json")


@pytest.fixture
def slow(here: Workspace) -> Workspace:
    """A grid whose calls take a third of a second each, four at a time."""
    here.sums(16)
    here.model("simulated:slow", sleep=True, latency_seconds=0.3, spread=0.0)
    grid(here, in_flight=4)
    return here


def grid(here: Workspace, in_flight: int) -> None:
    cells = [single("simulated:slow"), vote(3, "simulated:slow")]
    here.grid(architectures=cells, in_flight=in_flight)


@contextmanager
def started(folder: Path, answers: int = 4) -> Iterator[subprocess.Popen[str]]:
    """Start the run; when the block begins, so many answers are stored."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [*COMMAND, *RUN]
    # As a terminal does, signals go to this process alone.
    with programs.started(
        command, cwd=folder, env=ENVIRONMENT, start_new_session=True, **pipes
    ) as process:
        deadline = time.monotonic() + 60
        while stored(folder) < answers and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        yield process


def stored(folder: Path) -> int:
    path = folder / "results/responses.db"
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            return int(connection.execute("SELECT count(*) FROM responses").fetchone()[0])
    except sqlite3.Error:
        return 0  # not made yet


def cells_of(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what does not depend on who made which call, and when."""
    made = ("calls_made", "calls_shared", "spend_usd")
    return [{k: v for k, v in cell.items() if k not in made} for cell in summary["cells"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_finishes_what_is_under_way(slow: Workspace, number: signal.Signals) -> None:
    with started(slow.root) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 3
    assert "stopping: no further trial is begun and no further request sent" in err
    assert "to continue: ember-bench run grid.yaml --no-mlflow --json" in err
    assert '"status": "partial"' in out
    assert "Unfinished" in (slow.root / "results/trip/summary.md").read_text()


def test_a_signal_ends_the_waits_of_calls_that_are_to_be_asked_again(here: Workspace) -> None:
    """Every third call is told to come back in twenty minutes, the others are answered."""
    busy = {f"{n} + {7 * n} = ?" for n in range(0, 16, 3)}
    answered: Counter[str] = Counter()

    def reply(asked: Asked) -> Answer | Fault:
        (question,) = re.findall(r"\d+ \+ \d+ = \?", asked.prompt)
        if question in busy:
            return Fault(503, headers={"retry-after": "1200"})
        answered[question] += 1
        return Answer("8")

    with OpenAIServer(reply) as server:
        here.sums(16)
        provider = {"name": "openai", "base_url": server.base_url}
        here.write("registry/models/far.yaml", {"name": "openai:far", "provider": provider})
        here.grid(architectures=[single("openai:far")], in_flight=16)
        with started(here.root, answers=1) as process:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 3, err
        assert "stopping" in err
        stopped = json.loads(out)
        (cell,) = stopped["cells"]
        assert cell["outcomes"].get("error", 0) == 0
        kept = stored(here.root)
        assert stopped["run"]["trials_run"] == kept < 16

        busy.clear()
        continued = program(*RUN, cwd=here.root)
        assert continued.returncode == 0
    assert json.loads(continued.stdout)["run"]["calls_made"] == 16 - kept
    assert len(answered) == answered.total() == 16


def test_two_signals_stop_at_once_and_the_same_command_continues(slow: Workspace) -> None:
    with started(slow.root) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        before = stored(slow.root)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 3
    assert "stopped at once; every answer is stored; to continue: ember-bench run" in err
    assert "Traceback" not in err
    assert "never retrieved" not in err
    assert not out
    kept = stored(slow.root)
    assert kept >= before >= 4

    grid(slow, in_flight=100)
    continued = program(*RUN, cwd=slow.root)
    undisturbed = program(*RUN, "--results", "other", cwd=slow.root)
    assert continued.returncode == undisturbed.returncode == 0
    resumed, fresh = json.loads(continued.stdout), json.loads(undisturbed.stdout)
    assert resumed["run"]["calls_made"] == fresh["run"]["calls_made"] - kept
    assert cells_of(resumed) == cells_of(fresh)


def test_a_second_process_is_refused_while_the_first_runs(slow: Workspace) -> None:
    slow.sums(1_000)  # minutes of work: the first must not end while the second starts
    with started(slow.root) as process:
        second = program(*RUN, cwd=slow.root)
    assert second.returncode == 2
    assert f"process {process.pid} is writing to this results folder" in second.stderr
    assert os.listdir(slow.root / "results/trip")
