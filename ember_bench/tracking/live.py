"""The runs of an experiment that is being run: curves that grow. Imports mlflow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from mlflow.entities import Metric

from ember_bench.tracking.contents import Contents
from ember_bench.tracking.messages import Begin, Point
from ember_bench.tracking.mlflow_store import Store
from ember_bench.tracking.runs import METRICS_AT_ONCE, Runs, slices

_NOTE = "Trials are being run; the table of cells comes when the last is done."


class Live:
    """Writes the points of curves to the runs of their cells, made when their first one comes.

    The curves have names of their own, as MLflow draws bars over runs, which compare the cells,
    only where a metric has no steps.
    """

    def __init__(self, store: Store, request: Begin) -> None:
        self._client = store.client
        self._writers = store.writers
        self._runs = Runs(store, request.summary.digest)
        self._contents = Contents(request.summary, request.price_date)
        self._places = {cell.name: place for place, cell in enumerate(request.summary.cells)}
        self._waiting: defaultdict[str, list[Point]] = defaultdict(list)
        self._started: dict[str, str] = {}

    def add(self, points: Sequence[Point]) -> None:
        """Write points, and those that could not be written before."""
        for point in points:
            self._waiting[point.cell].append(point)
        if "" not in self._started and self._waiting:
            parent = self._contents.parent(_NOTE, "")
            self._started[""] = self._runs.start(parent)
        with ThreadPoolExecutor(max_workers=self._writers) as pool:
            for _ in pool.map(self._write, list(self._waiting)):
                pass

    def abandon(self) -> None:
        """Mark the runs as killed: nothing more will be known of them."""
        for run_id in self._started.values():
            # A server that is gone cannot be told.
            with suppress(Exception):
                self._client.set_terminated(run_id, "KILLED")

    def _write(self, cell: str) -> None:
        if (run_id := self._started.get(cell)) is None:
            content = self._contents.cell(self._places[cell], self._started[""])
            run_id = self._started[cell] = self._runs.start(content)
        metrics = [metric for point in self._waiting[cell] for metric in _metrics(point)]
        for part in slices(metrics, METRICS_AT_ONCE):
            self._client.log_batch(run_id, part)
        del self._waiting[cell]


def _metrics(point: Point) -> Iterator[Metric]:
    values = {
        "live/accuracy": point.accuracy,
        "live/spend_usd": point.spend_usd,
        "live/trials_done": point.done,
        "live/trials_failed": point.failed,
    }
    for key, value in values.items():
        if value is not None:
            yield Metric(key, float(value), point.time, point.done)
