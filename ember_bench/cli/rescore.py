"""`ember-bench rescore`: score stored answers again, with another evaluator or a corrected one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ember_bench.cli._output import Status, say

if TYPE_CHECKING:
    from ember_bench.cli.session import Options, Outcome
    from ember_bench.experiment.plan import Experiment
    from ember_bench.experiment.rows import StoredTrials
    from ember_bench.experiment.spec import ExperimentSpec

_SUFFIX: Final = ".rescored"


def rescore(
    name: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT", help="A grid that was run, or results: their name or folder."
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
    from ember_bench.cli import session
    from ember_bench.cli._code import warn_of_unsafe_code
    from ember_bench.cli._places import use_data_dir
    from ember_bench.cli._results import answered
    from ember_bench.experiment.rows import StoredTrials
    from ember_bench.experiment.spec import read_spec

    if data_dir is not None:
        use_data_dir(data_dir)
    if unsafe_code:
        warn_of_unsafe_code()
    grid, folder = _grid(name, results)
    spec, _ = read_spec(grid)
    beside = folder is not None and folder.parent != results
    if folder is not None:
        results = folder.parent  # what the models answered is there, and what is scored goes there
    trials = answered(spec.name if folder is None else folder.name, results)
    experiment = session.open_experiment(
        grid,
        offline=True,
        unsafe_code=unsafe_code,
        evaluators=_evaluators(evaluator or (), spec, grid),
    )
    experiment = _renamed(experiment, into or spec.name + _SUFFIX)
    options = session.Options(results, tracking_uri, mlflow)
    stored = StoredTrials(trials)
    try:
        outcome, changed = _run(experiment, stored, options, quiet=quiet)
    finally:
        stored.close()
    names = trials.parent.name, outcome.summary.name
    before, after = (str(results / each) if beside else each for each in names)
    _print(outcome, options, changed, (before, after), as_json=as_json, quiet=quiet)


def _run(
    experiment: Experiment, stored: StoredTrials, options: Options, *, quiet: bool
) -> tuple[Outcome, int]:
    """Score the stored trials; return what it came to, and how many were left out."""
    from ember_bench.cli import session
    from ember_bench.cli._progress import listener
    from ember_bench.engines import LocalEngine
    from ember_bench.experiment.rescoring import Rescoring

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


def _grid(name: str, results: Path) -> tuple[Path, Path | None]:
    """Return the grid that a name, a path, or results stand for, and the results if it was they.

    Raises:
        ConfigError: if there is none.
    """
    from ember_bench.cli._grids import find_grid
    from ember_bench.cli._results import ResultsReader, grid_of
    from ember_bench.errors import ConfigError

    try:
        return find_grid(name), None
    except ConfigError:
        with ResultsReader(results) as reader:
            if (named := reader.find(name)) is None:
                raise
            return grid_of(named.rows), named.rows.path.parent


def _evaluators(given: Sequence[str], spec: ExperimentSpec, grid: Path) -> Mapping[str, str]:
    """Return the evaluators that are asked for, by dataset.

    Raises:
        ConfigError: if there is no such evaluator, or no such dataset in the grid.
    """
    from ember_bench.errors import UnknownNameError
    from ember_bench.registry import Cards, default_roots

    cards = Cards(default_roots(grid))
    datasets = [entry.name for entry in spec.datasets]
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
