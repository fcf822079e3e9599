"""What is asked about the command is answered at once, because next to nothing is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ember_bench
from ember_bench.cli import COMMANDS
from tests.cli.conftest import Command, program

HEAVY = {
    "aiohttp", "asyncio", "datasets", "greenlet", "mlflow", "msgspec", "numpy", "openai", "orjson",
    "pydantic", "rich", "scipy", "yaml",
}  # fmt: skip
OURS = {"ember_bench", "ember_bench.cli", "ember_bench.errors"}
OURS |= {f"ember_bench.cli.{module}" for module in ("_group", "_output")}
# Messages to the user, without escape sequences and secrets.
OURS |= {f"ember_bench.{module}" for module in ("running", "running.messages", "secrets")}
OURS |= {f"ember_bench.{module}" for module in ("drawing", "drawing.text")}
SECTIONS = {
    "Run": ["new", "run", "merge", "plan", "power", "reproduce", "import", "optimise", "serve"],
    "Read": [
        "list",
        "show",
        "compare",
        "what-if",
        "gate",
        "export",
        "report",
        "plot",
        "verify",
        "rescore",
        "view",
        "ui",
    ],
    "Maintain": ["schema", "models", "datasets", "data"],
}
NAMES = [name for names in SECTIONS.values() for name in names]


@pytest.mark.parametrize(
    ("arguments", "ours"),
    [
        ([], set()),
        (["--help"], set()),
        (["-h"], set()),
        (["--version"], set()),
        (["rnu"], set()),
        (
            ["run", "--help"],
            {f"ember_bench.cli.{m}" for m in ("run", "_pilot", "_run_options", "_table")},
        ),
        (["models", "check", "--help"], {"ember_bench.cli.models"}),
    ],
)
def test_help_imports_nothing_that_takes_time(arguments: list[str], ours: set[str]) -> None:
    program = (
        "import sys; from ember_bench.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: print('loaded', *sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(ran.stdout.rpartition("loaded")[2].split())
    assert "typer" in loaded  # the command has run
    assert not loaded & HEAVY
    assert {module for module in loaded if module.startswith("ember_bench")} == OURS | ours


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["list"], {"numpy", "openai", "ember_bench.experiment.runner"}),  # each card is checked
        (["show", "ensemble_vote"], {"numpy", "openai", "ember_bench.experiment.runner"}),
        (["plan", "quickstart"], {"numpy", "openai", "ember_bench.tracking"}),
    ],
)
def test_a_command_imports_nothing_of_what_only_a_run_needs(
    arguments: list[str], heavy: set[str], tmp_path: Path
) -> None:
    program = (
        "import sys; from ember_bench.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: print('loaded', *sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = set(ran.stderr.rpartition("loaded")[2].split())
    assert ran.stdout
    assert "yaml" in loaded  # the command has run
    assert not loaded & (heavy | {"datasets", "mlflow", "scipy"})


@pytest.mark.parametrize("name", NAMES)
def test_a_commands_line_in_the_list_is_what_its_own_help_begins_with(
    command: Command, name: str
) -> None:
    text = command("--help").out
    own = " ".join(command(name, "--help").out.split("\n\n")[1].split())
    assert own == COMMANDS[name].summary
    # All of it, however narrow the terminal.
    assert f" {name} {own}" in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["rnu"], "run"), (["modles", "check"], "models"), (["models", "chek"], "check")],
)
def test_a_mistyped_command_is_told_what_was_meant(
    command: Command, arguments: list[str], meant: str
) -> None:
    assert f"Did you mean '{meant}'?" in command(*arguments).err


def test_help_names_every_command(command: Command) -> None:
    result = command("--help")
    assert result.status == 0
    for section, names in SECTIONS.items():
        listed = result.out.partition(f"\n{section}:\n")[2].partition("\n\n")[0].splitlines()
        assert [line.split()[0] for line in listed if line[2] != " "] == names


def test_alone_it_says_where_to_start(command: Command) -> None:
    result = command()
    assert result.status == 0
    for line in ("ember-bench run quickstart", "ember-bench new dataset FILE", "--help"):
        assert line in result.out


@pytest.mark.parametrize("arguments", [[name] for name in NAMES] + [["new", "dataset"]])
def test_short_help_is_the_same_and_ends_with_examples(
    command: Command, arguments: list[str]
) -> None:
    text = command(*arguments, "-h").out
    assert text == command(*arguments, "--help").out
    examples = text.partition("Examples:\n")[2].splitlines()
    assert examples
    assert all(line.startswith("    ember-bench " + arguments[0]) for line in examples)


def test_options_are_grouped_and_help_is_the_last(command: Command) -> None:
    text = command("run", "-h").out
    places = [text.index(f"\n{title}:\n") for title in ("Models and money", "Output", "Options")]
    assert places == sorted(places)
    assert text.index("--budget-usd") < text.index("Output:")


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        (["export"], "[csv|jsonl|parquet|md|latex|archive|every-eval-ever]"),
        (["report"], "[html|md|csv|parquet|latex]"),
        (["compare"], "[maxt|holm|bh]"),
    ],
)
def test_choices_are_shown(command: Command, arguments: list[str], choices: str) -> None:
    assert choices in command(*arguments, "-h").out


def test_completion_can_be_installed_and_completes_commands_and_options(tmp_path: Path) -> None:
    assert "--install-completion" in completed("", tmp_path, help_text=True)
    found = {*completed("ember-bench r", tmp_path).split()}
    assert found == {"run", "report", "reproduce", "rescore"}
    assert "--budget-usd" in completed("ember-bench run --b", tmp_path)


def completed(line: str, folder: Path, *, help_text: bool = False) -> str:
    """Return what bash is offered at the end of a command line."""
    shell = {
        "_EMBER_BENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    return program(
        *(["-h"] if help_text else []), cwd=folder, **({} if help_text else shell)
    ).stdout


@pytest.mark.parametrize("kind", ["model", "models", "experiment", "experiments"])
def test_kinds_are_singular_or_plural(command: Command, kind: str) -> None:
    assert command("list", kind).out == command("list", f"{kind.removesuffix('s')}s").out
    assert command("list", kind).status == 0


def test_version(command: Command) -> None:
    assert command("--version").out == f"ember-bench {ember_bench.__version__}\n"


@pytest.mark.parametrize("arguments", [["rnu"], ["run"], ["run", "x", "--offlin"]])
def test_a_wrong_command_line_is_bad_input(command: Command, arguments: list[str]) -> None:
    result = command(*arguments)
    assert result.status == 2
    assert "Error:" in result.err
    assert not result.out
