"""`ember-bench list`: the names for use in a grid, and the grids."""

from __future__ import annotations

from typing import Annotated

import typer

from ember_bench.cli._output import put_json, put_text, width


def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND",
            help="models, datasets, suites, evaluators, architectures, signatures or experiments; "
            "by default all.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the names as JSON.")] = False,
) -> None:
    """Print names and what they stand for."""
    from ember_bench.registry import Cards
    from ember_bench.running.find_names import names_of

    found = names_of(kind, Cards())
    if as_json:
        put_json(found)
        return
    from ember_bench.report.name_table import names_table

    put_text(names_table(found, width()))
