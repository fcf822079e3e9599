"""`ember-bench plan`: the calls and cost of a grid in advance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ember_bench.cli._output import put_json, put_text, width
from ember_bench.cli._pilot import Limit, Models, Values
from ember_bench.cli._run_options import DataDir, Grid, Results, UnsafeCode

if TYPE_CHECKING:
    from ember_bench.experiment.edits import Edits
    from ember_bench.experiment.forecast.numbers import Forecast
    from ember_bench.models.model_registry import ModelRegistry
    from ember_bench.registry import Cards


def plan(
    grid: Grid,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    unsafe_code: UnsafeCode = False,
    limit: Limit = None,
    model: Models = None,
    values: Values = None,
    show_prompt: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            metavar="[N]",
            help="Print the messages of each system about N items instead (1 without a number).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Print a grid's systems, calls and cost; send no request, write nothing."""
    from ember_bench.experiment.edits import Edits

    edits = Edits.parse(limit, model or (), values or ())
    if show_prompt is not None:
        _print_prompts(grid, show_prompt, data_dir, edits, unsafe_code=unsafe_code, as_json=as_json)
        return
    found = _forecast(grid, results, data_dir, edits, unsafe_code=unsafe_code)
    if as_json:
        put_json(found)
        return
    from ember_bench.report.forecast_table import plan_table

    put_text(plan_table(found, width()))


def _print_prompts(
    grid: str,
    number: int,
    data_dir: Path | None,
    edits: Edits,
    *,
    unsafe_code: bool,
    as_json: bool,
) -> None:
    from ember_bench.experiment.forecast.rehearsal import Rehearsal
    from ember_bench.experiment.forecast.shown_prompts import show_prompts
    from ember_bench.experiment.prepare import prepare
    from ember_bench.report.prompts_text import prompts_text

    path, cards, registry = _opened(grid, data_dir, unsafe_code=unsafe_code)
    rehearsal = Rehearsal(registry, judges=True)
    experiment = prepare(path, cards, rehearsal, asks=False, unsafe_code=unsafe_code, edits=edits)
    shown = show_prompts(experiment, rehearsal, number)
    if as_json:
        put_json(shown)
    else:
        put_text(prompts_text(shown))


def _forecast(
    grid: str, results: Path, data_dir: Path | None, edits: Edits, *, unsafe_code: bool
) -> Forecast:
    from contextlib import closing, nullcontext

    import msgspec

    from ember_bench.experiment.forecast.calls import forecast
    from ember_bench.models.store.stored_answers import StoredAnswers
    from ember_bench.running.can_show import can_show
    from ember_bench.running.places import RESPONSES

    path, cards, registry = _opened(grid, data_dir, unsafe_code=unsafe_code)
    stored = results / RESPONSES
    known = closing(StoredAnswers(stored)) if stored.is_file() else nullcontext()
    with known as answers:
        found = forecast(path, cards, registry, known=answers, unsafe_code=unsafe_code, edits=edits)
    return msgspec.structs.replace(found, shows=can_show(found, results))


def _opened(
    grid: str, data_dir: Path | None, *, unsafe_code: bool
) -> tuple[Path, Cards, ModelRegistry]:
    """Return the grid's file, the registries in force and their models."""
    from ember_bench.cli._process_options import settle
    from ember_bench.models.model_registry import ModelRegistry
    from ember_bench.registry import Cards, default_roots
    from ember_bench.running.find_grids import find_grid

    settle(data_dir, unsafe_code=unsafe_code)
    path = find_grid(grid)
    cards = Cards(default_roots(path))
    return path, cards, ModelRegistry.from_cards(cards)
