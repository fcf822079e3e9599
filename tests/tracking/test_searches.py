"""A search for better prompts as a run, in a store of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ember_bench.tracking.messages import LogSearch
from ember_bench.tracking.mlflow_store import Store
from ember_bench.tracking.searches import record_search
from tests.tracking import summaries


@pytest.fixture
def store(open_experiment: Callable[..., Store]) -> Store:
    return open_experiment()


@pytest.fixture
def search(results: Path) -> LogSearch:
    (results / "careful.yaml").write_text("name: careful\n")
    return LogSearch(
        key="demo-careful",
        name="careful",
        params={"optimiser": "gepa"},
        metrics={"test/difference": 0.25},
        candidates=[
            {"search/validation_score": 0.5, "search/spent_usd": 0.1},
            {"search/validation_score": 0.75, "search/spent_usd": 0.3},
        ],
        tags={"simulated": "false"},
        note="Better.",
        files=[str(results / "careful.yaml")],
        network=msgspec.structs.replace(summaries.network(), cells=["demo-careful"]),
    )


def test_a_search_is_a_run_with_its_curve_its_result_and_its_card(
    store: Store, search: LogSearch
) -> None:
    logged = record_search(store, search)
    client, run = store.client, store.client.get_run(logged.run_id)
    curve = client.get_metric_history(logged.run_id, "search/validation_score")
    assert [(point.step, point.value) for point in curve] == [(0, 0.5), (1, 0.75)]
    assert run.data.metrics["test/difference"] == 0.25
    assert run.data.params == {"optimiser": "gepa"}
    assert run.info.status == "FINISHED"
    assert [file.path for file in client.list_artifacts(logged.run_id)] == ["careful.yaml"]
    assert run.inputs.model_inputs
    assert run.data.tags["mlflow.linkedPrompts"]
    assert logged.run_id in logged.url


def test_the_same_search_is_logged_once_and_another_takes_its_place(
    store: Store, search: LogSearch
) -> None:
    first = record_search(store, search)
    assert record_search(store, search) == first
    later = record_search(store, msgspec.structs.replace(search, metrics={"test/difference": 0.5}))
    assert later.run_id != first.run_id
    runs = store.client.search_runs([store.experiment_id])
    assert [run.info.run_id for run in runs] == [later.run_id]
