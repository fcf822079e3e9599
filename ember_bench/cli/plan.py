"""`ember-bench plan`: the calls and cost of a grid in advance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ember_bench.cli._output import columns, put_json, put_text

if TYPE_CHECKING:
    from ember_bench.experiment.forecast.calls import Forecast


def plan(
    grid: Annotated[
        str, typer.Argument(metavar="GRID", help="A grid file, or the name of one (`list`).")
    ],
    results: Annotated[
        Path, typer.Option(help="The results folder whose stored answers count.")
    ] = Path("results"),
    data_dir: Annotated[
        Path | None, typer.Option(help="Where recorded data is [EMBER_BENCH_DATA].")
    ] = None,
    unsafe_code: Annotated[
        bool,
        typer.Option("--unsafe-code", help="Run the targets' code even without a sandbox."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Print a grid's cells, calls and cost; ask no model, write nothing."""
    found = _forecast(grid, results, data_dir, unsafe_code=unsafe_code)
    if as_json:
        put_json(found)
        return
    from ember_bench.report.forecast_table import plan_table

    put_text(plan_table(found, columns()))


def _forecast(grid: str, results: Path, data_dir: Path | None, *, unsafe_code: bool) -> Forecast:
    from contextlib import closing, nullcontext

    from ember_bench.cli._code import warn_of_unsafe_code
    from ember_bench.experiment.forecast.calls import forecast
    from ember_bench.models.model_registry import ModelRegistry
    from ember_bench.models.store.response_store import StoredAnswers
    from ember_bench.registry import Cards, default_roots
    from ember_bench.running.find_grids import find_grid
    from ember_bench.running.places import RESPONSES, use_data_dir

    if data_dir is not None:
        use_data_dir(data_dir)
    if unsafe_code:
        warn_of_unsafe_code()
    path = find_grid(grid)
    cards = Cards(default_roots(path))
    registry = ModelRegistry.from_cards(cards)
    stored = results / RESPONSES
    known = closing(StoredAnswers(stored)) if stored.is_file() else nullcontext()
    with known as answers:
        return forecast(path, cards, registry, known=answers, unsafe_code=unsafe_code)
