"""`ember-bench schema`: JSON Schemas of grids and cards, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ember_bench.cli._output import put, put_json
from ember_bench.running.messages import say


def schema(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND",
            help="grid, model, dataset, suite, evaluator, architecture or signature; "
            "by default the kinds are listed.",
        ),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="YAML files of that kind: the schema is written beside them, and named in their "
            "first line, where editors look for it.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of a grid or card, for editors.

    Evaluators that are registered in the working directory's registry are part of it.
    """
    from ember_bench.errors import OutputError
    from ember_bench.registry import Cards
    from ember_bench.running.schemas import attach_schema, kinds, schema_of

    if kind is None:
        put("\n".join(kinds()))
        return
    Cards().all("evaluators")  # imports the code beside the cards
    found = schema_of(kind)
    if not files:
        put_json(found)
        return
    for file in files:
        try:
            attach_schema(kind, file)
        except OSError as error:
            raise OutputError(f"{file}: cannot write the schema: {error.strerror}") from None
        say(f"{file}: names its schema now")
