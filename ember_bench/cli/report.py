"""`ember-bench report`: an experiment's report as one HTML file, or its table for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ember_bench.cli._output import put
from ember_bench.cli._run_options import LookIn, Recorded
from ember_bench.cli._table import Columns, Datasets, Sort, Top, view_of

if TYPE_CHECKING:
    from ember_bench.report.columns import View

_HTML: Final = "html"
_TABLES: Final = ("md", "csv", "parquet", "latex")
_READ: Final = ("md", "latex")
_NO_VIEW: Final = (
    "--columns, --sort, --top and --dataset choose from the table of systems: give"
    " --format md or latex"
)


Reported = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        help="An experiment, cells of it (EXPERIMENT/CELL) or an MLflow run (runs:/RUN).",
    ),
]
LoggedIn = Annotated[
    str | None, typer.Option(help="With runs:/RUN: MLflow's store [RESULTS/mlflow.db].")
]
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
    name: Reported,
    results: LookIn = Path("results"),
    tracking_uri: LoggedIn = None,
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
    from ember_bench.tracking.uris import RUN_PREFIX, default_uri

    if form not in (_HTML, *_TABLES):
        raise UnknownNameError("format", form, (_HTML, *_TABLES))
    view = view_of(columns, sort, top, datasets)
    if show and form != _HTML:
        raise ConfigError(f"--open goes with --format html, not with {form}")
    if name.startswith(RUN_PREFIX):
        if trials is not None:
            raise ConfigError(f"--trials goes with an experiment's results, not with {name}")
        if form not in _READ and view != USUAL:
            raise ConfigError(_NO_VIEW)
        _logged(name, tracking_uri or default_uri(results), form, output, view)
        if show and output is not None:
            _open(output)
        return
    if tracking_uri is not None:
        raise ConfigError(f"--tracking-uri goes with {RUN_PREFIX}RUN, not with {name}")
    if form != _HTML:
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
    if view != USUAL:
        raise ConfigError(_NO_VIEW)
    with ResultsReader(results) as reader:
        named = reader.get(name)
        path = write_html_report(named, output, graphs=graphs, trials=trials, data_dir=data_dir)
    put(str(path))
    if show:
        _open(path)


def _logged(name: str, uri: str, form: str, output: Path | None, view: View) -> None:
    """Write the report that was logged with a run in MLflow, or its table of cells."""
    from ember_bench.cli.export import opened
    from ember_bench.errors import ConfigError
    from ember_bench.report.table_formats import FORMATS, write_table
    from ember_bench.running.logged_reports import logged_page, logged_table

    if form != _HTML:
        formats: dict[str, Any] = {known: known for known in FORMATS}
        table = logged_table(name, uri, view if form in _READ else None)
        with opened(output) as file:
            write_table(table, formats[form], file)
        return
    if output is None:
        raise ConfigError(f"{name}: give --output FILE for its page")
    page = logged_page(name, uri)
    with opened(output) as file:
        file.write(page)
    put(str(output))


def _open(path: Path) -> None:
    import webbrowser

    webbrowser.open(path.resolve().as_uri())
