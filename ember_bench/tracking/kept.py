"""Whether results are in MLflow already, told without mlflow."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.secrets import redacted
from ember_bench.tracking.contents import digest_of
from ember_bench.tracking.messages import Logged
from ember_bench.tracking.uris import default_uri, sqlite_path


def is_logged(
    summary: ExperimentSummary,
    last: Logged | None,
    *,
    results: Path,
    tracking_uri: str | None = None,
    traces: int = 0,
) -> bool:
    """Tell, without mlflow, whether a `Logged` kept from an earlier run covers `summary`.

    And as many trials as traces as are wanted. Runs in a SQLite file must be there still; those of
    other stores only a `Tracker` can find, see `Tracker.has`.
    """
    uri = tracking_uri or default_uri(results)
    path = sqlite_path(uri)
    return (
        last is not None
        and last.digest == digest_of(summary)
        and last.traces >= traces
        and last.tracking_uri == redacted(uri)
        and (path is None or _are_in(path, [last.run_id, *last.cells.values()]))
    )


def _are_in(path: Path, runs: Sequence[str]) -> bool:
    """Tell whether runs are in a SQLite file of MLflow, and nothing of them was deleted."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            (count,) = database.execute(
                "SELECT count(*) FROM runs JOIN experiments USING (experiment_id)"
                " WHERE runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active'"
                " AND run_uuid IN (SELECT value FROM json_each(?))",
                (json.dumps(runs),),
            ).fetchone()
    except sqlite3.Error:
        return False  # MLflow will say what is wrong with it
    return bool(count == len(set(runs)))
