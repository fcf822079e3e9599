"""The command `ember-bench`: one file per command; each only parses, calls and prints.

Only typer is imported until a command runs, so that `--help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ember_bench import __version__
from ember_bench.cli.compare import compare
from ember_bench.cli.export import export
from ember_bench.cli.list import list_names
from ember_bench.cli.models import models
from ember_bench.cli.plan import plan
from ember_bench.cli.report import report
from ember_bench.cli.rescore import rescore
from ember_bench.cli.run import run
from ember_bench.cli.show import show
from ember_bench.cli.ui import ui

app = typer.Typer(
    name="ember-bench",
    help="Measure networks of LM calls: which one buys how much accuracy for how much money?",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Without rich, whose import costs more than all the rest of `--help`.
    rich_markup_mode=None,
)
app.command("run")(run)
app.command("plan")(plan)
app.command("list")(list_names)
app.command("show")(show)
app.command("compare")(compare)
app.command("export")(export)
app.command("report")(report)
app.command("rescore")(rescore)
app.command("ui")(ui)
app.add_typer(models, name="models")


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
    from ember_bench.errors import EmberBenchError, OutputError

    given = [*(sys.argv[1:] if arguments is None else arguments)]
    ready_streams()
    try:
        app(given, prog_name="ember-bench", obj=given)
    except OutputError as error:
        fail(error)
        sys.exit(Status.FAILURES)
    except EmberBenchError as error:
        fail(error)
        sys.exit(Status.BAD_INPUT)
