"""`ember-bench report`: an experiment's report as one HTML file, or its table for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from ember_bench.cli._output import put
from ember_bench.cli._run_options import Experiment, LookIn, Recorded
from ember_bench.cli._table import Columns, Datasets, Sort, Top, view_of

_HTML: Final = "html"
_TABLES: Final = ("md", "csv", "parquet", "latex")


Output = Annotated[
    Path | None,
    typer.Option(help="The file to write [report.html beside the results; tables: stdout]."),
]
Form = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="[html|md|csv|parquet|latex]",
        help="A page, or the table of systems in another form.",
    ),
]
Graphs = Annotated[
    bool,
    typer.Option(help="Run the graphs on stored answers, if the grid is there: how nodes choose."),
]
Trials = Annotated[
    int | None,
    typer.Option(
        min=0, help="How many trials the page lists at most; 0 for all [20,000: first items]."
    ),
]


def report(
    name: Experiment,
    results: LookIn = Path("results"),
    output: Output = None,
    form: Form = _HTML,
    graphs: Graphs = True,
    trials: Trials = None,
    data_dir: Recorded = None,
    show: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    columns: Columns = None,
    sort: Sort = None,
    top: Top = None,
    datasets: Datasets = None,
) -> None:
    """Write an experiment's report: one HTML file, which needs no network."""
    from ember_bench.cli.export import export
    from ember_bench.errors import ConfigError, UnknownNameError
    from ember_bench.report.columns import USUAL
    from ember_bench.running.find_results import ResultsReader
    from ember_bench.running.html_reports import write_html_report

    if form not in (_HTML, *_TABLES):
        raise UnknownNameError("format", form, (_HTML, *_TABLES))
    if form != _HTML:
        if show:
            raise ConfigError(f"--open goes with --format html, not with {form}")
        export(
            name,
            form=form,
            output=output,
            results=results,
            columns=columns,
            sort=sort,
            top=top,
            datasets=datasets,
        )
        return
    if view_of(columns, sort, top, datasets) != USUAL:
        raise ConfigError(
            "--columns, --sort, --top and --dataset choose from the table of systems: give"
            " --format md or latex"
        )
    with ResultsReader(results) as reader:
        named = reader.get(name)
        path = write_html_report(named, output, graphs=graphs, trials=trials, data_dir=data_dir)
    put(str(path))
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
