"""The rows on which the variance of a study is measured: its own, its pilot's, or simulated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ember_bench.errors import ConfigError, did_you_mean
from ember_bench.experiment.edits import PILOT, Edits
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.models.providers.base import provider_class
from ember_bench.running.find_grids import find_grid, grids
from ember_bench.running.find_results import ResultsReader, find_results
from ember_bench.running.places import TRIALS
from ember_bench.running.session import Options, open_experiment, run_experiment

_SIMULATED_ITEMS: Final = 300


@dataclass(frozen=True)
class Measured:
    """Rows to measure, and the plan they are measured for.

    Attributes:
        rows: The trial store, open.
        items: Planned number of items by dataset.
        epochs: Planned number of epochs.
        source: What the rows are of, in words.
    """

    rows: StoredTrials
    items: Mapping[str, int]
    epochs: int
    source: str | None = None


@contextmanager
def measured_rows(name: str, results: Path) -> Iterator[Measured]:
    """Yield the rows of an experiment, or of its pilot, or of its grid's simulated models.

    The plan is that of the grid if it is found by this name, else that of the rows.

    Args:
        name: An experiment, its folder or its grid.
        results: The folder in which results are looked for.

    Raises:
        ConfigError: if there are neither results nor a grid of simulated models.
    """
    grid = _grid(name)
    experiment = None if grid is None else open_experiment(grid, offline=True)
    own = name if experiment is None else experiment.name
    found = find_results(name, results) or find_results(f"{own}{PILOT}", results)
    if found is not None:
        with ResultsReader(results) as reader:
            rows = reader.get(str(found.parent)).rows
            yield _planned(rows, experiment)
        return
    if experiment is None or grid is None:
        known = [*grids(), *(path.parent.name for path in results.glob(f"*/{TRIALS}"))]
        raise ConfigError(f"{name}: there are no results and no grid of it"
                          f"{did_you_mean(name, known)}")  # fmt: skip
    if not all(provider_class(model.provider_name).simulated for model in experiment.models):
        raise ConfigError(
            f"{experiment.name}: there are no results to measure, and its models are real; run a"
            f" pilot first: ember-bench run {name} --limit 50"
        )
    with TemporaryDirectory() as folder, ResultsReader(Path(folder)) as reader:
        edited = open_experiment(grid, edits=Edits(limit=_SIMULATED_ITEMS))
        outcome = run_experiment(edited, Options(Path(folder), mlflow=False))
        measured = _planned(reader.get(outcome.folder.name).rows, experiment)
        yield replace(measured, source="a run of the simulated models just now, which is not kept")


def _grid(name: str) -> Path | None:
    try:
        return find_grid(name)
    except ConfigError:
        return None


def _planned(rows: StoredTrials, experiment: Experiment | None) -> Measured:
    """Return rows with the plan of an experiment, as far as it has their datasets."""
    described = rows.description
    items = {dataset.name: dataset.items for dataset in described.datasets}
    if experiment is None:
        return Measured(rows, items, described.epochs)
    planned = {name: len(asked.items) for name, asked in experiment.questions.items()}
    return Measured(
        rows, {name: planned.get(name, n) for name, n in items.items()}, experiment.spec.epochs
    )
