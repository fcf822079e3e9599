"""`ember-bench compare`: is one cell, or experiment, better than another?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from ember_bench.cli._output import columns, put_json, put_text

_FLIPS: Final = 5
_FEW: Final = 3


def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME",
            help="Experiments, cells (EXPERIMENT/CELL) or MLflow runs (runs:/RUN); the first one "
            "is the baseline.",
        ),
    ],
    results: Annotated[Path, typer.Option(help="The results folder to look in.")] = Path("results"),
    tracking_uri: Annotated[
        str | None, typer.Option(help="MLflow's store [RESULTS/mlflow.db].")
    ] = None,
    correction: Annotated[
        str,
        typer.Option(
            metavar="[maxt|holm|bh]",
            help="For many comparisons: Westfall and Young's, Holm's, Benjamini and Hochberg's.",
        ),
    ] = "maxt",
    margin: Annotated[
        float | None,
        typer.Option(
            help="Test also whether a cell is no worse than the baseline by this [points]."
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Compare despite different evaluators or data.")
    ] = False,
    flips: Annotated[
        int | None,
        typer.Option(
            min=0, help="How many items won, and lost, to list of each [5; 0 of many comparisons]."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write all of it, every flip included, to this HTML file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare cells on the items that both have."""
    from ember_bench.errors import ConfigError, UnknownNameError
    from ember_bench.experiment.results import comparison
    from ember_bench.experiment.results.comparison import pair_up
    from ember_bench.experiment.results.summary import CORRECTIONS
    from ember_bench.running.find_results import ResultsReader, find_group

    known = {name: name for name in CORRECTIONS}
    if correction not in known:
        raise UnknownNameError("correction", correction, known)
    if margin is not None and not 0 < margin <= 100:
        raise ConfigError(f"--margin must be over 0 and at most 100 points, not {margin:g}")
    with ResultsReader(results) as reader:
        pairs = pair_up([find_group(name, reader, tracking_uri) for name in names])
        if flips is None:
            flips = _FLIPS if len(pairs) <= _FEW else 0
        listed = bool(flips or as_json or report is not None)
        table = comparison.compare(
            pairs,
            correction=known[correction],
            anyway=anyway,
            flips=listed,
            margin=None if margin is None else margin / 100,
        )
    if report is not None:
        from ember_bench.cli.export import opened
        from ember_bench.report.html_compared import html_comparison

        with opened(report, "--report") as file:
            file.write(html_comparison(table).encode())
    if as_json:
        put_json(table)
        return
    from ember_bench.report.comparison_table import comparison_table

    put_text(comparison_table(table, columns(), flips=flips))
