"""Trials as MLflow traces of their cells' runs, with what is said of them. Imports mlflow."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mlflow.entities import Span, TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient
from mlflow.tracing.constant import (
    TRACE_SCHEMA_VERSION,
    TRACE_SCHEMA_VERSION_KEY,
    TraceMetadataKey,
    TraceTagKey,
)
from mlflow.tracing.utils import dump_span_attribute_value

from ember_bench.experiment.results.summary import CellSummary, ExperimentSummary
from ember_bench.tracking.assessments import Assessor
from ember_bench.tracking.fields import (
    CELL_TAG,
    EXPERIMENT_TAG,
    PROMPTS_TAG,
    cut,
    item_name,
    tag_value,
)
from ember_bench.tracking.messages import Logged, TracedTrial
from ember_bench.tracking.mlflow_store import Store
from ember_bench.tracking.spans import TrialSpans

TRIAL_TAG: Final = "ember_bench.trial"
_PAGE: Final = 500
# MLflow keeps, and compares, so much.
_LONGEST_PREVIEW: Final = 1_000


@dataclass(frozen=True)
class _Cell:
    """Facts that all traces of a cell share."""

    summary: CellSummary
    run_id: str
    metadata: dict[str, str]
    tags: dict[str, str]
    assessor: Assessor


class Traces:
    """Logs the trials of an experiment as traces, but for those that are there already.

    Args:
        store: An open store.
        summary: The experiment.
        logged: Its runs.
    """

    def __init__(self, store: Store, summary: ExperimentSummary, logged: Logged) -> None:
        self._store = store
        self._summary = summary
        self._runs = logged.cells
        self._client = TracingClient(store.tracking_uri)
        self._started = int(datetime.fromisoformat(summary.run.started).timestamp() * 1e9)
        self._summaries = {cell.name: cell for cell in summary.cells}
        self._cells: dict[str, _Cell] = {}
        self._known: set[tuple[str, str]] | None = None

    def log(self, trials: Sequence[TracedTrial]) -> None:
        """Log some trials; those that are there already are left alone."""
        if self._known is None:
            self._known = self._search()
        new = [t for t in trials if (self._runs[t.cell], _identity(t)) not in self._known]
        if not new:
            return
        # The worker's threads ask for no cell.
        made = [self._trace(trial) for trial in new]
        with ThreadPoolExecutor(max_workers=self._store.writers) as pool:
            # With their assessments: MLflow's database takes a trace at once, or not at all.
            for _ in pool.map(self._client.start_trace, [info for info, _ in made]):
                pass
        # The spans of all in one request; a trace without any is not taken for complete.
        spans = [span for _, found in made for span in found]
        self._client.log_spans(self._store.experiment_id, spans)
        self._known |= {(self._runs[trial.cell], _identity(trial)) for trial in new}

    def _search(self) -> set[tuple[str, str]]:
        """Return run id and identity of the trials of this experiment that have a trace."""
        found: set[tuple[str, str]] = set()
        token: str | None = None
        while True:
            page = self._store.client.search_traces(
                locations=[self._store.experiment_id],
                filter_string=f"tags.`{EXPERIMENT_TAG}` = '{tag_value(self._summary.digest)}'",
                max_results=_PAGE,
                page_token=token,
                include_spans=False,
            )
            for trace in page:
                tags = trace.info.tags
                # Those of earlier versions have nothing by which they are compared.
                if TraceTagKey.SPANS_LOCATION in tags and TraceTagKey.EVAL_REQUEST_ID in tags:
                    run_id = trace.info.trace_metadata.get(TraceMetadataKey.SOURCE_RUN, "")
                    found.add((run_id, tags.get(TRIAL_TAG, "")))
            token = page.token
            if not token:
                return found

    def _cell(self, name: str) -> _Cell:
        if name not in self._cells:
            self._cells[name] = self._read_cell(name)
        return self._cells[name]

    def _read_cell(self, name: str) -> _Cell:
        """Return the facts about a cell: its run knows its model and prompts."""
        cell, run_id = self._summaries[name], self._runs[name]
        run = self._store.client.get_run(run_id)
        metadata = {
            TraceMetadataKey.SOURCE_RUN: run_id,
            TRACE_SCHEMA_VERSION_KEY: str(TRACE_SCHEMA_VERSION),
        }
        for model in run.inputs.model_inputs if run.inputs else ():
            metadata[TraceMetadataKey.MODEL_ID] = model.model_id
        tags = {
            "cell": tag_value(cell.label),
            "dataset": tag_value(cell.dataset),
            "simulated": "true" if cell.simulated else "false",
            CELL_TAG: tag_value(cell.name),
            EXPERIMENT_TAG: tag_value(self._summary.digest),
        }
        if prompts := run.data.tags.get(PROMPTS_TAG):
            tags[PROMPTS_TAG] = prompts
        dataset = next(d for d in self._summary.datasets if d.name == cell.dataset)
        assessor = Assessor(
            run_id,
            evaluator=dataset.evaluator,
            dataset=cell.dataset,
            wrong=self._summary.failures == "wrong",
        )
        return _Cell(cell, run_id, metadata, tags, assessor)

    def _trace(self, trial: TracedTrial) -> tuple[TraceInfo, list[Span]]:
        cell = self._cell(trial.cell)
        label, identity = cell.summary.label, _identity(trial)
        name = f"{label} · {trial.item}" + (" [simulated]" if cell.summary.simulated else "")
        spans = TrialSpans(trial, name, f"{cell.run_id} {identity}", self._started)
        began = self._started // 1_000_000
        info = TraceInfo(
            trace_id=spans.trace_id,
            trace_location=TraceLocation.from_experiment_id(self._store.experiment_id),
            request_time=began,
            execution_duration=round(spans.seconds * 1_000),
            state=TraceState.OK if trial.error is None else TraceState.ERROR,
            request_preview=_preview(spans.inputs),
            response_preview=_preview(spans.outputs),
            trace_metadata=dict(cell.metadata),
            tags=cell.tags
            | {
                "outcome": trial.outcome,
                "score": f"{trial.score:g}",
                "item": tag_value(trial.item),
                TRIAL_TAG: identity,
                TraceTagKey.TRACE_NAME: tag_value(name),
                TraceTagKey.EVAL_REQUEST_ID: f"{item_name(trial.item)}/{trial.epoch}",
            },
            assessments=cell.assessor.assess(trial, began),
        )
        return info, spans.spans


def _identity(trial: TracedTrial) -> str:
    return tag_value(f"{trial.item} {trial.epoch} {trial.identity}")


def _preview(value: dict[str, object]) -> str:
    return cut(dump_span_attribute_value(value), _LONGEST_PREVIEW)
