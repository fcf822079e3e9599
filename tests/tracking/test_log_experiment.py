from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mlflow.entities import Run

from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.tracking import Logged, TrackingError, digest_of
from ember_bench.tracking.log_experiment import record
from ember_bench.tracking.messages import Log
from ember_bench.tracking.mlflow_store import Store
from tests.tracking.summaries import cell, estimate, summary, trials

pytestmark = pytest.mark.slow


class Recording:
    """Logs summaries to one store, and counts the cells whose trials were asked for."""

    def __init__(self, store: Store, results: Path) -> None:
        self.store, self.results = store, results
        self.asked: list[str] = []

    def __call__(self, found: ExperimentSummary, **changes: Any) -> Logged:
        self.asked.clear()
        given = {"markdown": "| a |\n| --- |", "price_date": None} | changes
        grid = str(self.results / "demo.yaml")
        return record(self.store, Log(found, grid=grid, files=[grid], **given), self._trials)

    def _trials(self, name: str) -> Iterator[dict[str, list[Any]]]:
        self.asked.append(name)
        return trials(50)

    def run(self, run_id: str) -> Run:
        return self.store.client.get_run(run_id)

    def runs(self) -> list[Run]:
        return list(self.store.client.search_runs([self.store.experiment_id]))


@pytest.fixture
def log(open_experiment: Callable[..., Store], results: Path) -> Recording:
    return Recording(open_experiment(), results)


def test_a_parent_run_and_a_run_for_each_cell(log: Recording):
    found = summary()
    logged = log(found, price_date="2026-11-01")
    parent = log.run(logged.run_id)
    assert parent.info.run_name == "demo 01234567 [simulated]"
    assert parent.info.status == "FINISHED"
    assert parent.info.end_time - parent.info.start_time == 12_500
    tags = parent.data.tags
    assert tags["mlflow.note.content"] == "| a |\n| --- |"
    assert tags["simulated"] == "true"
    assert tags["status"] == "complete"
    assert tags["price_date"] == "2026-11-01"
    assert tags["ember_bench.logged"] == logged.digest == digest_of(found)
    assert set(logged.cells) == {each.name for each in found.cells}
    for each in found.cells:
        child = log.run(logged.cells[each.name])
        assert child.info.run_name == f"{each.label} [simulated]"
        assert child.data.tags["mlflow.parentRunId"] == logged.run_id
        assert child.data.tags["ember_bench.cell"] == each.name
        assert child.data.params["architecture"] == each.architecture
        assert each.accuracy is not None
        assert child.data.metrics["accuracy/ci95_low"] == each.accuracy.low
    assert len(log.runs()) == 4


def test_runs_are_listed_in_the_order_of_the_grid(log: Recording):
    log(summary(*[cell(i) for i in range(6)]))
    *children, parent = [run.info.run_name.split(" [")[0] for run in log.runs()]
    assert parent == "demo 01234567"
    assert children == ["single", *(f"vote(k={k})" for k in (3, 5, 7, 9, 11))]


