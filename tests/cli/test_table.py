"""The options that choose from the table of systems, the same wherever it is printed."""

from __future__ import annotations

import pytest

from ember_bench.cli import _table
from ember_bench.drawing.number_format import Unit
from ember_bench.report.comparison_table import comparison_columns
from ember_bench.report.system_columns import system_columns
from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single, vote


@pytest.fixture
def ran(command: Command, sums: Workspace) -> Command:
    """The command after a run of three systems on two datasets."""
    sums.sums(4, "more")
    sums.grid(datasets=["sums", "more"], architectures=[single(), vote([3, 5])])
    assert command("run", "grid.yaml", "--no-mlflow", "--quiet").status == 0
    return command


def first_table(text: str) -> list[str]:
    return text.partition("\n\n")[0].splitlines()


@pytest.mark.parametrize(
    "command_line",
    [
        ("run", "grid.yaml", "--no-mlflow", "--quiet"),
        ("show", "trip"),
        ("rescore", "trip", "--quiet"),
    ],
)
def test_rows_and_columns_are_chosen(ran: Command, command_line: tuple[str, ...]) -> None:
    chosen = ("--columns", "cost,result", "--sort", "cost", "--top", "2", "--dataset", "more")
    result = ran(*command_line, *chosen)
    title, heading, *rows = first_table(result.out)
    assert title.startswith("more: 4 items")
    assert heading.split() == ["system", "$/1,000", "result"]
    assert [row.split()[0] for row in rows] == ["single", "vote", "1"]
    assert rows[-1] == "1 more system"
    assert "sums:" not in result.out


@pytest.mark.parametrize("command_line", [("export", "trip"), ("report", "trip")])
def test_tables_for_papers_too(ran: Command, command_line: tuple[str, ...]) -> None:
    chosen = ("--columns", "accuracy", "--dataset", "more", "--top", "1")
    lines = ran(*command_line, "--format", "md", *chosen).out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| more | single |")
    assert "give --format md or latex" in ran(*command_line, *chosen).err


def test_comparisons_too(ran: Command) -> None:
    chosen = ("--columns", "won,p", "--sort", "won", "--top", "1", "--dataset", "more")
    lines = first_table(ran("compare", "trip", *chosen).out)
    assert lines[0].startswith("more: against single")
    assert lines[1].split() == ["system", "won", "adj.", "p"]
    assert len(lines) == 4  # with the baseline


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--columns", "costs", "unknown column 'costs'; did you mean 'cost'"),
        ("--sort", "acuracy", "unknown column to sort by 'acuracy'; did you mean 'accuracy'"),
        ("--dataset", "sum", "unknown dataset 'sum'; did you mean 'sums'"),
        ("--by", "item", "--by: expected category (found 'item')"),
    ],
)
def test_what_there_is_not_is_refused_before_a_call(
    command: Command, sums: Workspace, option: str, value: str, message: str
) -> None:
    result = command("run", "grid.yaml", "--no-mlflow", option, value)
    assert (result.status, counted.requests()) == (2, {})
    assert message in result.err


def test_the_help_names_every_column(command: Command) -> None:
    text = " ".join(command("show", "--help").out.split())
    assert all(f" {c.name}" in text for c in system_columns(0.95, Unit(1)) if not c.along)
    text = " ".join(command("compare", "--help").out.split())
    assert all(f" {c.name}" in text for c in comparison_columns(0.95) if not c.along)
    assert _table.view_of(None, None, None, None).columns == ()


def test_a_width_that_is_asked_for_counts_without_a_terminal(
    ran: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, ran("show", "trip").out.splitlines())) <= 80
