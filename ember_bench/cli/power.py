"""`ember-bench power`: which differences a study can show, and how many items one needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ember_bench.cli._output import put_json, put_text, width
from ember_bench.cli._run_options import DataDir, LookIn

if TYPE_CHECKING:
    from ember_bench.decisions.planning import PowerPlan

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="An experiment with results (a pilot, say), or a grid of simulated models.",
    ),
]
Difference = Annotated[
    float | None,
    typer.Option(metavar="POINTS", help="How many items show a difference of so many points?"),
]
Items = Annotated[
    int | None, typer.Option(min=2, help="So many items of each dataset [those of its grid].")
]
Epochs = Annotated[
    int | None, typer.Option(min=1, max=10_000, help="So many epochs of each [its grid's].")
]
Power = Annotated[
    float, typer.Option(min=0.01, max=0.999, help="Probability to find a difference.")
]


def power(
    name: Name,
    difference: Difference = None,
    items: Items = None,
    epochs: Epochs = None,
    power: Power = 0.8,
    results: LookIn = Path("results"),
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Tell which differences a study can show, from a pilot or simulated models."""
    from ember_bench.errors import ConfigError
    from ember_bench.running.places import use_data_dir

    if difference is not None and not 0 < difference <= 100:
        raise ConfigError(f"--difference must be over 0 and at most 100 points, not {difference:g}")
    if data_dir is not None:
        use_data_dir(data_dir)
    found = _plan(name, results, difference, items, epochs, power)
    if as_json:
        put_json(found)
        return
    from ember_bench.report.power_text import power_text

    put_text(power_text(found, width()))


def _plan(
    name: str,
    results: Path,
    difference: float | None,
    items: int | None,
    epochs: int | None,
    power: float,
) -> PowerPlan:
    from ember_bench.decisions.planning import plan_power
    from ember_bench.running.measuring import measured_rows

    with measured_rows(name, results) as measured:
        planned = measured.items
        if items is not None:
            planned = dict.fromkeys(planned, items)
        return plan_power(
            measured.rows,
            items=planned,
            epochs=epochs or measured.epochs,
            power=power,
            difference=None if difference is None else difference / 100,
            source=measured.source,
        )
