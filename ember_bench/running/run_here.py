"""Runs in Python: an experiment is opened and run beside whatever loop the caller has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.shards import Shard
from ember_bench.running.apart import await_apart, run_apart
from ember_bench.running.choose_engine import chosen_engine
from ember_bench.running.find_grids import find_grid
from ember_bench.running.messages import say
from ember_bench.running.open_study import edits_of
from ember_bench.running.places import use_data_dir
from ember_bench.running.progress import python_listener
from ember_bench.running.results import Results
from ember_bench.running.session import Options, open_experiment, run_experiment
from ember_bench.running.stopping import Stop
from ember_bench.running.study_spec import RunOptions

Opening = Callable[[RunOptions], Experiment]
"""Opens an experiment; all options count but those of the results."""


def open_grid(grid: str, options: RunOptions) -> Experiment:
    """Return the experiment of a grid, by name or path."""
    return open_experiment(
        find_grid(grid),
        offline=options.get("offline", False),
        in_flight=options.get("in_flight"),
        unsafe_code=options.get("unsafe_code", False),
        budget_usd=options.get("budget_usd"),
        edits=edits_of(options),
    )


def run_here(opening: Opening, options: RunOptions) -> Results:
    """Run an experiment and wait for it.

    Raises:
        KeyboardInterrupt: if the caller was interrupted; the run has ended in order by then.
    """
    stop = Stop()
    return run_apart(lambda: _run(opening, options, stop), stop.ask)


async def arun_here(opening: Opening, options: RunOptions) -> Results:
    """Run an experiment beside the running loop; see `run_here`.

    Raises:
        CancelledError: if the awaiting task was cancelled; the run has ended in order by then.
    """
    stop = Stop()
    return await await_apart(lambda: _run(opening, options, stop), stop.ask)


def _run(opening: Opening, options: RunOptions, stop: Stop) -> Results:
    if (data_dir := options.get("data_dir")) is not None:
        use_data_dir(Path(data_dir))
    experiment = opening(options)
    if (shard := options.get("shard")) is not None:
        experiment = experiment.sharded(Shard.parse(shard))
    quiet = options.get("quiet", False)
    if not quiet:
        for note in experiment.notes:
            say(f"warning: {note}")
    simulated = any(map(experiment.is_simulated, experiment.cells))
    traces = options.get("traces", 0)
    results = Path(options.get("results", "results"))
    with chosen_engine(options.get("engine"), experiment, opening, options, results) as engine:
        outcome = run_experiment(
            experiment,
            Options(
                results=results,
                tracking_uri=options.get("tracking_uri"),
                mlflow=options.get("mlflow", True),
                traces=sys.maxsize if traces == "all" else traces,
                whole=options.get("whole", False),
            ),
            python_listener(simulated=simulated, quiet=quiet),
            engine,
            stop,
        )
    if outcome.log_error:
        say(f"warning: {outcome.log_error}")
    if not quiet:
        for remark in outcome.remarks:
            say(remark)
    return Results(
        outcome.folder,
        outcome.summary,
        outcome.budget_reached,
        outcome.logged,
        outcome.log_error,
        lambda: opening({**options, "offline": True}),
    )
