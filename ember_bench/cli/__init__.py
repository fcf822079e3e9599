"""The command `ember-bench`: one file per command; each only parses, calls and prints.

A command is imported when it is run, and nothing but typer before, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from ember_bench import __version__
from ember_bench.cli._group import LOOK, Later, LazyGroup, announce

COMMANDS: Final = {
    "run": Later("run:run", "Run a grid, or what is missing of it, and print its table of cells."),
    "plan": Later(
        "plan:plan",
        "Print a grid's cells, calls and cost; ask no model, write nothing.",
        alone={"--show-prompt": 1},
    ),
    "list": Later("list:list_names", "Print names and what they stand for."),
    "show": Later("show:show", "Print an experiment's table again, or what a card says."),
    "compare": Later("compare:compare", "Compare cells on the items that both have."),
    "export": Later("export:export", "Write an experiment's results as a table."),
    "report": Later(
        "report:report", "Write an experiment's report: one HTML file, which needs no network."
    ),
    "rescore": Later(
        "rescore:rescore",
        "Score what is stored of an experiment again; asks no model, and changes no results.",
    ),
    "ui": Later("ui:ui", "Open MLflow on the runs of a results folder, until Ctrl-C."),
    "schema": Later("schema:schema", "Print the JSON Schema of a grid or card, for editors."),
    "models": Later("models:models", "Look after model cards."),
}


class _Commands(LazyGroup):
    commands_by_name = COMMANDS


app = typer.Typer(
    name="ember-bench",
    cls=_Commands,
    help="Measure networks of LM calls: which one buys how much accuracy for how much money?",
    no_args_is_help=True,
    **LOOK,
)
announce(app, COMMANDS)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ember-bench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    del version


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status.

    Status: 0 all done; 1 some trials failed, the log was not delivered, the results could not be
    printed, or prices have drifted; 2 bad input, nothing was started; 3 stopped early.
    """
    from ember_bench.cli._output import Status, fail, ready_streams
    from ember_bench.errors import ConfigError, EmberBenchError, OutputError

    given = [*(sys.argv[1:] if arguments is None else arguments)]
    ready_streams()
    try:
        os.getcwd()
    except OSError as error:
        fail(ConfigError(f"the working directory cannot be used: {error.strerror}"))
        sys.exit(Status.BAD_INPUT)
    try:
        app(given, prog_name="ember-bench", obj=given)
    except OutputError as error:
        fail(error)
        sys.exit(Status.FAILURES)
    except EmberBenchError as error:
        fail(error)
        sys.exit(Status.BAD_INPUT)
