"""`ember-bench merge`: the results folders of shards as one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ember_bench.cli._output import Status, put_json, put_text, width
from ember_bench.cli._run_options import Json
from ember_bench.running.messages import say

if TYPE_CHECKING:
    from ember_bench.running.merge import MergedExperiment


def merge(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The results folder to merge into, new or not.")
    ],
    parts: Annotated[
        list[Path], typer.Argument(metavar="PART...", help="The results folders of the parts.")
    ],
    as_json: Json = False,
) -> None:
    """Merge the results folders of shards into one, and print its tables.

    Status: 0 complete; 1 complete, but some trials ended in an error; 2 bad input; 3 trials are
    missing.
    """
    from ember_bench.running.merge import merge as merge_folders

    found = merge_folders(out, *parts)
    if as_json:
        put_json([experiment.summary for experiment in found])
    for experiment in found:
        if not as_json:
            from ember_bench.report import table

            put_text(table(experiment.summary, width()))
        say(f"results: {experiment.folder / 'summary.md'}")
        if experiment.missing:
            say(f"{experiment.summary.name}: {'; '.join(experiment.missing)}")
            say(f"  to complete: {_command(experiment, out)}")
    if any(experiment.missing for experiment in found):
        raise typer.Exit(Status.STOPPED)
    if any(experiment.summary.failed for experiment in found):
        raise typer.Exit(Status.FAILURES)


def _command(experiment: MergedExperiment, out: Path) -> str:
    """Return the command that completes an experiment."""
    import shlex

    grid = experiment.grid or "GRID"
    return f"ember-bench run {shlex.join([grid, '--results', str(out)])}"