def test_artifacts(log: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    logged = log(summary())
    client = log.store.client
    names = {file.path for file in client.list_artifacts(logged.run_id)}
    assert names == {"grid.yaml", "demo.yaml", "accuracy_and_cost.html"}
    child = logged.cells["primes/single"]
    path = client.download_artifacts(child, "trials.parquet", str(tmp_path))
    assert pq.read_table(path).num_rows == 50
    # The tag without which MLflow does not offer the table for comparison.
    tables = json.loads(log.run(child).data.tags["mlflow.loggedArtifacts"])
    assert tables == [{"path": "trials.json", "type": "table"}]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", log.store.tracking_uri)
    assert len(client.load_table(log.store.experiment_id, "trials.json", [child])) == 50
    assert (log.results / "mlartifacts" / logged.run_id).is_dir()


def test_datasets_are_inputs(log: Recording):
    logged = log(summary())
    for run_id in (logged.run_id, logged.cells["primes/single"]):
        (used,) = log.run(run_id).inputs.dataset_inputs
        assert used.dataset.name == "primes"
        assert used.dataset.digest == "d" * 12
        assert json.loads(used.dataset.source)["path"] == "someone/primes"
        tags = {tag.key: tag.value for tag in used.tags}
        assert tags["revision"] == "0" * 40
        assert tags["evaluator_identity"] == "exact@1"


def test_the_same_again_writes_nothing(log: Recording):
    first = log(summary())
    before = [run.to_dictionary() for run in log.runs()]
    assert log(summary()) == first
    assert log.asked == []
    assert [run.to_dictionary() for run in log.runs()] == before


def test_a_resumed_experiment_updates_its_runs(log: Recording):
    halves = [cell(i, items=50, accuracy=estimate(0.4)) for i in range(3)]
    first = log(summary(*halves, status="partial"))
    assert log.run(first.run_id).info.run_name.endswith("[partial]")
    second = log(summary())
    assert (second.run_id, second.cells) == (first.run_id, first.cells)
    parent = log.run(second.run_id)
    assert parent.info.run_name == "demo 01234567 [simulated]"
    assert parent.data.tags["status"] == "complete"
    assert log.run(second.cells["primes/single"]).data.metrics["accuracy"] == 0.5
    assert len(log.runs()) == 4


def test_only_cells_that_changed_are_written(log: Recording):
    first = log(summary(cell(0), cell(1)))
    second = log(summary(cell(0), cell(1, items=101), cell(2)))
    assert log.asked == ["primes/vote(k=3)", "primes/vote(k=5)"]
    assert first.cells.items() <= second.cells.items()


def test_another_digest_is_another_experiment(log: Recording):
    first, second = log(summary()), log(summary(digest="f" * 32))
    assert first.run_id != second.run_id
    assert not set(first.cells.values()) & set(second.cells.values())


def test_failures_that_were_put_right_leave_no_stale_bounds(log: Recording):
    failed = cell(1, accuracy=estimate(0.4), accuracy_worst=0.4, accuracy_best=0.6)
    first = log(summary(failed))
    second = log(summary(cell(1, accuracy_worst=None, accuracy_best=None)))
    assert first.cells == second.cells
    metrics = log.run(second.cells[failed.name]).data.metrics
    assert metrics["accuracy/worst"] == metrics["accuracy"] == metrics["accuracy/best"]


def test_a_run_that_would_keep_a_value_no_longer_defined_is_replaced(log: Recording):
    first = log(summary(cell(0), cell(1)))
    log.store.client.log_metric(first.cells["primes/single"], "reviewed", 1)
    second = log(summary(cell(0, items=99), cell(1, cost_per_item=None)))
    assert second.cells["primes/single"] == first.cells["primes/single"]
    assert second.cells["primes/vote(k=3)"] != first.cells["primes/vote(k=3)"]
    assert "cost_usd/per_item" not in log.run(second.cells["primes/vote(k=3)"]).data.metrics
    assert log.run(second.cells["primes/single"]).data.metrics["reviewed"] == 1
    assert len(log.runs()) == 3


def test_a_run_deleted_in_mlflow_is_made_again(log: Recording):
    first = log(summary())
    log.store.client.delete_run(first.cells["primes/single"])
    second = log(summary())
    assert log.asked == ["primes/single"]
    assert second.run_id == first.run_id


def test_thousands_of_metrics(log: Recording):
    many = cell(0, categories={f"category {i}": estimate(0.5) for i in range(800)})
    logged = log(summary(many))
    metrics = log.run(logged.cells[many.name]).data.metrics
    assert sum(key.startswith("by_category/") for key in metrics) == 2_400


def test_names_of_any_kind(log: Recording):
    nasty = "<script>alert(1)</script> ../..\n'\"`%00 é 🙂 " + "x" * 9_000
    cells = [
        cell(
            i, name=f"{nasty}{i}", label=nasty, dataset=nasty, architecture=nasty,
            parameters={nasty: nasty, "": None, "é": 1}, models=[nasty] * 5,
            categories={nasty: estimate(0.5), ".": estimate(0.5)},
        )
        for i in range(2)
    ]  # fmt: skip
    used = summary().datasets[0]
    dataset = type(used)(nasty, nasty, nasty, nasty, 3, nasty, nasty)
    found = summary(*cells, name=nasty, datasets=[dataset])
    logged = log(found, markdown=nasty)
    assert len(set(logged.cells.values())) == 2
    assert log(found, markdown=nasty) == logged


def test_an_experiment_deleted_in_mlflow_says_how_to_restore_it(
    log: Recording, open_experiment: Callable[..., Store]
):
    log.store.client.delete_experiment(log.store.experiment_id)
    with pytest.raises(TrackingError, match="mlflow experiments restore --experiment-id"):
        open_experiment()
