"""Evaluation runs of MLflow itself: of `mlflow.genai.evaluate` their traces, else their table.

Imports mlflow only when something is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from ember_bench.errors import ConfigError
from ember_bench.tracking.fields import EXPERIMENT_TAG
from ember_bench.tracking.reading import Reader, reading

if TYPE_CHECKING:
    from mlflow.entities import Run, Trace

_TABLE: Final = "eval_results_table.json"
_KIND: Final = "mlflow.runType"
_EVALUATION: Final = "genai_evaluate"
_SOURCE: Final = "mlflow.assessment.sourceRunId"
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class EvaluatedTrace:
    """A trace of an evaluation run; None is unknown.

    Attributes:
        inputs: Of its root span.
        outputs: Of the same.
        expectations: By name.
        scores: Values of feedback by the scorer's name, in the order in which they were given.
        latency: Seconds.
        cost: US dollars.
        failed: Whether it ended in an error.
    """

    inputs: Any
    outputs: Any
    expectations: Mapping[str, Any]
    scores: Mapping[str, Any]
    latency: float | None
    cost: float | None
    input_tokens: int | None
    output_tokens: int | None
    failed: bool


@dataclass(frozen=True, slots=True)
class EvaluatedRun:
    """An evaluation run: with traces, or with a table of records."""

    id: str
    name: str
    traces: Sequence[EvaluatedTrace] = ()
    table: Sequence[Mapping[str, Any]] = field(default=())


def read_evaluations(name: str, tracking_uri: str) -> list[EvaluatedRun]:
    """Return an evaluation run, or all of an experiment, the oldest first; none if it is ours.

    Args:
        name: A run's id or name, or an experiment's name.
        tracking_uri: A database, or a server.

    Raises:
        ConfigError: if there is none, or one has neither traces with feedback nor a table.
        TrackingError: if MLflow cannot be read.
    """
    with reading(name, tracking_uri) as reader:
        runs = reader.evaluations(_KIND, _EVALUATION) or [reader.run()]
        ours = any(EXPERIMENT_TAG in run.data.tags for run in runs)
        return [] if ours else [_evaluated(run, reader) for run in runs]


def _evaluated(run: Run, reader: Reader) -> EvaluatedRun:
    name = str(run.info.run_name or run.info.run_id)
    traces = list(_traces(run, reader))
    if traces:
        return EvaluatedRun(run.info.run_id, name, traces)
    if any(file.path == _TABLE for file in reader.client.list_artifacts(run.info.run_id)):
        with reader.artifact(run, _TABLE) as path:
            found = orjson.loads(path.read_bytes())
        rows = [dict(zip(found["columns"], values, strict=True)) for values in found["data"]]
        return EvaluatedRun(run.info.run_id, name, table=rows)
    raise ConfigError(f"{name}: has no evaluation: neither traces with feedback nor an {_TABLE}")


def _traces(run: Run, reader: Reader) -> Iterator[EvaluatedTrace]:
    token: str | None = None
    while True:
        page = reader.client.search_traces(
            locations=[run.info.experiment_id],
            run_id=run.info.run_id,
            max_results=_PAGE,
            order_by=["timestamp_ms ASC"],
            page_token=token,
        )
        for trace in page:
            if trace.info.assessments:
                yield _trace(trace, run.info.run_id)
        token = page.token
        if not token:
            return


def _trace(trace: Trace, run_id: str) -> EvaluatedTrace:
    root = next((span for span in trace.data.spans if span.parent_id is None), None)
    info = trace.info
    scores: dict[str, Any] = {}
    expectations: dict[str, Any] = {}
    for found in info.assessments:
        if found.expectation is not None:
            expectations[found.name] = found.expectation.value
        # A trace may be evaluated several times; feedback of people names no run.
        elif found.valid is not False and (found.metadata or {}).get(_SOURCE, run_id) == run_id:
            said = None if found.error is not None else found.feedback
            scores[found.name] = None if said is None else said.value
    usage, cost = info.token_usage or {}, info.cost or {}
    # Outputs that were given, and not made, stand in a trace without a function's span.
    made = root is not None and root.name != "root_span"
    duration = info.execution_duration
    return EvaluatedTrace(
        inputs=None if root is None else root.inputs,
        outputs=None if root is None else root.outputs,
        expectations=expectations,
        scores=scores,
        latency=None if duration is None or not made else duration / 1000,
        cost=cost.get("total_cost"),
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        failed=str(info.state.value) == "ERROR",
    )
