"""Arguments and options that several commands have."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

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


Grid = Annotated[
    str, typer.Argument(metavar="GRID", help="A grid file, or the name of one (`list`).")
]
Results = Annotated[Path, typer.Option(rich_help_panel=_STORED, help="The results folder.")]
DataDir = Annotated[
    Path | None,
    typer.Option(rich_help_panel=_ASKING, help="Where recorded data is [EMBER_BENCH_DATA]."),
]
TrackingUri = Annotated[
    str | None, typer.Option(rich_help_panel=_STORED, help="MLflow's store [RESULTS/mlflow.db].")
]
Mlflow = Annotated[
    bool, typer.Option("--mlflow/--no-mlflow", rich_help_panel=_STORED, help="Log to MLflow.")
]
Traces = Annotated[
    int,
    typer.Option(
        parser=_traces,
        metavar="[NUMBER|all]",
        rich_help_panel=_STORED,
        help="Log so many trials as MLflow traces.",
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        rich_help_panel=_ASKING,
        help="Send no request: use stored answers only. Simulated models still answer.",
    ),
]
InFlight = Annotated[
    int | None,
    typer.Option(min=1, max=100_000, rich_help_panel=_ASKING, help="Trials under way at once."),
]
Budget = Annotated[
    float | None,
    typer.Option(
        min=1e-9, rich_help_panel=_ASKING, help="The most that this run may spend, in US dollars."
    ),
]
UnsafeCode = Annotated[
    bool,
    typer.Option(
        "--unsafe-code",
        rich_help_panel=_ASKING,
        help="Run model-written code even without a sandbox.",
    ),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="NUMBER/COUNT",
        rich_help_panel=_STORED,
        help="Run one part of the items, 1/8 to 8/8 say, into a folder of its own; see `merge`.",
    ),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="local|ray[:ADDRESS]",
        rich_help_panel=_ASKING,
        help="Where trials run: in this process, or on the nodes of a Ray cluster.",
    ),
]
Whole = Annotated[
    bool,
    typer.Option(
        "--whole",
        rich_help_panel=_ASKING,
        help="Run the whole grid, also when its decision is sure before.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", rich_help_panel=_SHOWN, help="Print the summary as JSON.")
]
Quiet = Annotated[bool, typer.Option("--quiet", rich_help_panel=_SHOWN, help="Show no progress.")]

Experiment = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT", help="An experiment, or systems of it (EXPERIMENT/SYSTEM)."
    ),
]
LookIn = Annotated[Path, typer.Option("--results", help="The results folder to look in.")]
Recorded = Annotated[
    Path | None, typer.Option("--data-dir", help="Where recorded data is [EMBER_BENCH_DATA].")
]
