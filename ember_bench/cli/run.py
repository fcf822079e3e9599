"""`ember-bench run`: run a grid, or finish it."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ember_bench.cli._output import Status, put_json, put_text, width
from ember_bench.cli._pilot import Limit, Models, Values
from ember_bench.cli._run_options import (
    Budget,
    DataDir,
    EngineName,
    Grid,
    InFlight,
    Json,
    Mlflow,
    Offline,
    Quiet,
    Results,
    ShardOf,
    Traces,
    TrackingUri,
    UnsafeCode,
    Whole,
)
from ember_bench.cli._table import By, Columns, Datasets, Sort, Top, view_of
from ember_bench.running.messages import say

if TYPE_CHECKING:
    from ember_bench.experiment.prepare import Experiment
    from ember_bench.experiment.shards import Shard
    from ember_bench.report.columns import View
    from ember_bench.running.session import Options, Outcome
    from ember_bench.running.study_spec import RunOptions


def run(
    context: typer.Context,
    grid: Grid,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    tracking_uri: TrackingUri = None,
    mlflow: Mlflow = True,
    traces: Traces = 0,
    shard: ShardOf = None,
    offline: Offline = False,
    in_flight: InFlight = None,
    budget_usd: Budget = None,
    unsafe_code: UnsafeCode = False,
    limit: Limit = None,
    model: Models = None,
    values: Values = None,
    whole: Whole = False,
    engine: EngineName = None,
    columns: Columns = None,
    sort: Sort = None,
    top: Top = None,
    datasets: Datasets = None,
    by: By = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a grid, or what is missing of it, and print its table of systems."""
    from ember_bench.cli._process_options import settle
    from ember_bench.experiment.edits import Edits
    from ember_bench.running.session import Options, RunStoppedError
    from ember_bench.running.study_spec import RunOptions

    again = f"ember-bench {shlex.join(context.obj)}"
    edits = Edits.parse(limit, model or (), values or ())
    options = Options(results, tracking_uri, mlflow, traces, whole=whole, dedicated=True)
    view = view_of(columns, sort, top, datasets, by)
    settle(data_dir, unsafe_code=unsafe_code)
    given = RunOptions(
        offline=offline,
        in_flight=in_flight,
        budget_usd=budget_usd,
        unsafe_code=unsafe_code,
        limit=edits.limit,
        models=dict(edits.models),
        values=dict(edits.values),
        **({} if engine is None else {"engine": engine}),
    )
    try:
        outcome = _run(
            grid, given, _shard(shard, options), options, view, tuple(context.obj), quiet=quiet
        )
    except (RunStoppedError, KeyboardInterrupt) as error:
        say(f"{str(error) or 'stopped'}; to continue: {again}")
        raise typer.Exit(Status.STOPPED) from None
    print_outcome(outcome, options, view, as_json=as_json, quiet=quiet)
    # Offline, the same command would fail in the same way.
    online = [argument for argument in context.obj if argument != "--offline"]
    _end(outcome, again, f"ember-bench {shlex.join(online)}")


def _shard(text: str | None, options: Options) -> Shard | None:
    """Return the shard that is to be run.

    Raises:
        ConfigError: if there is no such shard, or it is to be logged.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.experiment.shards import Shard

    if text is None:
        return None
    shard = Shard.parse(text)
    if options.tracking_uri is not None or options.traces:
        raise ConfigError(
            "--shard: shards are not logged to MLflow; log the merged results (run the grid on"
            " their folder)"
        )
    return shard


def _run(
    grid: str,
    given: RunOptions,
    shard: Shard | None,
    options: Options,
    view: View,
    arguments: tuple[str, ...],
    *,
    quiet: bool,
) -> Outcome:
    from ember_bench.running import session
    from ember_bench.running.choose_engine import chosen_engine
    from ember_bench.running.commands import keep_command
    from ember_bench.running.progress import listener
    from ember_bench.running.run_here import open_grid

    experiment = open_grid(grid, given)
    if shard is not None:
        experiment = experiment.sharded(shard)
    view.check_datasets({cell.dataset for cell in experiment.cells})
    for note in experiment.notes:
        say(f"warning: {note}")
    if (shard := experiment.shard) is not None and not quiet:
        say(f"shard {shard}: {_share(experiment)}")
    simulated = any(map(experiment.is_simulated, experiment.cells))
    told = listener(simulated=simulated, quiet=quiet)
    with chosen_engine(
        given.get("engine"), experiment, partial(open_grid, grid), given, options.results
    ) as engine:
        keep_command(options.results / experiment.name, arguments)
        return session.run_experiment(experiment, options, told, engine)


def _share(experiment: Experiment) -> str:
    """Return the part of the trials and of the budget that a shard has."""
    from ember_bench.drawing.number_format import count, dollars

    found = count(len(experiment), "trial")
    budget = experiment.budget
    if budget is None or budget.run_usd is None:
        return found
    return f"{found}, and {dollars(budget.run_usd)} of the budget"


def _end(outcome: Outcome, again: str, online: str) -> None:
    """Say how the run ended, and exit with its status."""
    for remark in outcome.remarks:
        say(remark)
    if outcome.stopped:
        say(f"stopped early; to continue: {again}")
        raise typer.Exit(Status.STOPPED)
    if failed := outcome.surprises:
        trials = "trial" if failed == 1 else "trials"
        say(f"{failed:,} {trials} ended in an error; to try them again: {online}")
    if failed or outcome.log_error:
        raise typer.Exit(Status.FAILURES)


def print_outcome(
    outcome: Outcome, options: Options, view: View, *, as_json: bool, quiet: bool
) -> None:
    """Print the table, or JSON, and what to open next."""
    if as_json:
        put_json(outcome.summary)
    else:
        from ember_bench.report import table

        put_text(table(outcome.summary, width(), view))
    if outcome.log_error:
        say(f"warning: {outcome.log_error}")
    if quiet:
        return
    say(f"results: {outcome.folder / 'summary.md'}")
    if outcome.logged is not None:
        from ember_bench.tracking.uris import default_uri, ui_command

        if command := ui_command(options.tracking_uri or default_uri(options.results)):
            say(f"MLflow:  {command}")
        say(f"  run:   {outcome.logged.url}")
        say(f"  systems: {outcome.logged.cells_url}")
