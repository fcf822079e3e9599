"""What is asked about the command is answered at once, because next to nothing is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ember_bench
from ember_bench.cli import COMMANDS
from tests.cli.conftest import Command

HEAVY = {
    "aiohttp", "asyncio", "datasets", "greenlet", "mlflow", "msgspec", "numpy", "openai", "orjson",
    "pydantic", "rich", "scipy", "yaml",
}  # fmt: skip
OURS = {"ember_bench", "ember_bench.cli", "ember_bench.errors"}
OURS |= {f"ember_bench.cli.{module}" for module in ("_group", "_output")}
NAMES = [
    "run", "plan", "list", "show", "compare", "export", "report", "rescore", "ui", "schema",
    "models",
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "ours"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["rnu"], set()),
        (["run", "--help"], {"ember_bench.cli.run", "ember_bench.cli._pilot"}),
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
        (["list"], {"numpy", "asyncio", "openai", "ember_bench.models"}),
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
    lines = command("--help").out.partition("Commands:\n")[2].splitlines()
    (line,) = (line.split(maxsplit=1)[1] for line in lines if line.startswith(f"  {name} "))
    own = " ".join(command(name, "--help").out.split("\n\n")[1].split())
    assert own.startswith(line.removesuffix("..."))
    assert own == COMMANDS[name].summary  # all of it, however wide the terminal


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
    listed = result.out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == NAMES


def test_version(command: Command) -> None:
    assert command("--version").out == f"ember-bench {ember_bench.__version__}\n"


@pytest.mark.parametrize("arguments", [["rnu"], ["run"], ["run", "x", "--offlin"]])
def test_a_wrong_command_line_is_bad_input(command: Command, arguments: list[str]) -> None:
    result = command(*arguments)
    assert result.status == 2
    assert "Error:" in result.err
    assert not result.out
