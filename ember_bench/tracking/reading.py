"""Reading cells' results back from MLflow: a file's runs, or those of a tracking server.

What is read is what `record` logs: parameters, tags and dataset inputs of a cell's run, and its
table of trials. Imports mlflow only when something is read.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ember_bench.errors import ConfigError
from ember_bench.experiment.results.cells import CellData, CellResults
from ember_bench.experiment.results.comparison import Group
from ember_bench.experiment.results.items import AskedItem, AskedItems
from ember_bench.experiment.results.summary import OUTCOMES, DatasetSummary
from ember_bench.secrets import redacted
from ember_bench.tracking.fields import CELL_TAG, EXPERIMENT_TAG, MEASURED_TAG
from ember_bench.tracking.messages import TrackingError
from ember_bench.tracking.tables import PARQUET_NAME
from ember_bench.tracking.tracker import ENVIRONMENT
from ember_bench.tracking.uris import RUN_PREFIX, sqlite_path, unusable

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking.client import MlflowClient

_PARENT: Final = "mlflow.parentRunId"
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_DEFAULT_LEVEL: Final = 0.95
_INTERVAL: Final = re.compile(r"accuracy/ci([\d.]+)_low")


def read_runs(name: str, tracking_uri: str) -> Group:
    """Return the cells of a run: those of an experiment's run, or the one of a cell's.

    Args:
        name: A run's id or name, or an MLflow experiment's name, which stands for its last run.
        tracking_uri: A database, or a server.

    Raises:
        ConfigError: if there is no such run, or several have the name.
        TrackingError: if MLflow or the run's table cannot be read.
    """
    with reading(name, tracking_uri) as reader:
        return reader.group()


def read_file(name: str, tracking_uri: str, file: str) -> tuple[bytes, str | None]:
    """Return an artifact of an experiment's run, and the cell that `name` means, if it means one.

    Args:
        name: As for `read_runs`; a cell's run stands for its experiment's.
        tracking_uri: A database, or a server.
        file: The name of the artifact.

    Raises:
        ConfigError: as for `read_runs`.
        TrackingError: if MLflow or the artifact cannot be read.
    """
    with reading(name, tracking_uri) as reader:
        return reader.file(file)


@contextmanager
def reading(name: str, tracking_uri: str) -> Iterator[Reader]:
    """Give a reader; errors of MLflow are raised as ours."""
    if (problem := unusable(tracking_uri)) is not None:
        raise ConfigError(f"--tracking-uri: {problem}")
    path = sqlite_path(tracking_uri)
    if path is not None and not path.is_file():
        # MLflow would make it.
        raise ConfigError(f"{name}: there are no such results, and no MLflow store {path}")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    try:
        yield Reader(name, tracking_uri)
    except (ConfigError, TrackingError):
        raise
    except Exception as error:  # MLflow's own, those of SQLAlchemy, requests and cloud SDKs
        raise TrackingError(
            f"{name}: cannot be read from MLflow ({redacted(tracking_uri)}):"
            f" {redacted(str(error).partition('[SQL: ')[0].strip())[:1_000]}"
        ) from None


class Reader:
    """Reads the runs of one name."""

    def __init__(self, name: str, tracking_uri: str) -> None:
        from mlflow.tracking.client import MlflowClient  # noqa: PLC0415 - takes two seconds

        self.name = name
        self.tracking_uri = tracking_uri
        self.client: MlflowClient = MlflowClient(tracking_uri=tracking_uri)
        self._experiments = {
            str(found.experiment_id): str(found.name) for found in self.client.search_experiments()
        }

    def file(self, name: str) -> tuple[bytes, str | None]:
        """Return an artifact of the experiment's run, and the cell that is named, if one is."""
        run = self._ours()
        cell = run.data.tags.get(CELL_TAG)
        if cell is not None and _PARENT in run.data.tags:
            run = self.client.get_run(run.data.tags[_PARENT])
        with self.artifact(run, name) as path:
            return path.read_bytes(), cell

    def group(self) -> Group:
        """Return the cells of the run."""
        run = self._ours()
        if CELL_TAG in run.data.tags and run.data.tags.get(_PARENT):
            return Group(self.name, [self._results(run)], {})
        cells = list(self._search(f"tags.`{_PARENT}` = '{run.info.run_id}'"))
        if not cells:
            raise ConfigError(f"{self.name}: no cell of the run is in MLflow")
        # They are logged so that MLflow, which lists the last first, shows the order of the grid.
        cells.sort(key=lambda cell: -cell.info.start_time)
        found = [self._results(cell) for cell in cells]
        return Group(self.name, found, _baselines(cells, found))

    def _ours(self) -> Run:
        run = self.run()
        if EXPERIMENT_TAG not in run.data.tags:
            raise ConfigError(
                f"{self.name}: the run is not one that ember-bench logged; of an evaluation of"
                " MLflow, `ember-bench import mlflow` makes an experiment"
            )
        return run

    def run(self) -> Run:
        """Return the run that is named.

        Raises:
            ConfigError: if there is none, or there are several.
        """
        found: Sequence[Run] = ()
        if _RUN_ID.fullmatch(self.name):
            found = list(self._search(f"attributes.run_id = '{self.name}'"))
        if not found and "'" not in self.name:
            found = list(self._search(f"attributes.run_name = '{self.name}'"))
        if not found:
            ours = [id_ for id_, name in self._experiments.items() if name == self.name]
            runs = self._search(f"tags.`{EXPERIMENT_TAG}` != ''", ours) if ours else iter(())
            parents = [run for run in runs if _PARENT not in run.data.tags]
            found = sorted(parents, key=lambda run: -run.info.start_time)[:1]
        if not found:
            if self.name in self._experiments.values():
                raise ConfigError(
                    f"{self.name}: ember-bench has logged no run of this experiment; of evaluations"
                    " of MLflow, `ember-bench import mlflow` makes an experiment"
                )
            raise ConfigError(
                f"{self.name}: no run of MLflow has this id or name, and no experiment"
                f" ({redacted(self.tracking_uri)})"
            )
        if len(found) > 1:
            ids = ", ".join(f"{RUN_PREFIX}{run.info.run_id}" for run in found[:5])
            raise ConfigError(f"{self.name}: the name of {len(found)} runs; give one by id: {ids}")
        return found[0]

    def evaluations(self, tag: str, value: str) -> list[Run]:
        """Return the runs of the experiment of this name that have a tag, the oldest first."""
        named = [id_ for id_, name in self._experiments.items() if name == self.name]
        found = list(self._search(f"tags.`{tag}` = '{value}'", named)) if named else []
        return sorted(found, key=lambda run: run.info.start_time)

    def _search(self, query: str, experiments: Sequence[str] = ()) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self.client.search_runs(
                list(experiments or self._experiments), query, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _results(self, run: Run) -> CellResults:
        """Return the results of a cell's run.

        Raises:
            TrackingError: if it lacks what takes part in a comparison.
        """
        parent = self.client.get_run(run.data.tags[_PARENT])
        asked = _dataset(run)
        table = self._table(run)
        name = run.data.tags[CELL_TAG]
        items, data = trials_of(table)
        return CellResults(
            source=RUN_PREFIX + str(parent.info.run_name).removesuffix(" [simulated]"),
            name=name,
            label=_label(run, asked.name),
            asked=asked,
            simulated=run.data.tags.get("simulated") == "true",
            oracle=run.data.tags.get("oracle") == "true",
            failures=parent.data.params.get("failures", "wrong"),
            level=_level(run),
            seed=int(run.data.params.get("seed", "0")),
            items=items,
            data=data,
            read_answers=lambda: table["answer"],
        )

    def _table(self, run: Run) -> dict[str, list[Any]]:
        """Return the trials of a cell's run by column.

        Raises:
            TrackingError: if the artifact cannot be had.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

        with self.artifact(run, PARQUET_NAME) as path:
            table: dict[str, list[Any]] = pq.read_table(path).to_pydict()
        absent = [None] * len(table["item"])
        return {
            name: table.get(name, absent)
            for name in (*table, "item_digest", "cluster", "target", "latency_seconds")
        }

    @contextmanager
    def artifact(self, run: Run, name: str) -> Iterator[Path]:
        """Give an artifact of a run as a file.

        Raises:
            TrackingError: if it cannot be had, or not be read.
        """
        from mlflow.store.artifact.artifact_repository_registry import (  # noqa: PLC0415 - heavy
            get_artifact_repository,
        )

        with tempfile.TemporaryDirectory() as folder:
            try:
                place = get_artifact_repository(
                    run.info.artifact_uri, tracking_uri=self.tracking_uri
                )
                yield Path(place.download_artifacts(name, folder))  # type: ignore[no-untyped-call]
            except Exception as error:  # each kind of place for artifacts has its own
                running = ", as it is still being run" if run.info.status == "RUNNING" else ""
                raise TrackingError(
                    f"{RUN_PREFIX}{run.info.run_id}: its {name} cannot be read{running}:"
                    f" {redacted(str(error))[:300]}"
                ) from None


def trials_of(table: dict[str, list[Any]]) -> tuple[AskedItems, CellData]:
    """Return the items that a table has trials of, in its order, and the trials in theirs.

    Raises:
        KeyError: if the table has another outcome than there are.
    """
    columns = zip(table["item"], table["item_digest"], table["cluster"], table["target"],
                  strict=True)  # fmt: skip
    known = {
        item: AskedItem(item, digest or "", None, cluster, "", target or "")
        for item, digest, cluster, target in columns
    }
    places = {item: place for place, item in enumerate(known)}
    item = np.asarray([places[name] for name in table["item"]], dtype=np.int32)
    if (np.diff(item) < 0).any():  # somebody else wrote it
        order = np.argsort(item, kind="stable").tolist()
        return trials_of({name: [values[i] for i in order] for name, values in table.items()})
    outcomes = {name: number for number, name in enumerate(OUTCOMES)}
    numbers = {
        name: np.asarray(table[name], dtype=np.float64)
        for name in ("score", "cost_usd", "latency_seconds")
    }
    data = CellData(
        n_items=len(known),
        item=item,
        outcome=np.asarray([outcomes[name] for name in table["outcome"]], dtype=np.int8),
        score=numbers["score"],
        cost=numbers["cost_usd"],
        latency=numbers["latency_seconds"],
    )
    return AskedItems.of(list(known.values()), whole=False), data


def _baselines(runs: Sequence[Run], found: Sequence[CellResults]) -> dict[str, CellResults]:
    """Return by dataset the cell that others were compared with: the one without a difference."""
    baselines: dict[str, CellResults] = {}
    for run, cell in zip(runs, found, strict=True):
        measured = run.data.tags.get(MEASURED_TAG) != "false"
        if measured and "vs_baseline/difference" not in run.data.metrics:
            baselines.setdefault(cell.asked.name, cell)
    return baselines


def _dataset(run: Run) -> DatasetSummary:
    """Return the dataset that is logged as the run's input.

    Raises:
        TrackingError: if there is none.
    """
    inputs = run.inputs.dataset_inputs if run.inputs else []
    if len(inputs) != 1:
        raise TrackingError(f"{RUN_PREFIX}{run.info.run_id}: does not say which dataset it is on")
    tags = {tag.key: tag.value for tag in inputs[0].tags}
    dataset = inputs[0].dataset
    return DatasetSummary(
        name=dataset.name,
        source=dataset.source,
        revision=tags.get("revision"),
        digest=dataset.digest,
        items=0,
        evaluator=tags.get("evaluator", ""),
        evaluator_identity=tags.get("evaluator_identity", ""),
    )


def _label(run: Run, dataset: str) -> str:
    """Return the label of a cell: the name of its run without the additions of `cell_run_name`."""
    name = str(run.info.run_name).removesuffix(" [simulated]")
    return name.removesuffix(f" · {dataset}")


def _level(run: Run) -> float:
    """Return the confidence level of the run's intervals, which stands in their names."""
    found = [match for key in run.data.metrics if (match := _INTERVAL.fullmatch(key))]
    return float(found[0][1]) / 100 if found else _DEFAULT_LEVEL
