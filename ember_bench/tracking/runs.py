"""MLflow runs that are found again by their content, so that a repeated one is brought up to date.

Imports mlflow.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Final, TypeVar

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    LoggedModelInput,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from ember_bench.experiment.results.summary import DatasetSummary
from ember_bench.tracking.contents import Content
from ember_bench.tracking.fields import (
    CELL_TAG,
    EXPERIMENT_TAG,
    LOGGED_TAG,
    cut,
    is_ours,
    of_model,
    tag_value,
)
from ember_bench.tracking.mlflow_store import Store

T = TypeVar("T")

# A request may hold 1,000 entries and a megabyte; values may be thousands of characters long.
METRICS_AT_ONCE: Final = 900
_PARAMS_AT_ONCE: Final = 50
_TAGS_AT_ONCE: Final = 20
# MLflow takes 36, and shows them all in every list of runs.
_LONGEST_DIGEST: Final = 12
_PARENT: Final = "mlflow.parentRunId"


class Runs:
    """The runs of one experiment digest in a store."""

    def __init__(self, store: Store, digest: str) -> None:
        self._client = store.client
        self._experiment_id = store.experiment_id
        self._tracking_uri = store.tracking_uri
        self._found = {run.data.tags.get(CELL_TAG, ""): run for run in self._search(digest)}
        self._newly_linked: set[str] = set()
        """Cells whose runs have got a logged model, which has none of their metrics yet."""

    def _search(self, digest: str) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id],
                f"tags.`{EXPERIMENT_TAG}` = '{tag_value(digest)}'",
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def run_id(self, cell: str) -> str | None:
        """Return the id of the run of a cell, if there is one."""
        run = self._found.get(tag_value(cell))
        return None if run is None else str(run.info.run_id)

    def logged(self, cell: str, digest: str, parent: str | None = None) -> str | None:
        """Return the id of the run if it shows just this already."""
        run = self._found.get(tag_value(cell))
        if run is None or run.info.status != "FINISHED":
            return None
        tags = run.data.tags
        same = tags.get(LOGGED_TAG) == digest and tags.get(_PARENT) == parent
        return str(run.info.run_id) if same else None

    def start(self, content: Content) -> str:
        """Return the id of a run in progress, marked as such.

        Nothing of an earlier run is taken from it; `begin` sees to that when there are results.
        """
        run = self._found.get(tag_value(content.cell))
        tags = content.tags | {"status": "running"}
        if run is None:
            run_id = self._create(replace(content, tags=tags, digest="running"))
        else:
            run_id = str(run.info.run_id)
            self._client.update_run(run_id, "RUNNING", content.name)
            self._client.log_batch(run_id, tags=[RunTag("status", "running")])
        self._set_inputs(content)
        self._log_new_params(run_id, content)
        return run_id

    def begin(self, content: Content) -> str:
        """Return the id of the run to write to, a new one if there is none that can be used."""
        run = self._found.get(tag_value(content.cell))
        if run is not None and not _updatable(run, content):
            self._client.delete_run(run.info.run_id)
            run = None
        if run is None:
            # With all of its tags: a run counts as logged only once it has finished too.
            run_id = self._create(content)
        else:
            run_id = str(run.info.run_id)
            if run.info.run_name != content.name:
                self._client.update_run(run_id, name=content.name)
        # Here, so that the parent run's are there before many writers would make the same ones.
        self._set_inputs(content)
        return run_id

    def _create(self, content: Content) -> str:
        tags = content.tags | {LOGGED_TAG: content.digest}
        start = content.times[0]
        run = self._client.create_run(self._experiment_id, start, tags, content.name)
        self._found[tag_value(content.cell)] = run
        return str(run.info.run_id)

    def _set_inputs(self, content: Content) -> None:
        run = self._found[tag_value(content.cell)]
        known = run.inputs
        datasets = [] if known and known.dataset_inputs else list(map(_input, content.datasets))
        linked = [model.model_id for model in known.model_inputs] if known else []
        models = []
        if content.model and content.model not in linked:
            models = [LoggedModelInput(content.model)]
            self._newly_linked.add(content.cell)
        if datasets or models:
            self._client.log_inputs(run.info.run_id, datasets, models)

    def _log_new_params(self, run_id: str, content: Content) -> None:
        known = self._found[tag_value(content.cell)].data.params
        new = [Param(key, value) for key, value in content.params.items() if key not in known]
        for params in slices(new, _PARAMS_AT_ONCE):
            self._client.log_batch(run_id, params=params)

    def finish(self, content: Content, artifacts: Path) -> None:
        """Write everything to the run that `begin` returned; the mark of completion comes last."""
        run = self._found[tag_value(content.cell)]
        run_id = run.info.run_id
        # What the client does too, but only after reading the run once more.
        place = get_artifact_repository(run.info.artifact_uri, tracking_uri=self._tracking_uri)
        place.log_artifacts(str(artifacts))  # type: ignore[no-untyped-call]
        metrics = _with_failures_gone(content.metrics, run.data.metrics)
        now = int(time.time() * 1000)
        batches = zip_longest(
            slices([
                # All at step 0: MLflow draws bars over runs, and curves only where there are steps.
                _metric(key, value, now, content)
                for key, value in metrics.items()
                if run.data.metrics.get(key) != value
                or (content.cell in self._newly_linked and of_model(key))
            ], METRICS_AT_ONCE),
            slices([
                Param(key, value)
                for key, value in content.params.items()
                if key not in run.data.params
            ], _PARAMS_AT_ONCE),
            slices([
                RunTag(key, value)
                for key, value in content.tags.items()
                if run.data.tags.get(key) != value
            ], _TAGS_AT_ONCE),
            fillvalue=(),
        )  # fmt: skip
        *most, (last_metrics, last_params, last_tags) = [*batches] or [((), (), ())]
        for each in most:
            self._client.log_batch(run_id, *each)
        if run.data.tags.get(LOGGED_TAG) != content.digest:
            last_tags = [*last_tags, RunTag(LOGGED_TAG, content.digest)]
        self._client.log_batch(run_id, last_metrics, last_params, last_tags)
        self._client.set_terminated(run_id, "FINISHED", content.times[1])


def are_there(store: Store, runs: Iterable[str]) -> bool:
    """Tell whether none of these runs was deleted in MLflow, for good or not."""
    for run_id in runs:
        try:
            run = store.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
            return False
        if run.info.lifecycle_stage == LifecycleStage.DELETED:
            return False
    return True


def slices(values: list[T], size: int) -> list[list[T]]:
    """Return `values` in parts of at most `size`."""
    return [values[i : i + size] for i in range(0, len(values), size)]


def _updatable(run: Run, content: Content) -> bool:
    """Tell whether a run can come to show `content`: MLflow takes back no parameter or metric."""
    params = run.data.params
    if any(params.get(key, value) != value for key, value in content.params.items()):
        return False
    metrics = _with_failures_gone(content.metrics, run.data.metrics)
    return not any(is_ours(key) and key not in metrics for key in run.data.metrics)


def _with_failures_gone(new: dict[str, float], old: dict[str, float]) -> dict[str, float]:
    """Return `new` with the bounds on failed trials, if they were logged and none is left.

    Failed trials are run again on resume; without any, both bounds are the accuracy itself.
    """
    bounds = [key for key in ("accuracy/worst", "accuracy/best") if key in old and key not in new]
    return new | {key: new["accuracy"] for key in bounds if "accuracy" in new}


def _metric(key: str, value: float, now: int, content: Content) -> Metric:
    """Return a metric of a run, and of its logged model on the dataset if that has it, too."""
    if not content.model or not of_model(key):
        return Metric(key, value, now, 0)
    dataset = _input(content.datasets[0]).dataset
    return Metric(
        key, value, now, 0,
        model_id=content.model, dataset_name=dataset.name, dataset_digest=dataset.digest,
    )  # fmt: skip


def _input(data: DatasetSummary) -> DatasetInput:
    hub = re.match(r"hub (\S+)", data.source)
    source: dict[str, str | None]
    if hub:
        kind, source = "hugging_face", {"path": hub[1], "revision": data.revision}
    elif data.source.startswith(("https://", "http://")):
        kind, source = "http", {"url": data.source}
    else:
        kind, source = "local", {"uri": data.source}
    tags = {
        "mlflow.data.context": "evaluation",
        "revision": data.revision,
        "evaluator": data.evaluator,
        "evaluator_identity": data.evaluator_identity,
    }
    entity = Dataset(
        name=cut(data.name, 500),
        digest=data.digest[:_LONGEST_DIGEST],
        source_type=kind,
        source=json.dumps(source),
        profile=json.dumps({"num_rows": data.items}),
    )
    return DatasetInput(entity, [InputTag(key, cut(v, 500)) for key, v in tags.items() if v])
