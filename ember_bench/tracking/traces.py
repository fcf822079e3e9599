"""Trials as MLflow traces: a span for the trial, each node, and each call. Imports mlflow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import mlflow
from mlflow.entities import LiveSpan, SpanStatusCode, SpanType

from ember_bench.experiment.results.summary import CellSummary, ExperimentSummary
from ember_bench.tracking.fields import CELL_TAG, EXPERIMENT_TAG, cut, tag_value
from ember_bench.tracking.messages import Logged, TracedCall, TracedTrial, TrackingError
from ember_bench.tracking.mlflow_store import Store

TRIAL_TAG: Final = "ember_bench.trial"
_RUN: Final = "mlflow.sourceRun"
_PAGE: Final = 500
# A trace's texts are shown whole in a browser, and sent as one request.
_LONGEST: Final = 20_000


def log_traces(
    store: Store, summary: ExperimentSummary, logged: Logged, trials: Sequence[TracedTrial]
) -> None:
    """Log trials as traces of their cells' runs, but for those that are there already.

    Raises:
        TrackingError: MLflow did not take one of them.
    """
    # Each trace is written before the next, so that a failure is known here.
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
    mlflow.set_tracking_uri(store.tracking_uri)
    cells = {cell.name: cell for cell in summary.cells}
    started = int(datetime.fromisoformat(summary.run.started).timestamp() * 1e9)
    known = _known(store, summary)
    wanted = {(logged.cells[trial.cell], _identity(trial)) for trial in trials}
    for trial in trials:
        run_id = logged.cells[trial.cell]
        if (run_id, _identity(trial)) not in known:
            _Trace(store, summary, cells[trial.cell], trial, run_id, started).log()
    if lost := len(wanted - _known(store, summary)):
        raise TrackingError(f"MLflow did not take {lost} of {len(trials)} traces")


def _identity(trial: TracedTrial) -> str:
    return tag_value(f"{trial.item} {trial.epoch} {trial.identity}")


def _known(store: Store, summary: ExperimentSummary) -> set[tuple[str, str]]:
    """Return run id and identity of the trials of this experiment that have a trace."""
    found: set[tuple[str, str]] = set()
    token: str | None = None
    while True:
        page = store.client.search_traces(
            locations=[store.experiment_id],
            filter_string=f"tags.`{EXPERIMENT_TAG}` = '{tag_value(summary.digest)}'",
            max_results=_PAGE,
            page_token=token,
            include_spans=False,
        )
        for trace in page:
            info = trace.info
            run_id = info.trace_metadata.get(_RUN, "")
            found.add((run_id, info.tags.get(TRIAL_TAG, "")))
        token = page.token
        if not token:
            return found


class _Trace:
    """One trial on its way to MLflow.

    Its times are those of the trial's virtual clock, in which a stored answer takes as long as it
    took when it was given; the clock begins with the run.
    """

    def __init__(
        self,
        store: Store,
        summary: ExperimentSummary,
        cell: CellSummary,
        trial: TracedTrial,
        run_id: str,
        started: int,
    ) -> None:
        self._experiment_id = store.experiment_id
        self._summary, self._cell, self._trial = summary, cell, trial
        self._run_id = run_id
        self._started = started
        self._spans: dict[str, LiveSpan] = {}
        self._times = dict(_node_times(trial))

    def log(self) -> None:
        trial, cell = self._trial, self._cell
        question = {"question": cut(trial.question, _LONGEST)}
        root = mlflow.start_span_no_context(
            name=f"{cell.label} · {trial.item}" + (" [simulated]" if cell.simulated else ""),
            span_type=SpanType.CHAIN,
            inputs=question,
            attributes={"target": trial.target, "epoch": str(trial.epoch), "clock": "virtual"},
            tags=self._tags(),
            metadata={_RUN: self._run_id},
            experiment_id=self._experiment_id,
            start_time_ns=self._at(0.0),
        )
        for node in trial.nodes:
            inputs: dict[str, Any] = {"from": node.inputs} if node.inputs else question
            self._open(node.name, root, node.operator, inputs)
        for call in trial.calls:
            self._call(call, self._parent(call.node, root))
        outputs = {node.name: node.output for node in trial.nodes}
        # Those within others first.
        for name in reversed(self._spans):
            output = outputs.get(name)
            value = None if output is None else _cut_json(json.loads(output))
            self._spans[name].end(outputs=value, end_time_ns=self._at(self._times[name][1]))
        said = {"answer": trial.answer, "outcome": trial.outcome, "score": trial.score}
        if trial.error is not None:
            said["error"] = cut(trial.error, _LONGEST)
        elif trial.explanation:
            said["explanation"] = cut(trial.explanation, _LONGEST)
        status = SpanStatusCode.OK if trial.error is None else SpanStatusCode.ERROR
        last = max([end for _, end in self._times.values()], default=0.0)
        root.end(outputs=said, status=status, end_time_ns=self._at(last))

    def _tags(self) -> dict[str, str]:
        trial, cell = self._trial, self._cell
        return {
            "outcome": trial.outcome,
            "score": f"{trial.score:g}",
            "cell": tag_value(cell.label),
            "dataset": tag_value(cell.dataset),
            "item": tag_value(trial.item),
            "simulated": "true" if cell.simulated else "false",
            CELL_TAG: tag_value(cell.name),
            TRIAL_TAG: _identity(trial),
            EXPERIMENT_TAG: tag_value(self._summary.digest),
        }

    def _parent(self, path: str, root: LiveSpan) -> LiveSpan:
        """Return the span of a node, which may be within another's graph."""
        parent = root
        parts = path.split("/") if path else []
        for number in range(len(parts)):
            inner = "/".join(parts[: number + 1])
            if inner not in self._spans:
                self._open(inner, parent, "", {})
            parent = self._spans[inner]
        return parent

    def _open(self, name: str, parent: LiveSpan, operator: str, inputs: dict[str, Any]) -> None:
        self._spans[name] = mlflow.start_span_no_context(
            name=name.rpartition("/")[2],
            span_type=SpanType.TASK,
            parent_span=parent,
            inputs=inputs,
            attributes={"operator": operator} if operator else None,
            start_time_ns=self._at(self._times[name][0]),
        )

    def _call(self, call: TracedCall, parent: LiveSpan) -> None:
        provider, _, model = call.model.partition(":")
        counted = {"input_tokens": call.input_tokens, "output_tokens": call.output_tokens}
        tokens = {name: number for name, number in counted.items() if number is not None}
        if len(tokens) == len(counted):
            tokens["total_tokens"] = sum(tokens.values())
        attributes: dict[str, Any] = {
            "role": call.role,
            "shared": not call.made,
            "mlflow.llm.model": model,
            "mlflow.llm.provider": provider,
        }
        if tokens:
            attributes["mlflow.chat.tokenUsage"] = tokens
        if call.cost_usd is not None:
            attributes["mlflow.llm.cost"] = {"total_cost": call.cost_usd}
        span = mlflow.start_span_no_context(
            name=f"{call.role}: {call.model}" if call.role else call.model,
            span_type=SpanType.CHAT_MODEL,
            parent_span=parent,
            inputs={
                "messages": _cut_json(json.loads(call.messages)),
                **json.loads(call.parameters),
            },
            attributes=attributes,
            start_time_ns=self._at(call.started),
        )
        said = None if call.text is None else cut(call.text, _LONGEST)
        message: dict[str, Any] = {"role": "assistant", "content": said}
        if call.thoughts:
            message["reasoning_content"] = cut(call.thoughts, _LONGEST)
        span.end(
            outputs={"choices": [{"message": message}]},
            end_time_ns=self._at(call.started + (call.latency_seconds or 0.0)),
        )

    def _at(self, seconds: float) -> int:
        return self._started + round(seconds * 1e9)


def _node_times(trial: TracedTrial) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield start and end of every node in seconds: those of its calls.

    One without calls takes no time, and comes when the nodes before it have ended.
    """
    spans: dict[str, list[float]] = {}
    for call in trial.calls:
        parts = call.node.split("/") if call.node else []
        for number in range(len(parts)):
            times = spans.setdefault("/".join(parts[: number + 1]), [])
            times += [call.started, call.started + (call.latency_seconds or 0.0)]
    found = {name: (min(times), max(times)) for name, times in spans.items()}
    for node in trial.nodes:
        if node.name not in found:
            at = max((found[name][1] for name in node.inputs), default=0.0)
            found[node.name] = (at, at)
    yield from found.items()


def _cut_json(value: Any) -> Any:
    """Return JSON with its texts cut."""
    if isinstance(value, str):
        return cut(value, _LONGEST)
    if isinstance(value, dict):
        return {key: _cut_json(entry) for key, entry in value.items()}
    return [_cut_json(entry) for entry in value] if isinstance(value, list) else value
