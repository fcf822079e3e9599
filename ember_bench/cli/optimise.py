"""`ember-bench optimise`: better prompts, and what they are worth."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ember_bench.cli._output import Status, put, put_json
from ember_bench.cli._run_options import (
    Budget,
    DataDir,
    Grid,
    InFlight,
    Json,
    Mlflow,
    Quiet,
    Results,
    TrackingUri,
)
from ember_bench.running.messages import say

if TYPE_CHECKING:
    from ember_bench.optimising.optimise import Written
    from ember_bench.optimising.outcome import Optimised

_SEARCH = "Search"
_ITEMS = "Items"


Method = Annotated[
    str, typer.Option("--with", metavar="OPTIMISER", help="gepa, bootstrap_few_shot or mipro.")
]
System = Annotated[
    str | None, typer.Option(metavar="SYSTEM", help="The system, if the grid has several.")
]
Name = Annotated[str | None, typer.Option(help="Name of the new card.")]
Train = Annotated[
    int | None, typer.Option(min=1, rich_help_panel=_ITEMS, help="Items to learn from [a quarter].")
]
Validation = Annotated[
    int | None, typer.Option(min=1, rich_help_panel=_ITEMS, help="Items to choose by [a quarter].")
]
Evaluations = Annotated[
    int | None,
    typer.Option(min=1, rich_help_panel=_SEARCH, help="gepa: trials after which it ends."),
]
Candidates = Annotated[
    int, typer.Option(min=2, rich_help_panel=_SEARCH, help="mipro: candidates for each prompt.")
]
Demonstrations = Annotated[
    int, typer.Option(min=0, rich_help_panel=_SEARCH, help="The most solved examples in a prompt.")
]
Reflect = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        rich_help_panel=_SEARCH,
        help="Model that proposes instructions [the system's first].",
    ),
]
Seed = Annotated[
    int | None, typer.Option(rich_help_panel=_SEARCH, help="Of the search [the grid's].")
]


def optimise(
    grid: Grid,
    method: Method,
    cell: System = None,
    name: Name = None,
    train: Train = None,
    validation: Validation = None,
    evaluations: Evaluations = None,
    candidates: Candidates = 6,
    demonstrations: Demonstrations = 4,
    reflect: Reflect = None,
    seed: Seed = None,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    in_flight: InFlight = None,
    budget_usd: Budget = None,
    tracking_uri: TrackingUri = None,
    mlflow: Mlflow = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Word a system's prompts better, and test them on items not used before.

    Run again, it goes on: calls whose answers are stored are not made again.
    """
    if data_dir is not None:
        from ember_bench.running.places import use_data_dir

        use_data_dir(data_dir)
    from ember_bench.optimising.optimise import optimise as run
    from ember_bench.optimising.task import Options

    # DSPy's optimisers print: their stdout and stderr are turned off meanwhile.
    tell = partial(say, stream=sys.stderr)
    options = Options(
        method, cell, train, validation, evaluations, candidates, demonstrations, reflect, name,
        results, seed, mlflow, tracking_uri,
    )  # fmt: skip
    try:
        outcome, written = run(
            grid,
            options,
            budget_usd=budget_usd,
            in_flight=in_flight,
            told=(lambda _: None) if quiet else tell,
        )
    except KeyboardInterrupt:
        tell("stopped; every answer is stored, and the same command goes on")
        raise typer.Exit(Status.STOPPED) from None
    _end(outcome, written, tell, as_json=as_json)


def _end(
    outcome: Optimised, written: Written, tell: Callable[[str], None], *, as_json: bool
) -> None:
    from ember_bench.optimising.outcome import OPTIMISED_PAGE, as_text

    if as_json:
        put_json(outcome)
    else:
        put(as_text(outcome))
    if written.log_error:
        tell(f"warning: {written.log_error}")
    tell(f"the new card: {written.card}; for other grids, copy it to registry/architectures")
    if written.grid is not None:
        tell(f"before and after in a grid: ember-bench run {written.grid}")
    tell(f"the curve: {written.folder / OPTIMISED_PAGE}")
    if (logged := written.logged) is not None:
        if logged.command:
            tell(f"MLflow:  {logged.command}")
        tell(f"  run:   {logged.url}")
    if outcome.chosen and outcome.tested is None:
        raise typer.Exit(Status.STOPPED)
