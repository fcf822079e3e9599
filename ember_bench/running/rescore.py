"""Rescoring: the stored answers of an experiment under other evaluators, as a new experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.experiment.edits import NO_EDITS, Edits
from ember_bench.experiment.forecast.numbers import CellForecast
from ember_bench.experiment.forecast.rehearsal import Rehearsal
from ember_bench.experiment.forecast.rescored import evaluation_forecast
from ember_bench.experiment.prepare import Experiment, prepare
from ember_bench.experiment.rescoring import fitting_trials
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.spec import read_spec, wrong_name
from ember_bench.experiment.suites import without_suites
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.providers.base import provider_class
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.registry import Cards, default_roots
from ember_bench.running.find_grids import find_grid
from ember_bench.running.find_results import ResultsReader, answered, grid_of
from ember_bench.running.places import RESPONSES
from ember_bench.running.session import open_experiment

_SUFFIX: Final = ".rescored"


@dataclass(frozen=True, slots=True)
class Source:
    """The results that are scored again.

    Attributes:
        name: The name by which its results are found again.
        grid: The grid file.
        trials: The trial store.
        cells: The dataset of each cell by the cell's name; None for all cells of the grid.
        edits: Changes of the grid, if it was run as a pilot.
    """

    name: str
    grid: Path
    trials: Path
    cells: Mapping[str, str] | None
    edits: Edits = NO_EDITS

    @property
    def results(self) -> Path:
        """The folder with the response store, to which the new results are written."""
        return self.trials.parent.parent


def find_source(name: str, results: Path) -> Source:
    """Return the results that a grid, its name, or the name of results or cells stands for.

    Raises:
        ConfigError: if there are none, or their answers are missing.
    """
    edits = NO_EDITS
    try:
        grid = find_grid(name)
    except ConfigError:
        with ResultsReader(results) as reader:
            if (named := reader.find(name)) is None:
                raise
            grid, edits = grid_of(named.rows)
            folder = named.rows.path.parent
            of_all = len(named.cells) == len(named.rows.description.cells)
            cells = None if of_all else {cell.name: cell.dataset for cell in named.cells}
    else:
        folder, cells = results / read_spec(grid)[0].name, None
    trials = answered(folder.name, folder.parent)
    if cells is None:
        name = folder.name if folder.parent == results else str(folder)
    return Source(name, grid, trials, cells, edits)


@dataclass(frozen=True, slots=True)
class Scoring:
    """How stored answers are scored again.

    Attributes:
        evaluators: `[DATASET=]NAME`, each for one dataset or for all; the last one counts.
        judge: The model that judges, in place of the grid's; None for that.
        into: Name of the new experiment; None for that of the grid and `.rescored`.
        offline: Ask no judge either.
        unsafe_code: Run model-written code without a sandbox if there is none.
        budget_usd: The most that judges may cost, in place of the grid's budget.
    """

    evaluators: Sequence[str] = ()
    judge: str | None = None
    into: str | None = None
    offline: bool = False
    unsafe_code: bool = False
    budget_usd: float | None = None


def rescored(source: Source, scoring: Scoring) -> Experiment:
    """Return the experiment that scores the stored answers of `source`.

    Raises:
        ConfigError: if an evaluator, a dataset, a cell or the new name cannot be used.
    """
    experiment = open_experiment(
        source.grid,
        offline=True,
        asks_judges=not scoring.offline,
        unsafe_code=scoring.unsafe_code,
        evaluators=_evaluators(scoring.evaluators, _datasets(source), source.grid),
        judge=scoring.judge,
        budget_usd=scoring.budget_usd,
        edits=source.edits,
    )
    experiment = _renamed(experiment, scoring.into or experiment.name + _SUFFIX)
    if source.cells is None:
        return experiment
    if not any(cell.name in source.cells for cell in experiment.cells):
        raise ConfigError(f"{source.name}: {source.grid} has no such cell any more")
    _refuse_others(source.results, experiment.name, source.cells)
    return experiment.only(source.cells)


def planned(source: Source, scoring: Scoring, stored: StoredTrials) -> CellForecast:
    """Return what judges would be asked about the stored answers, and its cost; asks nobody.

    Raises:
        ConfigError: as `rescored`.
    """
    cards = Cards(default_roots(source.grid))
    with closing(StoredAnswers(source.results / RESPONSES)) as known:
        rehearsal = Rehearsal(ModelRegistry.from_cards(cards), known, judges=True)
        experiment = prepare(
            source.grid,
            cards,
            rehearsal,
            asks=False,
            unsafe_code=scoring.unsafe_code,
            evaluators=_evaluators(scoring.evaluators, _datasets(source), source.grid),
            judge=scoring.judge,
            edits=source.edits,
        )
        if source.cells is not None:
            experiment = experiment.only(source.cells)
        before, fitting = fitting_trials(experiment, stored)
        return evaluation_forecast(before, rehearsal, fitting)


def costs_money(model: ModelInfo) -> bool:
    """Whether calls to a model are paid, whatever they cost: not if it is simulated or recorded."""
    found = provider_class(model.provider_name)
    return not (found.simulated or found.replays)


def _datasets(source: Source) -> list[str]:
    spec, document = read_spec(source.grid, source.edits)
    listed = without_suites(spec, document, Cards(default_roots(source.grid)))
    names = [entry.name for entry in listed.spec.datasets]
    return [name for name in names if source.cells is None or name in source.cells.values()]


def _refuse_others(results: Path, name: str, cells: Mapping[str, str]) -> None:
    """Check that results of this name have no other cells, which would no longer be shown.

    Raises:
        ConfigError: if they do.
    """
    with ResultsReader(results) as reader:
        there = reader.find(name)
        if there is not None and not all(cell.name in cells for cell in there.cells):
            raise ConfigError(
                f"{there.rows.path.parent}: has results of other cells too; name others with --as"
            )


def _evaluators(given: Sequence[str], datasets: Sequence[str], grid: Path) -> Mapping[str, str]:
    """Return the name of the evaluator that is requested for each dataset.

    Raises:
        ConfigError: if there is no such evaluator or dataset.
    """
    cards = Cards(default_roots(grid))
    found: dict[str, str] = {}
    for entry in given:
        dataset, _, name = entry.rpartition("=")
        cards.get("evaluators", name)
        if dataset and dataset not in datasets:
            raise UnknownNameError("dataset", dataset, datasets)
        found |= dict.fromkeys([dataset] if dataset else datasets, name)
    return found


def _renamed(experiment: Experiment, name: str) -> Experiment:
    """Return the experiment under another name.

    Raises:
        ConfigError: if the name is its own, or not allowed.
    """
    if name == experiment.name:
        raise ConfigError(f"--as {name}: has the results that are scored anew; take another name")
    if (reason := wrong_name(name)) is not None:
        raise ConfigError(f"--as {name}: {reason}")
    return replace(experiment, spec=experiment.spec.model_copy(update={"name": name}))
