"""The pages that `ember-bench ui` leads to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ember_bench.tracking.log_experiment import record
from ember_bench.tracking.messages import Log
from ember_bench.tracking.mlflow_store import Store
from ember_bench.tracking.server import experiment_pages
from tests.tracking import summaries

PAGES = "http://127.0.0.1:5000"


def test_the_last_experiment_comes_first_with_its_cells(
    open_experiment: Callable[..., Store], results: Path
) -> None:
    grid = str(results / "demo.yaml")
    theirs = open_experiment("theirs")
    theirs.client.create_run(theirs.experiment_id, start_time=1)
    deleted = open_experiment("deleted")
    deleted.client.create_run(deleted.experiment_id)
    deleted.client.delete_experiment(deleted.experiment_id)
    store = open_experiment()
    logged = [
        record(
            store,
            Log(summaries.summary(summaries.cell(0), digest=digest), "", grid, [], None),
            lambda _: summaries.trials(3),
        )
        for digest in ("e" * 32, "f" * 32)
    ]
    store.client.delete_run(logged[1].run_id)
    found = dict(experiment_pages(results / "mlflow.db", PAGES))
    assert list(found) == ["demo", "theirs"]
    assert found["demo"] == logged[0].cells_url
    assert found["theirs"] == f"{PAGES}/#/experiments/{theirs.experiment_id}/runs"
