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

_RUN: Final = "Run"
_READ: Final = "Read"
_MAINTAIN: Final = "Maintain"

COMMANDS: Final = {
    "new": Later(
        "new:new",
        "Write a study, a card, or code of your own from a template.",
        _RUN,
        (
            "ember-bench new dataset sums.csv --yes",
            "ember-bench new study pilot --dataset sums --model simulated:small",
            "ember-bench new model openai:mine --base-url http://127.0.0.1:8000/v1",
        ),
    ),
    "run": Later(
        "run:run",
        "Run a grid, or what is missing of it, and print its table of systems.",
        _RUN,
        (
            "ember-bench run quickstart",
            "ember-bench run pilot.yaml --budget-usd 2",
            "ember-bench run pilot.yaml --limit 20 --sort accuracy --top 5",
            "ember-bench run pilot.yaml --offline --json",
            "ember-bench run pilot.yaml --shard 3/8 --results part-3",
        ),
    ),
    "merge": Later(
        "merge:merge",
        "Merge the results folders of shards into one, and print its tables.",
        _RUN,
        (
            "ember-bench merge merged part-1 part-2",
            "ember-bench merge merged parts/*",
        ),
    ),
    "plan": Later(
        "plan:plan",
        "Print a grid's systems, calls and cost; send no request, write nothing.",
        _RUN,
        (
            "ember-bench plan quickstart",
            "ember-bench plan pilot.yaml --json",
            "ember-bench plan pilot.yaml --show-prompt 3",
        ),
        alone={"--show-prompt": 1},
    ),
    "power": Later(
        "power:power",
        "Tell which differences a study can show, from a pilot or simulated models.",
        _RUN,
        (
            "ember-bench power quickstart --difference 2",
            "ember-bench power pilot.yaml --items 500 --epochs 2",
        ),
    ),
    "reproduce": Later(
        "reproduce:reproduce",
        "Run a paper's grids, and compare its published numbers with what comes out.",
        _RUN,
        (
            "ember-bench reproduce chen2024_more_calls",
            "ember-bench reproduce zeroeval_gsm8k --data-dir data --whole",
            "ember-bench reproduce all --json",
        ),
    ),
    "import": Later(
        "import_:import_",
        "Take the results of another tool, or of another machine.",
        _RUN,
        (
            "ember-bench import completions answers.csv --yes",
            "ember-bench import lm-eval out/ --name my_tasks",
            "ember-bench import inspect logs/2026-11-30_sums.eval",
            "ember-bench import promptfoo results.json --scorer score",
        ),
    ),
    "optimise": Later(
        "optimise:optimise",
        "Word a system's prompts better, and test them on items not used before.",
        _RUN,
        (
            "ember-bench optimise pilot.yaml --with gepa --budget-usd 5",
            "ember-bench optimise pilot.yaml --with mipro --cell vote --reflect openai:o3",
            "ember-bench optimise pilot.yaml --with bootstrap_few_shot --demonstrations 8",
        ),
    ),
    "list": Later(
        "list:list_names",
        "Print names and what they stand for.",
        _READ,
        ("ember-bench list", "ember-bench list architectures"),
    ),
    "show": Later(
        "show:show",
        "Print an experiment's table again, or what a card says.",
        _READ,
        (
            "ember-bench show quickstart",
            "ember-bench show quickstart --columns accuracy,cost,p95 --sort cost",
            "ember-bench show vote",
            "ember-bench show archon --svg archon.svg",
        ),
    ),
    "compare": Later(
        "compare:compare",
        "Compare systems on the items that both have.",
        _READ,
        (
            "ember-bench compare quickstart",
            "ember-bench compare quickstart --dataset arithmetic --sort difference --top 3",
            "ember-bench compare before after --report changes.html",
        ),
    ),
    "what-if": Later(
        "what_if:what_if",
        "Evaluate votes, cascades and choices of systems that were run; make no call.",
        _READ,
        (
            "ember-bench what-if quickstart",
            'ember-bench what-if pilot --try "vote: small alone; medium alone; large alone"',
            "ember-bench what-if new.yaml",
            'ember-bench what-if pilot --try "cascade: small alone; medium alone > large alone"',
        ),
    ),
    "gate": Later(
        "gate:gate",
        "Exit with 1 unless results keep rules, compared with a baseline.",
        _READ,
        (
            'ember-bench gate after --baseline before --rule "no worse than 1 point, 95 %"',
            'ember-bench gate after --baseline main/summary.json --rule "cost/item at most +5 %"',
            'ember-bench gate after --rule "vote of 9: accuracy at least 85 %, 95 %"',
        ),
    ),
    "export": Later(
        "export:export",
        "Write an experiment's results as a table, or whole as an archive.",
        _READ,
        (
            "ember-bench export quickstart --what trials --output trials.csv",
            "ember-bench export quickstart --format archive --output quickstart.zip",
            "ember-bench export quickstart --format latex --columns accuracy,cost,result",
        ),
    ),
    "report": Later(
        "report:report",
        "Write an experiment's report: one HTML file, which needs no network.",
        _READ,
        ("ember-bench report quickstart --open", "ember-bench report quickstart --format md"),
    ),
    "plot": Later(
        "plot:plot",
        "Draw a figure for a paper or a talk: PDF, SVG or PNG, with its data as CSV.",
        _READ,
        (
            "ember-bench plot front quickstart --output front.pdf --width two",
            "ember-bench plot differences quickstart --dataset arithmetic -o differences.svg",
        ),
    ),
    "verify": Later(
        "verify:verify",
        "Compute an experiment's decisions and figures again from its stored rows.",
        _READ,
        ("ember-bench verify quickstart", "ember-bench verify results/quickstart --json"),
    ),
    "rescore": Later(
        "rescore:rescore",
        "Score stored answers again; ask no model but judges, and leave the old results.",
        _READ,
        (
            "ember-bench rescore quickstart",
            "ember-bench rescore quickstart --evaluator arithmetic=numeric_match_1_percent",
        ),
    ),
    "view": Later(
        "view:view",
        "Show runs in the browser while they go on, until Ctrl-C.",
        _READ,
        ("ember-bench view", "ember-bench view results --open"),
    ),
    "ui": Later(
        "ui:ui",
        "Open MLflow on the runs of a results folder, until Ctrl-C.",
        _READ,
        ("ember-bench ui", "ember-bench ui --results results --port 5001"),
    ),
    "serve": Later(
        "serve:serve",
        "Serve networks as OpenAI-compatible models, until Ctrl-C.",
        _RUN,
        (
            "ember-bench serve vote --set model=openai:gpt-4o-mini --set k=5",
            "ember-bench serve 'quickstart/small, vote of 5' --port 8001",
        ),
    ),
    "schema": Later(
        "schema:schema",
        "Print the JSON Schema of a grid or card, for editors.",
        _MAINTAIN,
        ("ember-bench schema dataset", "ember-bench schema grid pilot.yaml"),
    ),
    "models": Later(
        "models:models", "Look after model cards.", _MAINTAIN, ("ember-bench models check",)
    ),
    "datasets": Later(
        "datasets:datasets",
        "Look after datasets.",
        _MAINTAIN,
        ("ember-bench datasets check arithmetic", "ember-bench datasets check sums.csv --json"),
    ),
    "data": Later(
        "data:data",
        "Get recorded data.",
        _MAINTAIN,
        ("ember-bench data fetch chen2023_llmdrift --data-dir data",),
    ),
}
_START: Final = """\
Measure networks of LM calls: which one buys how much accuracy for how much money?

A first experiment, without a key or a network:

  ember-bench run quickstart
  ember-bench report quickstart --open

A study of your own, from a file of questions and answers (CSV, JSONL, Parquet):

  ember-bench new dataset FILE
  ember-bench new study NAME
  ember-bench plan NAME
  ember-bench run NAME

All commands: ember-bench --help"""


class _Commands(LazyGroup):
    commands_by_name = COMMANDS


app = typer.Typer(
    name="ember-bench",
    cls=_Commands,
    help="Measure networks of LM calls: which one buys how much accuracy for how much money?",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    **{**LOOK, "add_completion": True},
)
announce(app, COMMANDS)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ember-bench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    del version
    if context.invoked_subcommand is None:
        typer.echo(_START)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status.

    Status: 0 all done; 1 some trials failed, the log was not delivered, the results could not be
    printed, prices have drifted, or results do not follow from their rows; 2 bad input, nothing was
    started; 3 stopped early.
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
