"""Logging a whole experiment into an open store: the parent run, and one run for each cell."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from ember_bench.drawing.accuracy_page import accuracy_page
from ember_bench.secrets import redacted
from ember_bench.tracking.contents import Content, Contents, digest_of
from ember_bench.tracking.logged_models import NO_LINK, link_networks
from ember_bench.tracking.messages import Log, Logged
from ember_bench.tracking.mlflow_store import Store
from ember_bench.tracking.runs import Runs
from ember_bench.tracking.tables import write_tables
from ember_bench.tracking.uris import cells_url, run_url, ui_command

PLOT_NAME: Final = "accuracy_and_cost.html"
GRID_NAME: Final = "grid.yaml"

Columns = Mapping[str, Sequence[Any]]
Trials = Callable[[str], Iterable[Columns]]


def record(store: Store, request: Log, trials: Trials) -> Logged:
    """Log an experiment, or bring its runs up to date.

    Args:
        store: The store to log into.
        request: The experiment and its files.
        trials: Returns the trials of a cell, by its name; only those that are needed are asked for.
    """
    summary = request.summary
    digest = digest_of(summary)
    runs = Runs(store, summary.digest)
    contents = Contents(summary, request.price_date)
    parent = contents.parent(request.markdown, digest)
    if run_id := runs.logged("", digest):
        known = {cell.name: runs.run_id(cell.name) for cell in summary.cells}
        if all(known.values()):
            return _logged(store, digest, run_id, {k: v for k, v in known.items() if v})
    run_id = runs.begin(parent)
    links = link_networks(store, request.networks, run_id)
    found = []
    for place, cell in enumerate(summary.cells):
        link = links.get(cell.name, NO_LINK)
        found.append(contents.cell(place, run_id, model=link.model_id, prompts=link.prompts))
    cells = _record_cells(runs, found, run_id, trials, store.writers)
    with tempfile.TemporaryDirectory() as folder:
        _gather(request, Path(folder))
        runs.finish(parent, Path(folder))
    return _logged(store, digest, run_id, cells)


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
    (folder / PLOT_NAME).write_text(accuracy_page(request.summary), encoding="utf-8")


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
