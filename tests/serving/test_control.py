"""Runs are stopped from the page as Ctrl-C does it, and go on without the view."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ember_bench import host
from ember_bench.experiment.lock import holds, locked
from ember_bench.running.commands import keep_command
from ember_bench.serving.control import Control
from tests.experiment.conftest import workspace
from tests.serving.test_view import PAYLOAD, TOKEN, client
from tests.support.killing import wait_for
from tests.support.programs import started
from tests.support.workspace import Workspace, single

__all__ = ["workspace"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT: needs POSIX")

HOLDS = """
import sys, time
from pathlib import Path
from ember_bench.experiment.lock import locked

caught = 0
with locked(Path(sys.argv[1])):
    print("holds", flush=True)
    while caught < 2:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            caught += 1
            print("caught", caught, flush=True)
"""
SCRIPT = "from ember_bench.cli import main\nmain()\n"


@pytest.fixture
def writer(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the results of an experiment and counts its interrupts."""
    workspace.grid(in_flight=1)
    workspace.run(stop_after=2)
    command = [sys.executable, "-c", HOLDS, str(workspace.root / "results/trip")]
    with started(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield process


def test_stop_interrupts_the_process_that_writes_once(
    writer: subprocess.Popen[str], workspace: Workspace
) -> None:
    pages = client(workspace.root / "results")
    assert 'data-post="stop/trip"' in pages.get(f"/{TOKEN}/live").text
    for _ in range(3):
        assert pages.post(f"/{TOKEN}/stop/trip").status_code == 204
    assert writer.stdout is not None
    assert writer.stdout.readline() == "caught 1\n"
    shown = pages.get(f"/{TOKEN}/live").text
    assert "Stopping: what is in flight is finished" in shown
    assert "data-post" not in shown
    # Had it been told twice, it would have ended.
    with pytest.raises(subprocess.TimeoutExpired):
        writer.wait(0.2)
    writer.kill()
    writer.wait()
    assert "data-post" not in pages.get(f"/{TOKEN}/live").text


def test_only_with_the_token_and_by_post_is_a_run_stopped(
    writer: subprocess.Popen[str], workspace: Workspace
) -> None:
    pages = client(workspace.root / "results")
    assert pages.post("/wrong/stop/trip").status_code == 404
    assert pages.post(f"/{TOKEN}/stop/trip", headers={"Host": "evil.example"}).status_code == 404
    assert pages.get(f"/{TOKEN}/stop/trip").status_code == 405
    assert pages.post(f"/{TOKEN}/stop/nowhere").status_code == 404
    assert not Control(workspace.root / "results").is_stopping("trip")
    with pytest.raises(subprocess.TimeoutExpired):
        writer.wait(0.2)


def test_a_process_that_only_has_the_number_of_the_writer_is_left_alone(
    workspace: Workspace,
) -> None:
    workspace.run()
    lock = workspace.root / "results/trip/.lock"
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with started(command) as other:
        lock.write_text(str(other.pid))
        answer = client(workspace.root / "results").post(f"/{TOKEN}/stop/trip")
        assert answer.status_code == 409
        assert answer.text == "trip: no process of this user runs it on this machine"
        assert other.poll() is None


@pytest.mark.parametrize("tells", [True, False])
def test_who_holds_a_folder_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells: bool
) -> None:
    if not tells:
        monkeypatch.setattr(host, "has_open", lambda process, path: None)
    assert not holds(os.getpid(), tmp_path)
    with locked(tmp_path):
        assert holds(os.getpid(), tmp_path)
    (tmp_path / ".lock").write_text(str(os.getpid()))  # as a killed process leaves it
    assert not holds(os.getpid(), tmp_path)


def test_a_run_without_a_known_command_is_not_resumed(workspace: Workspace) -> None:
    workspace.grid(in_flight=1)
    workspace.run(stop_after=2)
    pages = client(workspace.root / "results")
    assert "data-post" not in live(pages)
    answer = pages.post(f"/{TOKEN}/resume/trip")
    assert answer.status_code == 409
    assert "no command of this user on this machine is known" in answer.text


def test_a_run_that_goes_on_is_not_resumed(workspace: Workspace) -> None:
    workspace.run(stop_after=2)
    folder = workspace.root / "results/trip"
    keep_command(folder, ("run", "grid.yaml"))
    with locked(folder):
        answer = client(workspace.root / "results").post(f"/{TOKEN}/resume/trip")
    assert answer.status_code == 409
    assert answer.text == "trip: it runs already"


def test_the_command_that_would_be_run_is_shown_as_text(workspace: Workspace) -> None:
    workspace.grid(in_flight=1)
    workspace.run(stop_after=2)
    keep_command(workspace.root / "results/trip", ("run", PAYLOAD))
    text = live(client(workspace.root / "results"))
    assert 'data-post="resume/trip"' in text
    assert "<code>ember-bench run" in text
    assert "<img" not in text


@pytest.mark.slow
def test_a_run_is_stopped_in_order_and_resumed_with_its_own_command(workspace: Workspace) -> None:
    workspace.model("simulated:slow", sleep=True, latency_seconds=0.2, spread=0.0)
    workspace.sums(40)
    workspace.grid(architectures=[single("simulated:slow")], in_flight=2)
    pages = client(workspace.root / "results")
    with begun(workspace) as process:
        wait_for(lambda: "trials/trip/0" in live(pages))
        assert pages.post(f"/{TOKEN}/stop/trip").status_code == 204
        assert process.wait(60) == 3
        assert process.stderr is not None
        assert "stopped early; to continue: ember-bench run grid.yaml" in process.stderr.read()
    assert 'data-post="resume/trip"' in live(pages)
    assert pages.post(f"/{TOKEN}/resume/trip").status_code == 204
    assert pages.post(f"/{TOKEN}/resume/trip").status_code == 409
    wait_for(lambda: "state finished" in live(pages))
    assert "40 of 40 trials" in live(pages)


@pytest.mark.slow
def test_what_a_resumed_run_says_when_it_fails_is_shown_as_text(workspace: Workspace) -> None:
    workspace.model("simulated:slow", sleep=True, latency_seconds=0.2, spread=0.0)
    workspace.sums(40)
    workspace.grid(architectures=[single("simulated:slow")], in_flight=2)
    pages = client(workspace.root / "results")
    with begun(workspace) as process:
        wait_for(lambda: "trials/trip/0" in live(pages))
        pages.post(f"/{TOKEN}/stop/trip")
        process.wait(60)
    workspace.write("grid.yaml", f"name: trip\n'{PAYLOAD.replace(chr(39), '')}': 1\n")
    pages.post(f"/{TOKEN}/resume/trip")
    wait_for(lambda: "The resumed run ended:" in live(pages))
    assert "grid.yaml:" in live(pages)
    assert "<img" not in live(pages)
    assert "&lt;img" in live(pages)


def begun(workspace: Workspace) -> AbstractContextManager[subprocess.Popen[str]]:
    script = workspace.write("bin/ember-bench", SCRIPT)
    root = str(Path(__file__).parents[2])
    return started(
        [sys.executable, str(script), "run", "grid.yaml", "--no-mlflow", "--quiet"],
        cwd=workspace.root,
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def live(pages: TestClient) -> str:
    return pages.get(f"/{TOKEN}/live").text
