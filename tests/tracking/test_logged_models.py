"""Architectures as logged models, and their prompts, in a store of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from mlflow.entities import LoggedModel

from ember_bench.tracking import Logged
from ember_bench.tracking.log_experiment import record
from ember_bench.tracking.logged_models import link_networks
from ember_bench.tracking.messages import Log, NodePrompt
from ember_bench.tracking.mlflow_store import Store
from ember_bench.tracking.traces import Traces
from tests.tracking import summaries
from tests.tracking.summaries import TRACED

FOUND = summaries.summary(summaries.cell(0), summaries.cell(1))
VOTE = summaries.network()


@pytest.fixture
def store(open_experiment: Callable[..., Store]) -> Store:
    return open_experiment()


def log(store: Store, results: Path) -> Logged:
    request = Log(FOUND, "", str(results / "demo.yaml"), [], None, [VOTE])
    return record(store, request, lambda _: summaries.trials(5))


def models(store: Store) -> list[LoggedModel]:
    return list(store.client.search_logged_models([store.experiment_id]))


def test_runs_traces_and_metrics_lead_to_the_model(store: Store, results: Path) -> None:
    logged = log(store, results)
    (model,) = models(store)
    assert (model.name, model.model_type, str(model.status)) == (
        "vote(k=3)",
        "architecture",
        "READY",
    )
    assert model.source_run_id == logged.run_id
    assert model.params == {
        "architecture": "vote", "models": '["simulated:small"]', "k": "3", "temperature": "0.7",
    }  # fmt: skip
    assert VOTE.tree in model.tags["mlflow.note.content"]
    run = store.client.get_run(logged.cells[TRACED])
    assert [found.model_id for found in run.inputs.model_inputs] == [model.model_id]
    assert run.data.tags["mlflow.runType"] == "genai_evaluate"
    linked = json.loads(run.data.tags["mlflow.linkedPrompts"])
    assert linked == [{"name": "vote.ensemble", "version": "1"}]
    metrics = {metric.key: metric for metric in model.metrics}
    assert metrics["accuracy"].value == run.data.metrics["accuracy"]
    assert metrics["accuracy"].dataset_name == "primes"
    assert "calls/made" not in metrics
    Traces(store, FOUND, logged).log([summaries.trial()])
    (trace,) = store.client.search_traces(locations=[store.experiment_id])
    assert trace.info.trace_metadata["mlflow.modelId"] == model.model_id
    assert json.loads(trace.info.tags["mlflow.linkedPrompts"]) == linked
    single = store.client.get_run(logged.cells["primes/single"])
    assert not single.inputs.model_inputs


def test_it_has_the_card_and_the_diagram(store: Store) -> None:
    links = link_networks(store, [VOTE], store.client.create_run(store.experiment_id).info.run_id)
    (model,) = models(store)
    assert links[TRACED].model_id == model.model_id
    folder = Path(model.artifact_location.removeprefix("file://"))
    texts = {file.name: file.read_text() for file in folder.iterdir()}
    assert texts == {
        "card.yaml": VOTE.card, "graph.svg": VOTE.svg, "graph.mmd": VOTE.mermaid,
        "graph.txt": VOTE.tree + "\n",
    }  # fmt: skip


def test_the_same_architecture_is_one_model_in_all_cells_and_runs(store: Store) -> None:
    parent = store.client.create_run(store.experiment_id).info.run_id
    both = summaries.network("vote(k=3)", TRACED, "sums/vote(k=3)")
    first = link_networks(store, [both], parent)
    assert first[TRACED] == first["sums/vote(k=3)"]
    assert link_networks(store, [VOTE], parent) == {TRACED: first[TRACED]}
    other = msgspec.structs.replace(VOTE, parameters={"k": 5})
    assert link_networks(store, [other], parent)[TRACED].model_id != first[TRACED].model_id
    assert len(models(store)) == 2


def test_a_prompt_has_a_version_for_each_text(store: Store) -> None:
    parent = store.client.create_run(store.experiment_id).info.run_id

    def linked(*templates: str) -> list[str]:
        given = [
            summaries.network(f"vote {i}", f"cell {i}", prompts=[NodePrompt("vote.judge", text)])
            for i, text in enumerate(templates)
        ]
        tags = [link.prompts for link in link_networks(store, given, parent).values()]
        return [json.loads(tag)[0]["version"] for tag in tags]

    assert linked("Decide: {{query}}", "Judge: {{query}}", "Decide: {{query}}") == ["1", "2", "1"]
    assert linked("Judge: {{query}}") == ["2"]
    prompt = store.client.get_prompt("vote.judge")
    assert prompt.tags["_mlflow_experiment_ids"] == f",{store.experiment_id},"
    loaded = store.client.get_prompt_version("vote.judge", "2")
    assert loaded.format(query="2 + 2") == "Judge: 2 + 2"


def test_without_architectures_nothing_is_made(store: Store) -> None:
    assert link_networks(store, [], "0" * 32) == {}
    assert models(store) == []
