"""What a run is doing now can be read beside it, and costs it little."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ember_bench.engines import LocalEngine
from ember_bench.errors import ProviderError
from ember_bench.experiment.lock import locked
from ember_bench.experiment.runner import Run, trial_store
from ember_bench.models import RetryPolicy
from ember_bench.models.call import Call, Request
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.strand import current as current_strand
from ember_bench.models.types import Message, SamplingParameters
from ember_bench.running import live
from ember_bench.running.live import LIVE, Live, LiveSummary, live_now, read_live, shown_live
from tests.experiment.conftest import workspace
from tests.support.models import scripted, serve
from tests.support.workspace import Workspace

__all__ = ["workspace"]


def while_it_runs(workspace: Workspace, look: Callable[[Live], bool]) -> Live:
    """Begin to run the grid; return what it is doing as soon as `look` says so."""
    experiment, engine = workspace.experiment(), LocalEngine()
    folder = workspace.root / "results" / experiment.name

    async def main() -> Live:
        with locked(folder):
            experiment.service.attach(ResponseStore(workspace.root / "results/responses.db"))
            store = trial_store(folder, experiment)
            task = asyncio.create_task(Run(experiment, store, engine).trials())
            try:
                async with asyncio.timeout(20):
                    while not look(found := live_now(experiment.service, engine.under_way)):
                        await asyncio.sleep(0.005)
                return found
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await experiment.service.close(abandon=True)
                store.close()

    return asyncio.run(main())


def test_a_trial_tells_which_calls_are_answered_and_which_it_waits_for(
    workspace: Workspace,
) -> None:
    workspace.sums(4)
    workspace.model("counted:slow", seconds=600)
    parameters = {"models": ["counted:a"] * 3, "judge": "counted:slow"}
    workspace.grid(
        architectures=[{"name": "ensemble_judge", "parameters": parameters}], in_flight=2
    )
    found = while_it_runs(
        workspace, lambda now: sum(w.state == "sent" for t in now.trials for w in t.waits) == 2
    )
    assert found.under_way == 2
    assert [(t.cell, t.item, t.epoch) for t in found.trials] == [(0, 0, 0), (0, 1, 0)]
    for trial in found.trials:
        assert [call.node for call in trial.calls] == ["ensemble"] * 3
        (waiting,) = trial.waits
        assert (waiting.node, waiting.model, waiting.state) == ("judge", "counted:slow", "sent")
        assert waiting.attempts == 1
        ((role, text),) = found.prompts[waiting.prompt]
        assert role == "user"
        assert text.count("Answer: ") >= 3
    assert len({trial.waits[0].prompt for trial in found.trials}) == 2
    assert found.models["counted:slow"].in_flight == 2
    assert found.models["counted:slow"].waiting == 0


def test_a_call_that_waits_for_the_limits_says_so(workspace: Workspace) -> None:
    workspace.sums(3)
    workspace.write(
        "registry/models/narrow.yaml",
        {"name": "counted:narrow", "options": {"seconds": 600}, "max_concurrency": 1},
    )
    workspace.grid(
        architectures=[{"name": "single", "parameters": {"model": "counted:narrow"}}], in_flight=3
    )
    found = while_it_runs(workspace, lambda now: len(now.trials) == 3 and bool(now.models))
    states = sorted(wait.state for trial in found.trials for wait in trial.waits)
    assert states == ["sent", "waiting", "waiting"]
    state = found.models["counted:narrow"]
    assert (state.window, state.in_flight, state.waiting, state.is_open) == (1, 1, 2, True)


def test_a_call_between_two_attempts_has_the_error_of_the_last(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def server(call: Call) -> str:
        raise ProviderError("overloaded", retryable=True, status=500)

    async def sleeps(seconds: float) -> None:
        asked.set()
        await asyncio.sleep(600)

    async def main() -> str:
        model = scripted(server)
        service = serve(model, retry=RetryPolicy(sleep=sleeps))
        service.attach(ResponseStore(tmp_path / "responses.db"))
        current_strand.set(Strand(TrialContext(), "node"))
        request = Request(model, (Message("user", "?"),), SamplingParameters())
        task = asyncio.create_task(service.ask(request))
        await asked.wait()
        ((call, _, state),) = [c for client in service.clients for c in client.waiting()]
        assert call.node == "node"
        assert state is not None
        assert (state.sent, state.attempts) == (None, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await service.close(abandon=True)
        return state.error

    assert asyncio.run(main()) == "overloaded"


def test_the_file_is_that_of_one_process_and_goes_with_the_run(tmp_path: Path) -> None:
    async def main() -> LiveSummary | None:
        ready = asyncio.Event()
        rounds = 0

        async def sleep(seconds: float) -> None:
            nonlocal rounds
            assert seconds >= 1
            rounds += 1
            if rounds > 1:  # one is written
                ready.set()
                await asyncio.sleep(600)

        async with shown_live(tmp_path, serve(), {}, sleep):
            await ready.wait()
            assert read_live(tmp_path, os.getpid() + 1, Live) is None
            return read_live(tmp_path, os.getpid(), LiveSummary)

    found = asyncio.run(main())
    assert found is not None
    assert (found.under_way, found.models) == (0, {})
    assert not (tmp_path / LIVE).exists()


@pytest.mark.parametrize(("cpu", "pauses"), [(0.0, 10), (1.0, 10), (3.0, 4), (50.0, 1)])
def test_writing_takes_a_hundredth_of_the_cpu_unless_that_is_hardly_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: float, pauses: int
) -> None:
    used, writings, slept = 0.0, 0, 0

    def timed(path: Path, content: bytes) -> float:
        nonlocal writings
        writings += 1
        return 0.1

    async def main() -> None:
        over = asyncio.Event()

        async def sleep(seconds: float) -> None:
            nonlocal used, slept
            assert seconds == 1
            if writings == 2:
                over.set()
                await asyncio.sleep(600)
            used += cpu
            slept += writings

        async with shown_live(tmp_path, serve(), None, sleep):
            await over.wait()

    monkeypatch.setattr(live, "_timed_write", timed)
    monkeypatch.setattr(live.time, "process_time", lambda: used)
    monkeypatch.setattr(live.time, "thread_time", lambda: 0.0)
    asyncio.run(main())
    assert slept == pauses


@pytest.mark.parametrize("content", [b"", b"{}", b'{"process": "me"}', b"\xff"])
def test_what_is_no_such_file_tells_nothing(tmp_path: Path, content: bytes) -> None:
    assert read_live(tmp_path, 1, Live) is None
    (tmp_path / LIVE).write_bytes(content)
    assert read_live(tmp_path, 1, Live) is None
