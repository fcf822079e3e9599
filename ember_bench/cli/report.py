"""`ember-bench report`: an experiment's report as one HTML file, or its table for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ember_bench.cli._output import put

_HTML: Final = "html"
_TABLES: Final = ("md", "csv", "parquet", "latex")
_READ: Final = ("md", "latex")


def report(
    name: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT",
            help="An experiment, cells of it (EXPERIMENT/CELL) or an MLflow run (runs:/RUN).",
        ),
    ],
    results: Annotated[Path, typer.Option(help="The results folder to look in.")] = Path("results"),
    tracking_uri: Annotated[
        str | None, typer.Option(help="With runs:/RUN: MLflow's store [RESULTS/mlflow.db].")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write [report.html beside the results; tables: stdout]."),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="[html|md|csv|parquet|latex]",
            help="A page, or the table of cells in another form.",
        ),
    ] = _HTML,
    graphs: Annotated[
        bool,
        typer.Option(
            help="Run the graphs on stored answers, if the grid is there: how nodes choose."
        ),
    ] = True,
    trials: Annotated[
        int | None,
        typer.Option(
            min=0, help="How many trials the page lists at most; 0 for all [20,000: first items]."
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where recorded data is [EMBER_BENCH_DATA].")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Write an experiment's report: one HTML file, which needs no network."""
    from ember_bench.cli.export import export
    from ember_bench.errors import ConfigError, UnknownNameError
    from ember_bench.running.find_results import ResultsReader
    from ember_bench.running.html_reports import write_html_report
    from ember_bench.tracking.uris import RUN_PREFIX, default_uri

    if form not in (_HTML, *_TABLES):
        raise UnknownNameError("format", form, (_HTML, *_TABLES))
    if show and form != _HTML:
        raise ConfigError(f"--open goes with --format html, not with {form}")
    if name.startswith(RUN_PREFIX):
        if trials is not None:
            raise ConfigError(f"--trials goes with an experiment's results, not with {name}")
        _logged(name, tracking_uri or default_uri(results), form, output)
        if show and output is not None:
            _open(output)
        return
    if tracking_uri is not None:
        raise ConfigError(f"--tracking-uri goes with {RUN_PREFIX}RUN, not with {name}")
    if form != _HTML:
        export(name, form=form, what="cells", output=output, results=results)
        return
    with ResultsReader(results) as reader:
        named = reader.get(name)
        path = write_html_report(named, output, graphs=graphs, trials=trials, data_dir=data_dir)
    put(str(path))
    if show:
        _open(path)


def _logged(name: str, uri: str, form: str, output: Path | None) -> None:
    """Write the report that was logged with a run in MLflow, or its table of cells."""
    from ember_bench.cli.export import opened
    from ember_bench.errors import ConfigError
    from ember_bench.report.table_formats import FORMATS, write_table
    from ember_bench.running.logged_reports import logged_page, logged_table

    if form != _HTML:
        formats: dict[str, Any] = {known: known for known in FORMATS}
        table = logged_table(name, uri, "printed" if form in _READ else "tidy")
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
