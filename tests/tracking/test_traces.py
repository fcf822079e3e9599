"""Trials as traces."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Trace

from ember_bench.tracking.log_experiment import record
from ember_bench.tracking.messages import Log, Logged, TracedTrial
from ember_bench.tracking.mlflow_store import Store
from ember_bench.tracking.traces import Traces
from tests.tracking.summaries import call, cell, summary, trial, trials

pytestmark = pytest.mark.slow

CELL = "primes/vote(k=3)"
SUMMARY = summary(cell(0), cell(1))


class Traced:
    """Logs trials to one store."""

    def __init__(self, store: Store, results: Path) -> None:
        self.store = store
        grid = str(results / "demo.yaml")
        self.logged: Logged = record(store, Log(SUMMARY, "", grid, [], None), lambda _: trials(5))

    def __call__(self, *given: TracedTrial) -> list[Trace]:
        Traces(self.store, SUMMARY, self.logged).log(given)
        return list(self.store.client.search_traces(locations=[self.store.experiment_id]))


@pytest.fixture
def traced(open_experiment: Callable[..., Store], results: Path) -> Traced:
    return Traced(open_experiment(), results)


def test_a_span_for_the_trial_each_node_and_each_call(traced: Traced) -> None:
    (trace,) = traced(trial())
    names = {span.span_id: span.name for span in trace.data.spans}
    found = [(span.name, names.get(span.parent_id or "")) for span in trace.data.spans]
    root = "vote(k=3) · item-7 [simulated]"
    assert sorted(found, key=str) == sorted([
        (root, None),
        ("ensemble", root),
        ("vote", root),
        ("generate: simulated:small", "ensemble"),
        ("generate: simulated:small", "ensemble"),
    ], key=str)  # fmt: skip


def test_spans_have_what_went_in_and_out_and_the_times_of_the_virtual_clock(
    traced: Traced,
) -> None:
    (trace,) = traced(trial())
    spans = {span.name: span for span in trace.data.spans}
    root = next(span for span in trace.data.spans if span.parent_id is None)
    assert list(root.inputs.items()) == [
        ("item", "item-7"), ("epoch", 0), ("question", "Is 7 prime?"),
    ]  # fmt: skip
    assert root.outputs["answer"] == "yes"
    assert spans["vote"].outputs == {"final_answer": "yes"}
    assert spans["vote"].inputs == {"from": ["ensemble"]}
    asked = spans["generate: simulated:small"]
    assert asked.inputs["messages"] == [{"role": "user", "content": "Is 7 prime?"}]
    assert asked.outputs["choices"][0]["message"]["content"] == "yes"
    assert asked.attributes["mlflow.chat.tokenUsage"]["total_tokens"] == 12
    seconds = {
        name: ((s.start_time_ns - root.start_time_ns) / 1e9, (s.end_time_ns or 0) - s.start_time_ns)
        for name, s in spans.items()
    }
    assert seconds["ensemble"] == (0.0, 1_750_000_000)
    assert seconds["vote"] == (1.75, 0)


def test_a_trace_belongs_to_the_run_of_its_cell_and_says_how_it_ended(traced: Traced) -> None:
    (trace,) = traced(trial())
    info = trace.info
    assert info.trace_metadata["mlflow.sourceRun"] == traced.logged.cells[CELL]
    shown = {key: info.tags[key] for key in ("outcome", "score", "item", "simulated", "dataset")}
    assert shown == {
        "outcome": "correct", "score": "1", "item": "item-7", "simulated": "true",
        "dataset": "primes",
    }  # fmt: skip
    assert info.state == "OK"
    assert info.execution_duration == 1_750


def test_a_trial_that_failed_is_an_error_with_what_calls_it_had(traced: Traced) -> None:
    failed = trial(outcome="error", score=0.0, answer=None, error="ValueError: x", nodes=[])
    (trace,) = traced(failed)
    assert trace.info.state == "ERROR"
    root = next(span for span in trace.data.spans if span.parent_id is None)
    assert root.outputs["error"] == "ValueError: x"
    assert sum(span.name.startswith("generate") for span in trace.data.spans) == 2


def test_a_graph_within_a_node_is_below_it(traced: Traced) -> None:
    (trace,) = traced(trial(calls=[call("ensemble/inner"), call("")]))
    names = {span.span_id: span.name for span in trace.data.spans}
    parents = [names[s.parent_id] for s in trace.data.spans if s.name.startswith("generate")]
    assert sorted(parents) == ["inner", "vote(k=3) · item-7 [simulated]"]


def test_the_same_again_adds_nothing_and_another_result_does(traced: Traced) -> None:
    assert len(traced(trial())) == 1
    assert len(traced(trial())) == 1
    assert len(traced(trial(identity="cd" * 16))) == 2


def test_long_texts_are_cut(traced: Traced) -> None:
    (trace,) = traced(trial(question="x" * 100_000, calls=[call(text="y" * 100_000)]))
    assert len(json.dumps(trace.to_dict())) < 200_000


def test_two_cells_are_paired_item_by_item(traced: Traced) -> None:
    single = trial(cell="primes/single", score=0.0, outcome="wrong")
    later = {"item": "item-8", "epoch": 1}
    found = traced(trial(), single, trial(**later))
    requests: dict[str, list[str]] = {}
    for trace in found:
        requests.setdefault(trace.info.request_preview or "", []).append(
            trace.info.tags["mlflow.eval.requestId"]
        )
    assert sorted(requests.values()) == [["item-7/0", "item-7/0"], ["item-8/1"]]
    assert all(request.startswith('{"item": "item-') for request in requests)


def test_the_pairs_of_items_with_long_names_and_questions_differ(traced: Traced) -> None:
    long = "x" * 2_000
    found = traced(*(trial(item=long + end, question=long) for end in "ab"))
    previews = {trace.info.request_preview for trace in found}
    assert len(previews) == 2
    assert {len(preview or "") for preview in previews} == {1_000}


def test_assessments_come_with_the_trace(traced: Traced) -> None:
    (trace,) = traced(trial())
    said = {found.name: found.value for found in trace.info.assessments}
    assert said == {
        "correct": True, "score": 1.0, "cost_usd_per_1000": 2.0, "expected_response": "yes",
    }  # fmt: skip
    sources = {found.metadata["mlflow.assessment.sourceRunId"] for found in trace.info.assessments}
    assert sources == {traced.logged.cells[CELL]}


def test_tokens_and_costs_of_calls_are_those_of_the_trace(traced: Traced) -> None:
    (trace,) = traced(trial())
    assert trace.info.token_usage == {"input_tokens": 20, "output_tokens": 4, "total_tokens": 24}
    assert trace.info.cost is not None
    assert trace.info.cost["total_cost"] == 0.002
