"""`compare`, `report`, `rescore` and `export` on results of every kind."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ember_bench.experiment.lock import locked
from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

ITEMS = 12
# How many items each cell has; how the results are called.
Results = tuple[str, int]


def going_on(command: Command, sums: Workspace, stack: ExitStack) -> Results:
    """Another process holds the folder, and is in the middle of writing."""
    command("run", "grid.yaml", "--no-mlflow", "--quiet")
    stack.enter_context(locked(Path("results/trip")))
    writer = stack.enter_context(closing(sqlite3.connect("results/trip/trials.db")))
    writer.execute("DELETE FROM trials WHERE item > 5")
    writer.commit()
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM trials")  # which nobody is to see
    answers = stack.enter_context(closing(sqlite3.connect("results/responses.db")))
    answers.execute("PRAGMA wal_checkpoint")
    return "trip", 5


def partial(command: Command, sums: Workspace, stack: ExitStack) -> Results:
    """It was stopped before all trials were done."""
    sums.model("counted:a", seconds=0.01)
    sums.edit("grid.yaml", "name: trip", "name: trip\nin_flight: 1")
    sums.run(stop_after=9)
    with closing(sqlite3.connect("results/trip/trials.db")) as store:
        # Cells come on item by item: one may be an item ahead of the other.
        store.execute("DELETE FROM trials WHERE item = (SELECT max(item) FROM trials)")
        store.commit()
        (items,) = store.execute("SELECT count(DISTINCT item) FROM trials").fetchone()
    assert 0 < items < ITEMS
    return "trip", items


def of_another_machine(command: Command, sums: Workspace, stack: ExitStack) -> Results:
    """They were copied; the grid is not where it was, but among the grids here."""
    command("run", "grid.yaml", "--no-mlflow", "--quiet")
    shutil.move("results", "theirs")
    Path("experiments").mkdir()
    shutil.move("grid.yaml", "experiments/study.yaml")
    return "theirs/trip", ITEMS


def compare(command: Command, name: str) -> list[int]:
    result = command("compare", name, "--json")
    assert result.status == 0
    (pair,) = result.json["pairs"]
    return [pair["items"], pair["cell"]["items"]]


def report(command: Command, name: str) -> list[int]:
    assert command("report", name, "--output", "page.html").status == 0
    page = Path("page.html").read_text(encoding="utf-8")
    (data,) = (
        part
        for part in page.split("<script ")
        if part.startswith('type="application/json" id="data"')
    )
    trials = json.loads(data.partition(">")[2].partition("</script>")[0])["trials"]["cell"]
    assert "Shapley" in page  # the grid is at hand, and what was answered
    return [trials.count(cell) for cell in (0, 1)]


def rescore(command: Command, name: str) -> list[int]:
    asked = counted.requests()
    result = command("rescore", name, "--evaluator", "numeric_match_1_percent", "--json")
    assert (result.status, counted.requests()) == (0, asked)
    folder = Path(name if "/" in name else f"results/{name}")
    assert folder.with_name("trip.rescored").is_dir()
    return [cell["items"] for cell in result.json["cells"]]


def export(command: Command, name: str) -> list[int]:
    found = command("export", name, "--what", "trials", "--format", "jsonl")
    assert found.status == 0
    rows = [json.loads(line)["label"] for line in found.out.splitlines()]
    return [rows.count("alone"), rows.count("vote")]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.mark.parametrize("does", [compare, report, rescore, export])
@pytest.mark.parametrize("made", [going_on, partial, of_another_machine])
def test_works_with_what_is_there(
    command: Command,
    sums: Workspace,
    stack: ExitStack,
    made: Callable[[Command, Workspace, ExitStack], Results],
    does: Callable[[Command, str], list[int]],
) -> None:
    sums.sums(ITEMS)
    sums.grid(architectures=[single(label="alone"), vote(3, label="vote")])
    name, items = made(command, sums, stack)
    assert does(command, name) == [items, items]


def test_what_is_scored_elsewhere_is_compared_there(
    command: Command, sums: Workspace, stack: ExitStack
) -> None:
    sums.sums(ITEMS)
    name, _ = of_another_machine(command, sums, stack)
    result = command("rescore", name, "--evaluator", "numeric_match_1_percent")
    advice = "compare theirs/trip theirs/trip.rescored --anyway"
    assert f"ember-bench {advice}" in result.err
    assert command(*advice.split()).status == 0
    assert not Path("results").exists()
