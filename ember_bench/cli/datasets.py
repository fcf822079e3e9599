"""`ember-bench datasets check`: can a dataset be used as it is?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ember_bench.cli._group import LOOK, Command, Group, examples
from ember_bench.cli._output import Status, put, put_json

datasets = typer.Typer(cls=Group, no_args_is_help=True, **LOOK)


@datasets.callback()
def _datasets() -> None:
    """Look after datasets."""


@datasets.command(
    "check",
    cls=Command,
    epilog=examples(
        "ember-bench datasets check arithmetic", "ember-bench datasets check sums.csv --json"
    ),
)
def check(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="Name of a dataset, its card, or a file of items (CSV, JSONL, Parquet).",
        ),
    ],
    items: Annotated[int, typer.Option(min=0, help="Number of items to show.")] = 3,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of recorded data [EMBER_BENCH_DATA].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")] = False,
) -> None:
    """Check a dataset: first items, targets, duplicates, answer formats, classes.

    Exit status 1 if there is a problem.
    """
    from ember_bench.experiment.dataset_check import check_dataset
    from ember_bench.registry import Cards

    found = check_dataset(dataset, Cards(), data_dir=data_dir, shown=items)
    if as_json:
        put_json(found)
    else:
        from ember_bench.report.dataset_text import dataset_text

        put(dataset_text(found))
    if found.problems:
        raise typer.Exit(Status.FAILURES)
