"""Logging a whole experiment into an open store: the parent run, and one run for each cell."""

from __future__ import annotations

import getpass
import json
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ember_bench.experiment.summary import CellSummary, ExperimentSummary
from ember_bench.secrets import redacted
from ember_bench.tracking import fields
from ember_bench.tracking.digest import cell_digest, digest_of
from ember_bench.tracking.messages import Log, Logged
from ember_bench.tracking.plot import accuracy_plot
from ember_bench.tracking.runs import Content, Runs
from ember_bench.tracking.store import Store
from ember_bench.tracking.tables import TABLE_NAME, write_tables
from ember_bench.tracking.uris import cells_url, is_server, run_url, ui_command

PLOT_NAME: Final = "accuracy_and_cost.html"
GRID_NAME: Final = "grid.yaml"

# A server takes .1 s for a request; a database file takes one writer at a time.
_WRITERS_TO_SERVER: Final = 6

Columns = Mapping[str, Sequence[Any]]
Trials = Callable[[str], Iterable[Columns]]


def record(store: Store, request: Log, trials: Trials) -> Logged:
    """Log an experiment, or bring its runs up to date.

    Args:
        store: Where to.
        request: What.
        trials: Returns the trials of a cell, by its name; only those that are needed are asked for.
    """
    summary = request.summary
    digest = digest_of(summary)
    runs = Runs(store, summary.digest)
    times = _times(summary)
    common = _source_tags()
    parent = Content(
        cell="",
        name=fields.experiment_run_name(summary),
        digest=digest,
        params=fields.experiment_params(summary),
        metrics=fields.experiment_metrics(summary),
        tags=common | fields.experiment_tags(summary, request.markdown, request.price_date),
        datasets=summary.datasets,
        times=times,
    )
    if run_id := runs.logged("", digest):
        known = {cell.name: runs.run_id(cell.name) for cell in summary.cells}
        if all(known.values()):
            return _logged(store, digest, run_id, {k: v for k, v in known.items() if v})
    run_id = runs.begin(parent)
    # MLflow lists what started last first: so the cells are in the order of the grid. Their metrics
    # make the columns of its table, as they come before the parent run.
    starts = [times[0] + i for i in range(len(summary.cells), 0, -1)]
    started = [(start, max(start, times[1])) for start in starts]
    contents = [
        _cell(cell, summary, common, run_id, at)
        for cell, at in zip(summary.cells, started, strict=True)
    ]
    writers = _WRITERS_TO_SERVER if is_server(store.tracking_uri) else 1
    cells = _record_cells(runs, contents, run_id, trials, writers)
    with tempfile.TemporaryDirectory() as folder:
        _gather(request, Path(folder))
        runs.finish(parent, Path(folder))
    return _logged(store, digest, run_id, cells)


def _cell(
    cell: CellSummary,
    summary: ExperimentSummary,
    common: dict[str, str],
    parent: str,
    times: tuple[int, int],
) -> Content:
    table = json.dumps([{"path": TABLE_NAME, "type": "table"}])
    links = {"mlflow.parentRunId": parent, "mlflow.loggedArtifacts": table}
    return Content(
        cell=cell.name,
        name=fields.cell_run_name(cell, summary),
        digest=cell_digest(cell, summary),
        params=fields.cell_params(cell, summary),
        metrics=fields.cell_metrics(cell, summary.level),
        tags=common | links | fields.cell_tags(cell, summary),
        datasets=[data for data in summary.datasets if data.name == cell.dataset],
        times=times,
    )


def _record_cells(
    runs: Runs, contents: Sequence[Content], parent: str, trials: Trials, writers: int
) -> dict[str, str]:
    """Log the cells that have changed; return the run ids of all, by name."""
    found: dict[str, str] = {}
    pending: deque[Future[tuple[str, str]]] = deque()

    def write(content: Content, folder: Path) -> tuple[str, str]:
        try:
            run_id = runs.begin(content)
            runs.finish(content, folder)
            return content.cell, run_id
        finally:
            shutil.rmtree(folder)

    with (
        tempfile.TemporaryDirectory() as below,
        ThreadPoolExecutor(max_workers=writers) as pool,
    ):
        for content in contents:
            if run_id := runs.logged(content.cell, content.digest, parent):
                found[content.cell] = run_id
                continue
            folder = Path(tempfile.mkdtemp(dir=below))
            write_tables(trials(content.cell), folder)
            pending.append(pool.submit(write, content, folder))
            if len(pending) > writers:
                found.update([pending.popleft().result()])
        found.update(future.result() for future in pending)
    return found


def _gather(request: Log, folder: Path) -> None:
    """Copy the parent run's artifacts to `folder`."""
    shutil.copyfile(request.grid, folder / GRID_NAME)
    for file in request.files:
        shutil.copy(file, folder)
    (folder / PLOT_NAME).write_text(accuracy_plot(request.summary), encoding="utf-8")


def _times(summary: ExperimentSummary) -> tuple[int, int]:
    started = datetime.fromisoformat(summary.run.started).timestamp()
    return int(started * 1000), int((started + summary.run.wall_seconds) * 1000)


def _source_tags() -> dict[str, str]:
    """Return MLflow's own tags on who ran what, as far as they are known."""
    tags = {"mlflow.source.name": "ember-bench", "mlflow.source.type": "LOCAL"}
    # A container may well have no name for its user.
    with suppress(KeyError, OSError):
        tags["mlflow.user"] = getpass.getuser()
    with suppress(OSError, subprocess.SubprocessError):
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(  # noqa: S603 - fixed words; which git is the user's affair
            command, capture_output=True, check=True, text=True, timeout=5
        )
        commit, _, dirty = done.stdout.strip().partition("-")
        tags["mlflow.source.git.commit"] = commit
        tags["mlflow.source.git.dirty"] = "true" if dirty else "false"
    return tags


def _logged(store: Store, digest: str, run_id: str, cells: dict[str, str]) -> Logged:
    return Logged(
        digest=digest,
        tracking_uri=redacted(store.tracking_uri),
        experiment_id=store.experiment_id,
        run_id=run_id,
        cells=cells,
        url=run_url(store.tracking_uri, store.experiment_id, run_id),
        cells_url=cells_url(store.tracking_uri, store.experiment_id, run_id),
        command=ui_command(store.tracking_uri),
    )
