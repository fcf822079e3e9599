"""`ember-bench run`: run a grid, or finish it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ember_bench.cli._output import Status, columns, put_json, put_text
from ember_bench.cli._pilot import Limit, Models, Values
from ember_bench.running.messages import say

if TYPE_CHECKING:
    from ember_bench.experiment.edits import Edits
    from ember_bench.running.session import Options, Outcome

_ASKING = "Models and money"
_STORED = "Results"
_SHOWN = "Output"


def _traces(value: str | int) -> int:
    """Return the number of trials to trace."""
    if value == "all":
        return sys.maxsize
    if not str(value).isdecimal():
        raise typer.BadParameter(f"expected a number or 'all', found {value!r}")
    return int(value)


def run(
    context: typer.Context,
    grid: Annotated[
        str, typer.Argument(metavar="GRID", help="A grid file, or the name of one (`list`).")
    ],
    results: Annotated[
        Path, typer.Option(rich_help_panel=_STORED, help="The folder to write to.")
    ] = Path("results"),
    data_dir: Annotated[
        Path | None,
        typer.Option(rich_help_panel=_ASKING, help="Where recorded data is [EMBER_BENCH_DATA]."),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(rich_help_panel=_STORED, help="MLflow's store [RESULTS/mlflow.db]."),
    ] = None,
    mlflow: Annotated[
        bool, typer.Option("--mlflow/--no-mlflow", rich_help_panel=_STORED, help="Log to MLflow.")
    ] = True,
    traces: Annotated[
        int,
        typer.Option(
            parser=_traces,
            metavar="[NUMBER|all]",
            rich_help_panel=_STORED,
            help="Log so many trials as MLflow traces.",
        ),
    ] = 0,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", rich_help_panel=_ASKING, help="Ask no model: use stored answers only."
        ),
    ] = False,
    in_flight: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, rich_help_panel=_ASKING, help="Trials under way at once."),
    ] = None,
    budget_usd: Annotated[
        float | None,
        typer.Option(
            min=1e-9,
            rich_help_panel=_ASKING,
            help="The most that this run may spend, in US dollars.",
        ),
    ] = None,
    unsafe_code: Annotated[
        bool,
        typer.Option(
            "--unsafe-code",
            rich_help_panel=_ASKING,
            help="Run model-written code even without a sandbox.",
        ),
    ] = False,
    limit: Limit = None,
    model: Models = None,
    values: Values = None,
    as_json: Annotated[
        bool, typer.Option("--json", rich_help_panel=_SHOWN, help="Print the summary as JSON.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", rich_help_panel=_SHOWN, help="Show no progress.")
    ] = False,
) -> None:
    """Run a grid, or what is missing of it, and print its table of cells."""
    from ember_bench.experiment.edits import Edits
    from ember_bench.running.session import Options, RunStoppedError

    again = f"ember-bench {shlex.join(context.obj)}"
    options = Options(results, tracking_uri, mlflow, traces, dedicated=True)
    edits = Edits.parse(limit, model or (), values or ())
    try:
        outcome = _run(
            grid, options, data_dir, offline, in_flight, budget_usd, unsafe_code, quiet, edits
        )
    except RunStoppedError as error:
        say(f"{error}; to continue: {again}")
        raise typer.Exit(Status.STOPPED) from None
    except KeyboardInterrupt:
        say(f"stopped; to continue: {again}")
        raise typer.Exit(Status.STOPPED) from None
    print_outcome(outcome, options, as_json=as_json, quiet=quiet)
    for remark in outcome.remarks:
        say(remark)
    if outcome.stopped:
        say(f"stopped early; to continue: {again}")
        raise typer.Exit(Status.STOPPED)
    if failed := outcome.summary.failed:
        say(f"{failed:,} trials ended in an error; to try them again: {again}")
    if failed or outcome.log_error:
        raise typer.Exit(Status.FAILURES)


def _run(
    grid: str,
    options: Options,
    data_dir: Path | None,
    offline: bool,
    in_flight: int | None,
    budget_usd: float | None,
    unsafe_code: bool,
    quiet: bool,
    edits: Edits,
) -> Outcome:
    from ember_bench.cli._code import warn_of_unsafe_code
    from ember_bench.running import session
    from ember_bench.running.find_grids import find_grid
    from ember_bench.running.places import use_data_dir
    from ember_bench.running.progress import listener

    if data_dir is not None:
        use_data_dir(data_dir)
    if unsafe_code:
        warn_of_unsafe_code()
    experiment = session.open_experiment(
        find_grid(grid),
        offline=offline,
        in_flight=in_flight,
        unsafe_code=unsafe_code,
        budget_usd=budget_usd,
        edits=edits,
    )
    for note in experiment.notes:
        say(f"warning: {note}")
    simulated = any(cell.simulated for cell in experiment.cells)
    told = listener(simulated=simulated, quiet=quiet)
    return session.run_experiment(experiment, options, told)


def print_outcome(outcome: Outcome, options: Options, *, as_json: bool, quiet: bool) -> None:
    """Print the table, or JSON, and what to open next."""
    if as_json:
        put_json(outcome.summary)
    else:
        from ember_bench.report import table

        put_text(table(outcome.summary, columns()))
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
        say(f"  cells: {outcome.logged.cells_url}")
