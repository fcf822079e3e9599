"""Runs that are being run, in a store of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from mlflow.entities import Run

from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.tracking.live import Live
from ember_bench.tracking.log_experiment import record
from ember_bench.tracking.messages import Begin, Log, Logged, Point
from ember_bench.tracking.mlflow_store import Store
from tests.tracking.summaries import cell, summary, trials

pytestmark = pytest.mark.slow

CELL = "primes/vote(k=3)"


def begun() -> ExperimentSummary:
    nothing = {"skipped": 100}
    cells = [
        cell(i, outcomes=nothing, accuracy=None, comparison=None, spend_usd=None) for i in range(2)
    ]
    return summary(*cells, status="partial")


def points(*done: int, cell: str = CELL) -> list[Point]:
    return [Point(cell, 1_000 + n, n, 0.5 + n / 1_000, n * 0.01, 0) for n in done]


@pytest.fixture
def store(open_experiment: Callable[..., Store]) -> Store:
    return open_experiment()


def runs(store: Store) -> dict[str, Run]:
    found = store.client.search_runs([store.experiment_id])
    return {run.data.tags.get("ember_bench.cell", ""): run for run in found}


def log(store: Store, results: Path) -> Logged:
    found, grid = summary(cell(0), cell(1)), str(results / "demo.yaml")
    return record(store, Log(found, "", grid, [], None), lambda _: trials(50))


def test_a_cell_has_a_run_as_soon_as_it_has_a_point(store: Store) -> None:
    live = Live(store, Begin(begun(), "2026-11-01"))
    live.add([*points(10, cell=""), *points(10)])
    found = runs(store)
    assert set(found) == {"", CELL}
    assert {run.info.status for run in found.values()} == {"RUNNING"}
    tags = found[CELL].data.tags
    assert tags["mlflow.parentRunId"] == found[""].info.run_id
    assert (tags["status"], tags["partial"], tags["simulated"]) == ("running", "true", "true")
    assert found[CELL].data.params["architecture"] == "vote"
    assert found[CELL].inputs.dataset_inputs[0].dataset.name == "primes"


def test_the_step_of_a_curve_is_the_trials_done(store: Store) -> None:
    live = Live(store, Begin(begun(), None))
    live.add(points(10, cell="") + points(10))
    live.add(points(20, 30))
    run_id = runs(store)[CELL].info.run_id
    history = store.client.get_metric_history(run_id, "live/accuracy")
    assert [(m.step, m.value) for m in history] == [(10, 0.51), (20, 0.52), (30, 0.53)]
    spend = store.client.get_metric_history(run_id, "live/spend_usd")
    assert [m.step for m in spend] == [10, 20, 30]


def test_the_results_go_to_the_same_runs_and_are_the_same_as_without_curves(
    store: Store, open_experiment: Callable[..., Store], results: Path
) -> None:
    live = Live(store, Begin(begun(), None))
    live.add(points(10, cell="") + points(10))
    before = runs(store)
    logged = log(store, results)
    after = runs(store)
    assert logged.run_id == before[""].info.run_id
    assert logged.cells[CELL] == before[CELL].info.run_id
    assert {run.info.status for run in after.values()} == {"FINISHED"}
    assert after[CELL].data.tags["status"] == "complete"
    other = open_experiment("other")
    log(other, results)
    for name, plain in runs(other).items():
        metrics = after[name].data.metrics
        assert {k: v for k, v in metrics.items() if not k.startswith("live/")} == plain.data.metrics
        # Bars over runs, and no curve of one point.
        history = store.client.get_metric_history(after[name].info.run_id, "trials/scheduled")
        assert [metric.step for metric in history] == [0]


def test_a_resumed_run_is_running_again_and_keeps_its_results_until_it_has_new_ones(
    store: Store, results: Path
) -> None:
    logged = log(store, results)
    live = Live(store, Begin(begun(), None))
    live.add(points(60, cell="") + points(60))
    run = runs(store)[CELL]
    assert run.info.run_id == logged.cells[CELL]
    assert run.info.status == "RUNNING"
    assert run.data.metrics["accuracy"] == pytest.approx(0.59)
    again = log(store, results)
    assert again.cells == logged.cells
    assert runs(store)[CELL].info.status == "FINISHED"


def test_points_that_could_not_be_written_come_with_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Live(store, Begin(begun(), None))
    live.add(points(10, cell=""))
    with monkeypatch.context() as broken:
        broken.setattr(type(store.client), "log_batch", _no_server)
        with pytest.raises(ConnectionError):
            live.add(points(10))
    live.add(points(20))
    run_id = runs(store)[CELL].info.run_id
    history = store.client.get_metric_history(run_id, "live/accuracy")
    assert [metric.step for metric in history] == [10, 20]


def test_runs_of_which_nothing_more_will_come_are_killed(store: Store) -> None:
    live = Live(store, Begin(begun(), None))
    live.add(points(10, cell="") + points(10))
    live.abandon()
    assert {run.info.status for run in runs(store).values()} == {"KILLED"}


def test_a_point_is_small(store: Store) -> None:
    assert len(msgspec.json.encode(points(10)[0])) < 80


def _no_server(*_: object, **__: object) -> None:
    raise ConnectionError("no server")
