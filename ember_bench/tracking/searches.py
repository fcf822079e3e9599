"""Searches for better prompts as MLflow runs. Imports mlflow."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec
from mlflow.entities import LoggedModelInput, Metric, Param, Run, RunTag

from ember_bench.tracking.fields import LOGGED_TAG, NOTE_TAG, PROMPTS_TAG, cut, note, tag_value
from ember_bench.tracking.logged_models import NO_LINK, link_networks
from ember_bench.tracking.messages import LoggedSearch, LogSearch
from ember_bench.tracking.mlflow_store import Store
from ember_bench.tracking.runs import METRICS_AT_ONCE, slices
from ember_bench.tracking.uris import run_url, ui_command

SEARCH_TAG: Final = "ember_bench.search"
_LONGEST_NAME: Final = 250
_LONGEST_PARAM: Final = 6_000


def record_search(store: Store, request: LogSearch) -> LoggedSearch:
    """Log a search, unless it is there already; one with the same key and other results goes.

    Args:
        store: The store to log into.
        request: The search and its files.
    """
    digest = hashlib.sha256(msgspec.json.encode(request, order="sorted")).hexdigest()[:32]
    for run in _known(store, request.key):
        tags = run.data.tags
        if run.info.status == "FINISHED" and tags.get(LOGGED_TAG) == digest:
            return _logged(store, str(run.info.run_id))
        store.client.delete_run(run.info.run_id)
    run_id = _write(store, request)
    store.client.set_tag(run_id, LOGGED_TAG, digest)
    store.client.set_terminated(run_id, "FINISHED")
    return _logged(store, run_id)


def _known(store: Store, key: str) -> list[Run]:
    filter_ = f"tags.`{SEARCH_TAG}` = '{tag_value(key)}'"
    return list(store.client.search_runs([store.experiment_id], filter_))


def _write(store: Store, request: LogSearch) -> str:
    client, now = store.client, int(time.time() * 1000)
    tags = {name: tag_value(value) for name, value in request.tags.items()}
    tags |= {SEARCH_TAG: tag_value(request.key), NOTE_TAG: note(request.note)}
    name = cut(request.name, _LONGEST_NAME)
    run_id = str(client.create_run(store.experiment_id, now, tags, name).info.run_id)
    link = link_networks(store, [request.network], run_id).get(request.key, NO_LINK)
    if link.model_id:
        client.log_inputs(run_id, models=[LoggedModelInput(link.model_id)])
    if link.prompts:
        client.log_batch(run_id, tags=[RunTag(PROMPTS_TAG, link.prompts)])
    params = [Param(key, cut(value, _LONGEST_PARAM)) for key, value in request.params.items()]
    client.log_batch(run_id, params=params)
    metrics = [Metric(key, value, now, 0) for key, value in request.metrics.items()]
    metrics += [
        Metric(key, value, now + step, step)
        for step, values in enumerate(request.candidates)
        for key, value in values.items()
    ]
    for some in slices(metrics, METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=some)
    with tempfile.TemporaryDirectory() as folder:
        for file in request.files:
            shutil.copy(file, folder)
        client.log_artifacts(run_id, str(Path(folder)))
    return run_id


def _logged(store: Store, run_id: str) -> LoggedSearch:
    url = run_url(store.tracking_uri, store.experiment_id, run_id)
    return LoggedSearch(run_id, url, ui_command(store.tracking_uri))
