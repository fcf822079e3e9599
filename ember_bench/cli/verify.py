"""`ember-bench verify`: do the results follow from the stored rows?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from ember_bench.cli._output import Status, put, put_json
from ember_bench.cli._run_options import LookIn

_SHOWN: Final = 10

Experiment = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="An experiment with results, or its folder.")
]


def verify(
    name: Experiment,
    results: LookIn = Path("results"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was compared, and what differs, as JSON.")
    ] = False,
) -> None:
    """Compute an experiment's decisions and figures again from its stored rows."""
    from ember_bench.drawing.number_format import count
    from ember_bench.errors import ConfigError
    from ember_bench.running.find_results import ResultsReader
    from ember_bench.running.verifying import verify as verified

    with ResultsReader(results) as reader:
        rows = reader.get(name).rows
        found = verified(rows)
        path = rows.path
    if not found:
        raise ConfigError(f"{path}: nothing was concluded from it yet; run its grid to the end")
    if as_json:
        put_json(found)
    else:
        for one in found:
            verdict = "the same" if one.holds else count(len(one.differences), "difference")
            put(f"{one.what}: {count(one.figures, 'value')} from the rows: {verdict}")
            for line in one.differences[:_SHOWN]:
                put(f"  {line}")
            if (more := len(one.differences) - _SHOWN) > 0:
                put(f"  and {more:,} more")
    if not all(one.holds for one in found):
        raise typer.Exit(Status.FAILURES)
