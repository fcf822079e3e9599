"""`ember-bench export`: an experiment's results as a table for other programs, or for a paper."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import typer

from ember_bench.cli._run_options import Experiment, LookIn
from ember_bench.cli._table import Columns, Datasets, Sort, Top, view_of

if TYPE_CHECKING:
    from ember_bench.report.columns import View
    from ember_bench.report.table_formats import Table
    from ember_bench.running.find_results import Named

_READ: Final = ("md", "latex")
_ARCHIVE: Final = "archive"
_RECORDS: Final = "every-eval-ever"
_WHAT: Final = (
    "cells", "suites", "trials", "scores", "calls", "nodes", "choices", "members",
)  # fmt: skip
_GRAPHS: Final = ("choices", "members")
"""Tables for which the graphs run on stored answers."""


def export(
    name: Experiment,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="[csv|jsonl|parquet|md|latex|archive|every-eval-ever]",
            help="The form of it; archive has the experiment whole, for `import archive`.",
        ),
    ] = "csv",
    what: Annotated[
        str,
        typer.Option(
            metavar="[cells|suites|trials|scores|calls|nodes|choices|members]",
            help="A row for each of these.",
        ),
    ] = "cells",
    output: Annotated[Path | None, typer.Option(help="The file to write [stdout].")] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="With calls: also what the models answered.")
    ] = False,
    results: LookIn = Path("results"),
    data_dir: Annotated[
        Path | None,
        typer.Option(help="With choices and members: where recorded data is [EMBER_BENCH_DATA]."),
    ] = None,
    columns: Columns = None,
    sort: Sort = None,
    top: Top = None,
    datasets: Datasets = None,
) -> None:
    """Write an experiment's results as a table, or whole as an archive."""
    from ember_bench.errors import ConfigError, UnknownNameError
    from ember_bench.report.table_formats import FORMATS, write_table
    from ember_bench.report.tidy import choices_table, members_table
    from ember_bench.running.find_results import ResultsReader

    formats: dict[str, Any] = {name: name for name in FORMATS}
    if form in (_ARCHIVE, _RECORDS):
        write = _archive if form == _ARCHIVE else _records
        write(name, output, results)
        return
    if form not in formats:
        raise UnknownNameError("format", form, (*formats, _ARCHIVE, _RECORDS))
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise ConfigError("parquet is not for a terminal: give --output FILE")
    view = view_of(columns, sort, top, datasets)
    _check_table(form, what, view, texts=texts)
    with ResultsReader(results) as reader, ExitStack() as stack:
        named = reader.get(name)
        if what in _GRAPHS:
            from ember_bench.running.node_choices import attributed

            of_graphs = choices_table if what == "choices" else members_table
            table = of_graphs(named.rows, attributed(named, data_dir))
        else:
            table = _table(named, form, what, texts, view, stack)
        with opened(output) as file:
            write_table(table, formats[form], file)


def _check_table(form: str, what: str, view: View, *, texts: bool) -> None:
    from ember_bench.errors import ConfigError, UnknownNameError
    from ember_bench.report.columns import USUAL

    if what not in _WHAT:
        raise UnknownNameError("table", what, _WHAT)
    if texts and what != "calls":
        raise ConfigError(f"--texts goes with --what calls, not with {what}")
    if view != USUAL and (what != "cells" or form not in _READ):
        raise ConfigError(
            "--columns, --sort, --top and --dataset choose from the table of systems: give"
            " --format md or latex"
        )


def _archive(name: str, output: Path | None, results: Path) -> None:
    from ember_bench.errors import ConfigError
    from ember_bench.running.archives import write_archive
    from ember_bench.running.find_results import ResultsReader, find_results
    from ember_bench.running.messages import say

    if output is None:
        raise ConfigError("an archive is a file: give --output FILE.zip")
    if (trials := find_results(name, results)) is None:
        raise ConfigError(ResultsReader(results).missing(name))
    with opened(output) as file:
        notes = write_archive(trials, file)
    for note in notes:
        say(f"note: {note}")
    say(f"on another machine: ember-bench import archive {output.name}")


def _records(name: str, output: Path | None, results: Path) -> None:
    from ember_bench.errors import ConfigError
    from ember_bench.files import write
    from ember_bench.models.store.stored_answers import StoredAnswers
    from ember_bench.report.every_eval_ever import records
    from ember_bench.running.find_results import ResultsReader
    from ember_bench.running.find_summary import started
    from ember_bench.running.messages import say
    from ember_bench.running.places import RESPONSES

    if output is None:
        raise ConfigError("records of Every Eval Ever are files: give --output FOLDER")
    with ResultsReader(results) as reader, ExitStack() as stack:
        named = reader.get(name)
        folder, answers = named.rows.path.parent, None
        if (folder.parent / RESPONSES).is_file():
            answers = StoredAnswers(folder.parent / RESPONSES)
            stack.callback(answers.close)
        cells = {cell.name for cell in named.cells}
        for path, content in records(named.rows, cells, answers, started(folder)):
            try:
                (output / path).parent.mkdir(parents=True, exist_ok=True)
                write(output / path, content)
            except OSError as error:
                raise ConfigError(
                    f"--output {output / path}: cannot be written: {error.strerror}"
                ) from None
    say(f"records: {output / 'data'}")


def _table(named: Named, form: str, what: Any, texts: bool, view: View, stack: ExitStack) -> Table:
    from ember_bench.report.printed import printed
    from ember_bench.report.tidy import tidy

    cells = {cell.name for cell in named.cells}
    if what == "cells" and form in _READ:
        return printed(named.rows, cells, view, ranked=form == "latex")
    answers = None
    if texts:
        from ember_bench.models.store.stored_answers import StoredAnswers
        from ember_bench.running.places import RESPONSES

        answers = StoredAnswers(named.rows.path.parent.parent / RESPONSES)
        stack.callback(answers.close)
    return tidy(named.rows, what, cells, answers)


@contextmanager
def opened(output: Path | None, option: str = "--output") -> Iterator[BinaryIO]:
    """Open a file as `files.written` does; None stands for stdout.

    Raises:
        ConfigError: if it cannot be written.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.files import written

    if output is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # The reader has closed the pipe; Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    try:
        with written(output) as file:
            yield file
    except OSError as error:
        raise ConfigError(f"{option} {output}: cannot be written: {error.strerror}") from None
