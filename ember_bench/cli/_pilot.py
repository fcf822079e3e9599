"""Options that edit a grid for one run."""

from __future__ import annotations

from typing import Annotated

import typer

_PILOT = "Pilot"

Limit = Annotated[
    int | None,
    typer.Option(min=1, rich_help_panel=_PILOT, help="At most so many items of each dataset."),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="OLD=NEW",
        rich_help_panel=_PILOT,
        help="A model in place of one of the grid's.",
    ),
]
Values = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        rich_help_panel=_PILOT,
        help="A value in the grid, as in epochs=3 (YAML).",
    ),
]
