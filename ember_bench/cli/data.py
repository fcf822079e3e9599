"""`ember-bench data fetch`: a paper's recorded data from its public repositories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ember_bench.cli._group import LOOK, Command, Group, examples
from ember_bench.cli._output import put, put_json
from ember_bench.running.messages import say

data = typer.Typer(cls=Group, no_args_is_help=True, **LOOK)


@data.callback()
def _data() -> None:
    """Get recorded data."""


@data.command(
    "fetch",
    cls=Command,
    epilog=examples(
        "ember-bench data fetch zeroeval_gsm8k",
        "ember-bench data fetch chen2023_llmdrift --data-dir data",
    ),
)
def fetch(
    name: Annotated[str, typer.Argument(metavar="PAPER", help="A paper's name or folder.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Where to put it [EMBER_BENCH_DATA, else data].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the files as JSON.")] = False,
) -> None:
    """Clone a paper's repositories at their pinned commits, and repack what its cards read."""
    from ember_bench.models.recorded.data_dir import DATA_DIR_VARIABLE
    from ember_bench.models.recorded.data_dir import data_dir as usual
    from ember_bench.running.fetch import fetch as fetched
    from ember_bench.running.papers import find_paper

    paper, folder = find_paper(name), data_dir or usual() or Path("data")
    files = fetched(paper, folder)
    if as_json:
        put_json([str(path) for path in files])
    else:
        put("\n".join(map(str, files)))
    option = "" if os.environ.get(DATA_DIR_VARIABLE) == str(folder) else f" --data-dir {folder}"
    say(f"then: ember-bench reproduce {name}{option}")
