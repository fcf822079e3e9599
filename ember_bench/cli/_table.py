"""Options that choose the rows and columns of a table of systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ember_bench.report.columns import View

_TABLE = "Table"

Columns = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_TABLE,
        metavar="NAME,...",
        help="Columns: accuracy, items, cost, cost_interval, correct (cost per correct answer), "
        "correct_interval, latency, p95, new (calls), reused, paid, difference, p (adjusted), "
        "result, rank.",
    ),
]
PairColumns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        rich_help_panel=_TABLE,
        metavar="NAME,...",
        help="Columns: accuracy, baseline, difference, items, won, lost, result, p (adjusted), "
        "raw_p, cost, cost_interval, best, rank.",
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_TABLE, metavar="NAME", help="Sort by this column, the best first."
    ),
]
Top = Annotated[
    int | None,
    typer.Option(
        min=1, rich_help_panel=_TABLE, metavar="N", help="Show the first N systems of each dataset."
    ),
]
Datasets = Annotated[
    list[str] | None,
    typer.Option(
        "--dataset",
        rich_help_panel=_TABLE,
        metavar="NAME",
        help="Show this dataset only; again for another.",
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_TABLE, metavar="category", help="Show the accuracy by category, too."
    ),
]


def view_of(
    columns: str | None,
    sort: str | None,
    top: int | None,
    datasets: Sequence[str] | None,
    by: str | None = None,
    *,
    pairs: bool = False,
) -> View:
    """Return the choice that these options make, of systems or of pairs of them.

    Raises:
        UnknownNameError: if there is no such column.
        ConfigError: if `by` is not the category.
    """
    from ember_bench.drawing.number_format import Unit
    from ember_bench.report.columns import View
    from ember_bench.report.comparison_table import comparison_columns
    from ember_bench.report.system_columns import system_columns

    names = tuple(name.strip() for name in (columns or "").split(",") if name.strip())
    view = View(names, sort, top, tuple(datasets or ()), by)
    if pairs:
        view.check(comparison_columns(1.0))
    else:
        view.check(system_columns(1.0, Unit(1)))
    return view
