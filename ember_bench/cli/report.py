"""`ember-bench report`: an experiment's report as one HTML file, or its table for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ember_bench.cli._output import put, say

if TYPE_CHECKING:
    from ember_bench.experiment.results.attribution import ChoiceSummary
    from ember_bench.running.find_results import Named

_HTML: Final = "html"
_TABLES: Final = ("md", "csv", "parquet", "latex")
_NO_GRAPHS: Final = (
    "How well nodes choose, and votes of fewer candidates, are left out: that takes the grid as it"
    " was run with its registry and answers, or a report that was written where they are."
)


def report(
    name: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT", help="An experiment, or cells of it (EXPERIMENT/CELL)."
        ),
    ],
    results: Annotated[Path, typer.Option(help="The results folder to look in.")] = Path("results"),
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

    if form not in (_HTML, *_TABLES):
        raise UnknownNameError("format", form, (_HTML, *_TABLES))
    if form != _HTML:
        if show:
            raise ConfigError(f"--open goes with --format html, not with {form}")
        export(name, form=form, what="cells", output=output, results=results)
        return
    path = _write_html(name, results, output, data_dir, graphs=graphs, trials=trials)
    put(str(path))
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def _write_html(
    name: str,
    results: Path,
    output: Path | None,
    data_dir: Path | None,
    *,
    graphs: bool,
    trials: int | None,
) -> Path:
    from contextlib import ExitStack

    from ember_bench.cli.export import opened
    from ember_bench.models.store.response_store import StoredAnswers
    from ember_bench.report.html_contents import MOST_TRIALS, Contents
    from ember_bench.report.html_report import html_report
    from ember_bench.running.find_results import ResultsReader
    from ember_bench.running.places import RESPONSES

    with ResultsReader(results) as reader, ExitStack() as stack:
        named = reader.get(name)
        folder = named.rows.path.parent
        answers = None
        notes: list[str] = []
        choices: Mapping[str, Sequence[ChoiceSummary]] = {}
        if (folder.parent / RESPONSES).is_file():
            answers = StoredAnswers(folder.parent / RESPONSES)
            stack.callback(answers.close)
        else:
            say(f"{folder.parent / RESPONSES}: is not there, so prompts and answers are left out")
        if graphs:
            choices, notes = _choices(named, data_dir)
        contents = Contents(
            named.rows,
            {cell.name for cell in named.cells},
            answers,
            choices,
            notes,
            trials=MOST_TRIALS if trials is None else trials,
        )
        page = html_report(contents)
        path = folder / "report.html" if output is None else output
        with opened(path) as file:
            file.write(page.encode())
    return path


def _choices(
    named: Named, data_dir: Path | None
) -> tuple[Mapping[str, Sequence[ChoiceSummary]], list[str]]:
    """Return the choices of nodes by cell; or a note on why they are unknown."""
    from ember_bench.errors import EmberBenchError
    from ember_bench.running.node_choices import attributed

    try:
        return attributed(named, data_dir), []
    except EmberBenchError as error:
        reason = str(error).splitlines()[0]
        say(f"without how well nodes choose, which takes the grid: {reason}")
        return {}, [_NO_GRAPHS]
