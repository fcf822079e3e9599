"""`ember-bench rescore`: score stored answers again, with another evaluator or a corrected one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ember_bench.cli._output import Status
from ember_bench.cli._run_options import (
    DataDir,
    Json,
    Mlflow,
    Quiet,
    Results,
    TrackingUri,
    UnsafeCode,
)
from ember_bench.cli._table import By, Columns, Datasets, Sort, Top, view_of
from ember_bench.running.messages import say

if TYPE_CHECKING:
    from ember_bench.experiment.prepare import Experiment
    from ember_bench.experiment.results.rows import StoredTrials
    from ember_bench.running.rescore import Scoring, Source
    from ember_bench.running.session import Options, Outcome


Scored = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        help="A grid that was run, or results: name or folder, or cells (EXPERIMENT/CELL).",
    ),
]
Evaluators = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[DATASET=]NAME",
        help="What scores, of one dataset or of all; again for another [as the grid says].",
    ),
]
Judge = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Model that judges, if the evaluator asks one."),
]
JudgeBudget = Annotated[
    float | None,
    typer.Option(metavar="USD", min=0, help="The most that judges may cost."),
]
JudgesOffline = Annotated[
    bool, typer.Option("--offline", help="Ask no judge: its verdicts must be stored.")
]
Into = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="The new results [NAME.rescored].")
]


def rescore(
    name: Scored,
    evaluator: Evaluators = None,
    judge: Judge = None,
    budget_usd: JudgeBudget = None,
    offline: JudgesOffline = False,
    into: Into = None,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    mlflow: Mlflow = False,
    tracking_uri: TrackingUri = None,
    unsafe_code: UnsafeCode = False,
    columns: Columns = None,
    sort: Sort = None,
    top: Top = None,
    datasets: Datasets = None,
    by: By = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score stored answers again; ask no model but judges, and leave the old results."""
    from ember_bench.cli._process_options import settle
    from ember_bench.cli.run import print_outcome
    from ember_bench.experiment.results.rows import StoredTrials
    from ember_bench.running import session
    from ember_bench.running.rescore import Scoring, find_source, rescored

    view = view_of(columns, sort, top, datasets, by)
    settle(data_dir, unsafe_code=unsafe_code)
    source = find_source(name, results)
    scoring = Scoring(evaluator or (), judge, into, offline, unsafe_code, budget_usd or None)
    experiment = rescored(source, scoring)
    view.check_datasets({cell.dataset for cell in experiment.cells})
    options = session.Options(source.results, tracking_uri, mlflow, dedicated=True)
    stored = StoredTrials(source.trials)
    try:
        _announce(source, scoring, experiment, stored)
        outcome, changed = _run(experiment, stored, options, quiet=quiet)
    finally:
        stored.close()
    after = outcome.summary.name
    names = source.name, after if source.results == results else str(source.results / after)
    print_outcome(outcome, options, view, as_json=as_json, quiet=quiet)
    _end(outcome, changed, names, quiet=quiet)


def _announce(
    source: Source, scoring: Scoring, experiment: Experiment, stored: StoredTrials
) -> None:
    """Say what judges will be asked, and what that costs.

    Raises:
        ConfigError: if it costs money, and nobody has said how much.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.evaluators.base import judge_models
    from ember_bench.report.forecast_table import evaluation_line
    from ember_bench.running.rescore import costs_money, planned

    judges = [m for asked in experiment.questions.values() for m in judge_models(asked.evaluator)]
    if not judges:
        return
    plan = planned(source, scoring, stored)
    say(evaluation_line(plan))
    paid = plan.made.high and plan.worst_usd != 0 and not scoring.offline
    if paid and any(map(costs_money, judges)) and experiment.budget is None:
        raise ConfigError("judges cost money: give --budget-usd USD, the most that they may cost")


def _run(
    experiment: Experiment, stored: StoredTrials, options: Options, *, quiet: bool
) -> tuple[Outcome, int]:
    """Score the stored trials; return the outcome and the number of trials left out."""
    from ember_bench.engines import LocalEngine
    from ember_bench.experiment.rescoring import Rescoring
    from ember_bench.running import session
    from ember_bench.running.progress import listener

    rescoring = Rescoring(LocalEngine(), stored, experiment)
    told = listener(simulated=any(c.simulated for c in experiment.cells), quiet=quiet)
    try:
        return session.run_experiment(experiment, options, told, rescoring), rescoring.changed
    except (session.RunStoppedError, KeyboardInterrupt) as error:
        reason = str(error) or "stopped"
        say(f"{reason}; give the command again to continue")
        raise typer.Exit(Status.STOPPED) from None


def _end(outcome: Outcome, changed: int, names: tuple[str, str], *, quiet: bool) -> None:
    """Say what to open next; exit with the status of the outcome."""
    if changed:
        say(f"{changed:,} stored trials are left out: their graph, model or item has changed since")
    if not quiet:
        say(f"what changed: ember-bench compare {' '.join(map(shlex.quote, names))} --anyway")
    for remark in outcome.remarks:
        say(remark)
    if outcome.stopped:
        raise typer.Exit(Status.STOPPED)
    if failed := outcome.surprises:
        say(f"{failed:,} trial{'s' if failed > 1 else ''} ended in an error")
    if failed or outcome.log_error:
        raise typer.Exit(Status.FAILURES)
