"""Trials on several workers give what they give in one process, and pay nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ember_bench.engines.dispatch import WorkersLostError
from ember_bench.errors import StoreError
from ember_bench.experiment.results.summary import ExperimentSummary
from tests.support import counted
from tests.support.local_models import free_ports, local_models, started
from tests.support.workers import Workers
from tests.support.workspace import Ran, Workspace, run, single, vote


def comparable(summary: ExperimentSummary) -> Any:
    """Return all of a summary but the times of the run, and which cell paid for a shared call."""
    found = msgspec.to_builtins(summary)
    for name in ("started", "wall_seconds"):
        del found["run"][name]
    for cell in found["cells"]:
        for name in ("calls_made", "calls_shared", "spend_usd"):
            cell.pop(name, None)
    return found


def run_on_workers(workspace: Workspace, count: int = 2, **options: Any) -> Ran:
    return workspace.run(engine=Workers(workspace.experiment, count, **options))


def other(workspace: Workspace) -> Workspace:
    """Return the workspace with another results folder."""
    (workspace.root / "results").rename(workspace.root / "results-before")
    return workspace


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_summary_is_that_of_one_process(workspace: Workspace, count: int) -> None:
    workspace.sums(30)
    workspace.model("counted:a", spread=0.01)
    workspace.grid(architectures=[vote([1, 3, 5])], epochs=2, in_flight=20)
    local = workspace.run()
    requests = counted.requests()
    ran = run_on_workers(other(workspace), count)
    assert comparable(ran.summary) == comparable(local.summary)
    assert counted.requests() == requests + requests


def test_rows_have_the_fingerprints_of_one_process(workspace: Workspace) -> None:
    run_on_workers(workspace)
    again = workspace.run()
    assert again.changes == []
    assert again.progress.done == 0
    assert again.summary.run.status == "complete"


def test_equal_calls_of_several_workers_are_one_request(workspace: Workspace) -> None:
    # The questions of all items are the same: so are all calls.
    workspace.write(
        "registry/datasets/sums.jsonl",
        "".join(f'{{"id": "s{i}", "question": "1 + 7 = ?", "answer": "8"}}\n' for i in range(40)),
    )
    workspace.model("counted:a", seconds=0.05)
    workspace.grid(in_flight=40)
    ran = run_on_workers(workspace, 4)
    assert ran.summary.run.calls_made == 1
    assert ran.summary.run.calls_shared == 39
    assert counted.requests().total() == 1


def test_failures_are_told_as_in_one_process(workspace: Workspace) -> None:
    workspace.sums(["", "refuse", "crash", "mumble", ""])
    local = workspace.run()
    ran = run_on_workers(other(workspace))
    assert comparable(ran.summary) == comparable(local.summary)
    assert ran.summary.failed == 2


def test_answers_of_a_lost_worker_are_not_paid_again(workspace: Workspace) -> None:
    workspace.sums(60)
    workspace.model("counted:a", spread=0.02)
    workspace.grid(architectures=[vote([1, 3])], in_flight=12)
    local = workspace.run()
    needed = set(counted.requests())
    Path(workspace.root / "requests.log").unlink()
    lost = 0

    def kill_some(workers: Workers) -> None:
        nonlocal lost
        if lost < 4:
            lost += 1
            workers.kill()
            workers.add()

    ran = run_on_workers(other(workspace), on_batch=kill_some)
    assert lost == 4
    answered = counted.requests("answer")
    assert set(answered) == needed
    # Only what a lost worker had in flight was asked again: 6 trials of at most 3 calls.
    assert (counted.requests() - answered).total() <= 4 * 6 * 3
    local_cells = {c["name"]: c["accuracy"] for c in msgspec.to_builtins(local.summary)["cells"]}
    cells = {c["name"]: c["accuracy"] for c in msgspec.to_builtins(ran.summary)["cells"]}
    assert cells == local_cells
    assert ran.summary.run.calls_made == len(needed)


def test_a_trial_that_workers_die_of_ends_the_run(workspace: Workspace) -> None:
    workspace.sums(1)
    workspace.model("counted:a", seconds=0.05)
    workers = Workers(workspace.experiment, 1)

    async def kill_all() -> None:
        while True:
            await asyncio.sleep(0.01)
            if workers.there and workers.there[0][1].trials:
                workers.kill()
                workers.add()

    class Dying(Workers):
        async def run(self, *arguments: Any) -> Any:
            killing = asyncio.create_task(kill_all())
            async for batch in workers.run(*arguments):
                yield batch
            killing.cancel()

    with pytest.raises(WorkersLostError, match="under way in 5 workers that ended"):
        workspace.run(engine=Dying(workspace.experiment))


def test_a_budget_holds_over_workers(workspace: Workspace) -> None:
    workspace.sums(40)
    # A call costs 30 tokens at a dollar per 1,000; it reserves more, for up to 50 tokens of answer.
    card = {
        "name": "counted:a",
        "cost": {"input_cost_per_thousand": 1.0, "output_cost_per_thousand": 1.0},
        "max_output_tokens": 50,
        "options": {"spread": 0.01},
    }
    workspace.write("registry/models/counted-a.yaml", card)
    workspace.grid(in_flight=20, budget_usd=0.5)
    ran = run_on_workers(workspace, 3)
    spent = ran.summary.run.spend_usd
    assert spent is not None
    assert 0.3 < spent <= 0.5
    assert counted.requests("answer").total() * 0.03 == pytest.approx(spent)
    assert ran.summary.run.status == "partial"
    assert ran.summary.failed == 0


def test_requests_in_flight_are_limited_over_workers(workspace: Workspace) -> None:
    workspace.sums(40)
    card = {"name": "counted:a", "max_concurrency": 3, "options": {"seconds": 0.004}}
    workspace.write("registry/models/counted-a.yaml", card)
    workspace.grid(in_flight=40)
    most = 0

    def look(workers: Workers) -> None:
        nonlocal most
        most = max(most, sum(len(link.permits) for _, link, _ in workers.there))

    ran = run_on_workers(workspace, 4, on_batch=look)
    assert ran.summary.run.status == "complete"
    assert 1 <= most <= 3


def test_trials_in_flight_are_those_of_the_grid(workspace: Workspace) -> None:
    workspace.sums(40)
    workspace.model("counted:a", seconds=0.005)
    workspace.grid(in_flight=3)
    workers = Workers(workspace.experiment, 2)
    workspace.run(engine=workers)
    # Two at one worker, one at the other, and as many that wait there.
    assert workers.most_trials <= 4


def test_nothing_is_begun_after_a_stop(workspace: Workspace) -> None:
    workspace.sums(200)
    workspace.model("counted:a", seconds=0.002)
    workspace.grid(in_flight=10)

    class Stopping(Workers):
        async def run(self, experiment: Any, trials: Any, stop: asyncio.Event) -> Any:
            async for batch in super().run(experiment, trials, stop):
                stop.set()
                yield batch

    ran = workspace.run(engine=Stopping(workspace.experiment))
    assert ran.summary.run.status == "partial"
    assert ran.progress.done < 60
    rest = run_on_workers(workspace)
    assert rest.summary.run.status == "complete"
    assert counted.requests().total() == 200


def test_a_request_of_a_lost_worker_is_spent_at_worst(workspace: Workspace) -> None:
    workspace.sums(1)
    card = {
        "name": "counted:a",
        "cost": {"input_cost_per_thousand": 1.0, "output_cost_per_thousand": 1.0},
        "max_output_tokens": 50,
        "options": {"seconds": 0.3},
    }
    workspace.write("registry/models/counted-a.yaml", card)
    workspace.grid(budget_usd=10.0)
    workers = Workers(workspace.experiment, 1)
    budgets = []

    async def kill_one() -> None:
        while counted.requests().total() < 1:
            await asyncio.sleep(0.005)
        workers.kill()
        workers.add()

    class Dying(Workers):
        async def run(self, experiment: Any, *arguments: Any) -> Any:
            budgets.append(experiment.budget)
            killing = asyncio.create_task(kill_one())
            async for batch in workers.run(experiment, *arguments):
                yield batch
            await killing

    ran = workspace.run(engine=Dying(workspace.experiment)).summary.run
    assert (ran.status, ran.calls_made, ran.unanswered) == ("complete", 1, 1)
    # Fifty tokens of an answer, and the prompt.
    assert ran.unanswered_usd is not None
    assert 0.05 < ran.unanswered_usd < 0.2
    assert ran.spend_usd == pytest.approx(0.03)
    assert budgets[0]._run.spent == pytest.approx(1e9 * (0.03 + ran.unanswered_usd))


def test_answers_that_cannot_be_stored_end_the_run(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ember_bench.models.store.response_store import ResponseStore

    async def fail(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(ResponseStore, "put", fail)
    with pytest.raises(StoreError, match="the disk is full"):
        run_on_workers(workspace)


def test_offline_nothing_is_asked(workspace: Workspace) -> None:
    workspace.sums(6)
    run_on_workers(workspace)
    (workspace.root / "results" / "trip" / "trials.db").unlink()
    asked = counted.requests().total()
    workspace.sums(7)  # the seventh has no answer

    def opening() -> Any:
        return workspace.experiment(offline=True)

    ran = workspace.run(offline=True, engine=Workers(opening))
    assert ran.summary.failed == 1
    assert "not in the response store" in (ran.progress.first_error or "")
    assert counted.requests().total() == asked


def test_texts_that_cannot_be_encoded_are_stored_as_in_one_process(workspace: Workspace) -> None:
    workspace.write(
        "registry/evaluators/fussy.py",
        "from ember_bench.evaluators import Score, evaluator\n"
        "from dataclasses import dataclass\n\n"
        "class Text(str):\n    pass\n\n"
        "@evaluator('fussy')\n@dataclass(frozen=True)\n"
        "class Odd:\n"
        "    name: str = 'fussy'\n"
        "    identity: str = 'fussy/1'\n"
        "    def evaluate(self, item, response):\n"
        "        return Score(1.0, Text('a'), 'half \\ud800 a pair')\n",
    )
    workspace.write(
        "registry/evaluators/fussy.yaml", {"name": "fussy", "purpose": "Odd.", "kind": "fussy"}
    )
    workspace.grid(datasets=[{"name": "sums", "evaluator": "fussy"}])
    local = workspace.run()
    ran = run_on_workers(other(workspace))
    assert comparable(ran.summary) == comparable(local.summary)


def test_waits_of_workers_for_rate_limits_are_told(workspace: Workspace) -> None:
    from ember_bench.engines.messages import Waits, encoded
    from ember_bench.models.limits import RateLimitWait

    experiment, told = workspace.experiment(), []

    def look(workers: Workers) -> None:
        assert workers.dispatcher is not None
        for number, (_, link, _) in enumerate(workers.there):
            wait = RateLimitWait("counted:a", 5.0 + number, 1.0)
            workers.dispatcher.heard(link, encoded([Waits([wait])]))
        told.extend(experiment.service.rate_limit_waits)

    run(
        experiment,
        workspace.root / "results",
        engine=Workers(workspace.experiment, 2, on_batch=look),
    )
    assert told[0] == RateLimitWait("counted:a", 6.0, 1.0)


@pytest.mark.slow
def test_a_server_is_started_once_for_all_workers_and_has_its_gpu_in_turn(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBER_BENCH_GPUS", "1")
    with free_ports(2) as ports:
        models = local_models(workspace, ports)
        workspace.grid(architectures=[single(models)], in_flight=4)
        ran = run_on_workers(workspace)
        assert ran.summary.failed == 0
        assert started(workspace) == [(port, "0") for port in ports]
