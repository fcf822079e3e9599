"""`ember-bench rescore`: score stored answers again, with another evaluator or a corrected one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ember_bench.cli._output import Status, say

if TYPE_CHECKING:
    from ember_bench.experiment.prepare import Experiment
    from ember_bench.experiment.results.rows import StoredTrials
    from ember_bench.running.session import Options, Outcome

_SUFFIX: Final = ".rescored"


def rescore(
    name: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT",
            help="A grid that was run, or results: name or folder, or cells (EXPERIMENT/CELL).",
        ),
    ],
    evaluator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[DATASET=]NAME",
            help="What scores, of one dataset or of all; again for another [as the grid says].",
        ),
    ] = None,
    into: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The new results [NAME.rescored].")
    ] = None,
    results: Annotated[Path, typer.Option(help="The results folder.")] = Path("results"),
    data_dir: Annotated[
        Path | None, typer.Option(help="Where recorded data is [EMBER_BENCH_DATA].")
    ] = None,
    mlflow: Annotated[
        bool, typer.Option("--mlflow/--no-mlflow", help="Log to MLflow as well.")
    ] = False,
    tracking_uri: Annotated[
        str | None, typer.Option(help="MLflow's store [RESULTS/mlflow.db].")
    ] = None,
    unsafe_code: Annotated[
        bool, typer.Option("--unsafe-code", help="Run model-written code without a sandbox.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Score what is stored of an experiment again; asks no model, and changes no results."""
    from ember_bench.cli._code import warn_of_unsafe_code
    from ember_bench.experiment.results.rows import StoredTrials
    from ember_bench.running import session
    from ember_bench.running.places import use_data_dir

    if data_dir is not None:
        use_data_dir(data_dir)
    if unsafe_code:
        warn_of_unsafe_code()
    source = _source(name, results)
    experiment = _experiment(source, evaluator or (), into, unsafe_code=unsafe_code)
    options = session.Options(source.results, tracking_uri, mlflow, dedicated=True)
    stored = StoredTrials(source.trials)
    try:
        outcome, changed = _run(experiment, stored, options, quiet=quiet)
    finally:
        stored.close()
    after = outcome.summary.name
    names = source.name, after if source.results == results else str(source.results / after)
    _print(outcome, options, changed, names, as_json=as_json, quiet=quiet)


@dataclass(frozen=True, slots=True)
class _Source:
    """What is scored again.

    Attributes:
        name: By which its results are found again.
        grid: Its grid.
        trials: Its trial store.
        cells: Datasets of its cells, by name; None for all that the grid has.
    """

    name: str
    grid: Path
    trials: Path
    cells: Mapping[str, str] | None

    @property
    def results(self) -> Path:
        """The folder that has what the models answered, and is to have what is scored."""
        return self.trials.parent.parent


def _experiment(
    source: _Source, evaluators: Sequence[str], into: str | None, *, unsafe_code: bool
) -> Experiment:
    """Return what is to be run again.

    Raises:
        ConfigError: if that, or its name, cannot be.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.experiment.spec import read_spec
    from ember_bench.running import session

    spec, _ = read_spec(source.grid)
    datasets = [entry.name for entry in spec.datasets]
    if source.cells is not None:
        datasets = [name for name in datasets if name in source.cells.values()]
    experiment = session.open_experiment(
        source.grid,
        offline=True,
        unsafe_code=unsafe_code,
        evaluators=_evaluators(evaluators, datasets, source.grid),
    )
    experiment = _renamed(experiment, into or spec.name + _SUFFIX)
    if source.cells is None:
        return experiment
    if not any(cell.name in source.cells for cell in experiment.cells):
        raise ConfigError(f"{source.name}: {source.grid} has no such cell any more")
    _refuse_others(source.results, experiment.name, source.cells)
    return experiment.only(source.cells)


def _refuse_others(results: Path, name: str, cells: Mapping[str, str]) -> None:
    """See that no results of other cells are lost to sight.

    Raises:
        ConfigError: if there are some under that name.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.running.find_results import ResultsReader

    with ResultsReader(results) as reader:
        there = reader.find(name)
        if there is not None and not all(cell.name in cells for cell in there.cells):
            raise ConfigError(
                f"{there.rows.path.parent}: has results of other cells too; name others with --as"
            )


def _run(
    experiment: Experiment, stored: StoredTrials, options: Options, *, quiet: bool
) -> tuple[Outcome, int]:
    """Score the stored trials; return what it came to, and how many were left out."""
    from ember_bench.cli._progress import listener
    from ember_bench.engines import LocalEngine
    from ember_bench.experiment.rescoring import Rescoring
    from ember_bench.running import session

    rescoring = Rescoring(LocalEngine(), stored, experiment)
    told = listener(simulated=any(c.simulated for c in experiment.cells), quiet=quiet)
    try:
        return session.run_experiment(experiment, options, told, rescoring), rescoring.changed
    except (session.RunStoppedError, KeyboardInterrupt) as error:
        reason = str(error) or "stopped"
        say(f"{reason}; give the command again to continue")
        raise typer.Exit(Status.STOPPED) from None


def _print(
    outcome: Outcome,
    options: Options,
    changed: int,
    names: tuple[str, str],
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print the table and what to look at, and exit with the status that it deserves."""
    from ember_bench.cli.run import print_outcome

    print_outcome(outcome, options, as_json=as_json, quiet=quiet)
    if changed:
        say(f"{changed:,} stored trials are left out: their graph, model or item has changed since")
    if not quiet:
        say(f"what changed: ember-bench compare {' '.join(map(shlex.quote, names))} --anyway")
    if outcome.stopped:
        raise typer.Exit(Status.STOPPED)
    if failed := outcome.summary.failed:
        say(f"{failed:,} trials ended in an error")
    if failed or outcome.log_error:
        raise typer.Exit(Status.FAILURES)


def _source(name: str, results: Path) -> _Source:
    """Return what a grid, the name of one, results, or cells of them stand for.

    Raises:
        ConfigError: if there is no such thing, or no answers to it.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.experiment.spec import read_spec
    from ember_bench.running.find_grids import find_grid
    from ember_bench.running.find_results import ResultsReader, answered, grid_of

    try:
        grid = find_grid(name)
    except ConfigError:
        with ResultsReader(results) as reader:
            if (named := reader.find(name)) is None:
                raise
            grid, folder = grid_of(named.rows), named.rows.path.parent
            of_all = len(named.cells) == len(named.rows.description.cells)
            cells = None if of_all else {cell.name: cell.dataset for cell in named.cells}
    else:
        folder, cells = results / read_spec(grid)[0].name, None
    trials = answered(folder.name, folder.parent)
    if cells is None:
        name = folder.name if folder.parent == results else str(folder)
    return _Source(name, grid, trials, cells)


def _evaluators(given: Sequence[str], datasets: Sequence[str], grid: Path) -> Mapping[str, str]:
    """Return the evaluators that are asked for, by dataset.

    Raises:
        ConfigError: if there is no such evaluator, or none of these datasets is so named.
    """
    from ember_bench.errors import UnknownNameError
    from ember_bench.registry import Cards, default_roots

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
    """Return the experiment under another name, which is not its own.

    Raises:
        ConfigError: if it cannot have that name.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.experiment.spec import NAME

    if name == experiment.name:
        raise ConfigError(f"--as {name}: has the results that are scored anew; take another name")
    if not re.fullmatch(NAME, name):
        raise ConfigError(f"--as {name}: letters, digits and `._-` only, and no more than 100")
    return replace(experiment, spec=experiment.spec.model_copy(update={"name": name}))
