"""A grid over a model with `mode: batch`: killed, stopped, and continued without paying twice."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import COMMAND, ENVIRONMENT
from tests.support.batches import BatchServer
from tests.support.loopback import Asked, Fault
from tests.support.programs import started
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

RUN = ("run", "grid.yaml", "--no-mlflow", "--json")
ITEMS = 6
# Of each call: 30 tokens in, 20 out, at a dollar per thousand, less a half.
CALL_USD = 0.025


def write(here: Workspace, server: BatchServer, provider: str = "openai") -> None:
    url = server.openai_url if provider == "openai" else server.url
    here.sums(ITEMS)
    here.write(
        "registry/models/batched.yaml",
        {
            "name": f"{provider}:batched",
            "provider": {"name": provider, "base_url": url},
            "mode": "batch",
            # The newer API takes no temperature, which the grid's architectures ask for.
            "options": {"api_version": "2023-06-01"} if provider == "anthropic" else {},
            "context_tokens": 10_000,
            "cost": {"input_cost_per_thousand": 1, "output_cost_per_thousand": 1},
        },
    )
    model = f"{provider}:batched"
    here.grid(architectures=[single(model), vote(3, model)])


@contextmanager
def run(folder: Path) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [*COMMAND, *RUN]
    with started(command, cwd=folder, env=ENVIRONMENT, start_new_session=True, **pipes) as process:
        yield process


def until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def finish(process: subprocess.Popen[str], server: BatchServer) -> dict[str, Any]:
    """Let batches end until the run does; return its summary."""
    deadline = time.monotonic() + 60
    while process.poll() is None:
        assert time.monotonic() < deadline, "the run does not end"
        server.end()
        time.sleep(0.05)
    out, err = process.communicate()
    assert process.returncode == 0, err
    summary: dict[str, Any] = json.loads(out)
    return summary


def ids(folder: Path) -> list[str | None]:
    """Return the providers' ids in the journal."""
    if not (folder / "results" / "batches.db").exists():
        return []
    with closing(sqlite3.connect(folder / "results" / "batches.db", timeout=60)) as connection:
        try:
            return [row[0] for row in connection.execute("SELECT id FROM batches")]
        except sqlite3.OperationalError:
            return []  # it is just being made


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_a_run_is_answered_by_one_batch_at_half_the_price(here: Workspace, provider: str) -> None:
    with BatchServer(lambda prompt: "8") as server:
        write(here, server, provider)
        with run(here.root) as process:
            summary = finish(process, server)
    # The three votes share their first call with the cell of one.
    assert [len(batch.requests) for batch in server.batches] == [3 * ITEMS]
    assert summary["run"]["spend_usd"] == pytest.approx(3 * ITEMS * CALL_USD)
    cells = {cell["architecture"]: cell for cell in summary["cells"]}
    assert cells["single"]["cost_per_item"]["value"] == pytest.approx(CALL_USD)
    assert cells["single"]["latency_p50"] is None
    assert ids(here.root) == []


class TestSigkill:
    def test_while_a_batch_is_open_pays_nothing_twice(self, here: Workspace) -> None:
        with BatchServer(lambda prompt: "8") as server:
            write(here, server)
            with run(here.root) as process:
                until(process, lambda: ids(here.root) == ["batch-0"])
                process.send_signal(signal.SIGKILL)
                process.communicate()
            with run(here.root) as process:
                summary = finish(process, server)
        assert len(server.batches) == 1
        assert summary["run"]["status"] == "complete"
        assert summary["run"]["spend_usd"] == pytest.approx(3 * ITEMS * CALL_USD)

    @pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
    def test_before_the_id_is_known_finds_the_batch(self, here: Workspace, provider: str) -> None:
        with BatchServer(lambda prompt: "8") as server:
            server.lost = True  # the batch is made, and its id told to nobody
            write(here, server, provider)
            with run(here.root) as process:
                until(process, lambda: bool(server.batches))
                process.send_signal(signal.SIGKILL)
                process.communicate()
            with run(here.root) as process:
                summary = finish(process, server)
        assert len(server.batches) == 1
        assert summary["run"]["status"] == "complete"

    def test_while_answers_are_stored_pays_nothing_twice(self, here: Workspace) -> None:
        with BatchServer(lambda prompt: "8") as server:
            write(here, server)
            with run(here.root) as process:
                until(process, lambda: ids(here.root) == ["batch-0"])
                server.end()
                until(process, lambda: stored(here.root) > 0)
                process.send_signal(signal.SIGKILL)
                process.communicate()
            with run(here.root) as process:
                summary = finish(process, server)
        assert len(server.batches) == 1
        assert summary["run"]["status"] == "complete"
        assert paid(here.root) == (3 * ITEMS, pytest.approx(3 * ITEMS * CALL_USD))


