"""`ember-bench compare`: is one system, or experiment, better than another?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ember_bench.cli._output import put_json, put_text, width
from ember_bench.cli._run_options import LookIn, TrackingUri
from ember_bench.cli._table import Datasets, PairColumns, Sort, Top, view_of

if TYPE_CHECKING:
    from ember_bench.experiment.results.compared import ComparisonTable

_FLIPS: Final = 5
_FEW: Final = 3


Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...",
        help="Experiments, systems (EXPERIMENT/SYSTEM) or MLflow runs (runs:/RUN). The first "
        "argument is the baseline.",
    ),
]
Correction = Annotated[
    str,
    typer.Option(
        metavar="[maxt|holm|bh]",
        help="For several comparisons: Westfall and Young's, Holm's, Benjamini and Hochberg's.",
    ),
]
Margin = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS", help="Test also whether a system is no worse than the baseline by this."
    ),
]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Compare despite different evaluators or data.")
]
Flips = Annotated[
    int | None,
    typer.Option(
        min=0, help="List so many items won, and lost, of each [5; 0 of many comparisons]."
    ),
]
Report = Annotated[
    Path | None, typer.Option(help="Write all of it, every flip included, to this HTML file.")
]


def compare(
    names: Names,
    results: LookIn = Path("results"),
    tracking_uri: TrackingUri = None,
    correction: Correction = "maxt",
    margin: Margin = None,
    anyway: Anyway = False,
    flips: Flips = None,
    columns: PairColumns = None,
    sort: Sort = None,
    top: Top = None,
    datasets: Datasets = None,
    report: Report = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare systems on the items that both have."""
    view = view_of(columns, sort, top, datasets, pairs=True)
    listed = bool(as_json or report is not None)
    table, flips = _compared(
        names, results, tracking_uri, correction, margin, flips, anyway, listed
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

    put_text(comparison_table(table, width(), flips=flips, view=view))


def _compared(
    names: list[str],
    results: Path,
    tracking_uri: str | None,
    correction: str,
    margin: float | None,
    flips: int | None,
    anyway: bool,
    listed: bool,
) -> tuple[ComparisonTable, int]:
    """Return the comparisons, and the number of flips to print of each."""
    from ember_bench.errors import ConfigError, UnknownNameError
    from ember_bench.experiment.results.comparison import compare, pair_up
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
        found = compare(
            pairs,
            correction=known[correction],
            anyway=anyway,
            flips=listed or flips > 0,
            margin=None if margin is None else margin / 100,
        )
    return found, flips