def paid(folder: Path) -> tuple[int, float]:
    """Return how many requests both runs paid for, and what."""
    with closing(sqlite3.connect(folder / "results" / "responses.db")) as connection:
        row = connection.execute("SELECT sum(requests), sum(spend) FROM payments").fetchone()
    return row[0], row[1] / 10**12


def stored(folder: Path) -> int:
    path = folder / "results" / "responses.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM responses").fetchone()[0])


def test_ctrl_c_leaves_the_batch_open_and_says_how_to_go_on(here: Workspace) -> None:
    with BatchServer(lambda prompt: "8") as server:
        write(here, server)
        with run(here.root) as process:
            until(process, lambda: ids(here.root) == ["batch-0"])
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert process.returncode == 3
        assert f"{3 * ITEMS} calls are in providers' batches" in err
        assert "to continue: ember-bench run grid.yaml" in err
        assert json.loads(out)["run"]["status"] == "partial"
        assert json.loads(out)["run"]["trials_run"] == 0  # none is taken for a failure
        with run(here.root) as process:
            summary = finish(process, server)
    assert len(server.batches) == 1
    assert summary["run"]["status"] == "complete"


class TestCtrlCWhileABatchIsSubmitted:
    @pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
    def test_waits_until_its_id_is_known(self, here: Workspace, provider: str) -> None:
        with BatchServer(lambda prompt: "8") as server:
            write(here, server, provider)
            server.slow = 1.0
            with run(here.root) as process:
                until(process, lambda: bool(server.batches))
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
            assert process.returncode == 3
            assert json.loads(out)["run"]["trials_run"] == 0
            assert f"{3 * ITEMS} calls are in providers' batches" in err
            assert ids(here.root) == [server.batches[0].id]
            with run(here.root) as process:
                summary = finish(process, server)
        assert len(server.batches) == 1
        assert summary["run"]["status"] == "complete"

    def test_twice_leaves_it_to_be_found(self, here: Workspace) -> None:
        with BatchServer(lambda prompt: "8") as server:
            write(here, server)
            server.slow = 60.0
            with run(here.root) as process:
                until(process, lambda: bool(server.batches))
                stop_at_once(process)
            assert ids(here.root) == [None]
            with run(here.root) as process:
                summary = finish(process, server)
        assert len(server.batches) == 1
        assert summary["run"]["status"] == "complete"

    def test_twice_before_it_was_made_has_it_made_later(self, here: Workspace) -> None:
        stuck = [True]

        def submissions(asked: Asked) -> Fault | None:
            submits = asked.body and not asked.path.endswith("/files")
            return Fault(0, delay=60) if stuck and submits else None

        with BatchServer(lambda prompt: "8", fault=submissions) as server:
            write(here, server)
            with run(here.root) as process:
                until(process, lambda: server.in_flight > 0 and ids(here.root) == [None])
                stop_at_once(process)
            stuck.clear()
            assert ids(here.root) == [None]
            assert not server.batches
            age(here.root, 100)
            with run(here.root) as process:
                summary = finish(process, server)
        assert [len(batch.requests) for batch in server.batches] == [3 * ITEMS]
        assert summary["run"]["status"] == "complete"


def stop_at_once(process: subprocess.Popen[str]) -> None:
    """Send SIGINT twice, and see that the process ends."""
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 3, err
    assert "to continue: ember-bench run grid.yaml" in err
    assert "Traceback" not in err
    assert "never retrieved" not in err


def age(folder: Path, seconds: float) -> None:
    """Have the batches in the journal be older: they were submitted before a longer break."""
    with closing(sqlite3.connect(folder / "results" / "batches.db")) as connection:
        connection.execute("UPDATE batches SET begun = begun - ?", (seconds,))
        connection.commit()


def test_what_failed_or_expired_is_asked_again_in_another_batch(here: Workspace) -> None:
    seen: list[str] = []

    def fate(prompt: str) -> str | int | None:
        seen.append(prompt)
        return {0: None, 1: 500}.get(len(seen) - 1, "8")

    with BatchServer(fate) as server:
        write(here, server)
        with run(here.root) as process:
            summary = finish(process, server)
    assert len(server.batches[0].requests) == 3 * ITEMS
    again = [name for batch in server.batches[1:] for name, _ in batch.requests]
    assert sorted(again) == sorted(name for name, _ in server.batches[0].requests[:2])
    assert summary["run"]["status"] == "complete"
    assert summary["run"]["spend_usd"] == pytest.approx(3 * ITEMS * CALL_USD)
