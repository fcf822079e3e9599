"""`ember-bench power`, and what `plan` says a grid can show."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single

RUN = ("run", "grid.yaml", "--no-mlflow", "--quiet")


@pytest.fixture
def two(here: Workspace) -> Workspace:
    here.sums(100)
    here.model("counted:a", right=0.9)
    here.model("counted:b", right=0.5)
    here.grid(architectures=[single(["counted:a", "counted:b"])])
    return here


@pytest.mark.slow
def test_a_pilot_tells_what_the_whole_grid_can_show(command: Command, two: Workspace) -> None:
    command(*RUN, "--limit", "40")
    asked = sum(counted.requests().values())
    found = command("power", "grid.yaml", "--difference", "3", "--json").json
    assert found["items"] == {"sums": 100}
    (comparison,) = found["comparisons"]
    assert comparison["items"] == 40
    assert 0 < comparison["shows"] < 1
    assert comparison["needs"] > 100
    shown = command("power", "trip-pilot", "--difference", "3").out
    assert "3 points need" in shown
    assert "sums, 40 items: differences of" in shown
    planned = " ".join(command("plan", "grid.yaml").out.split())
    assert "What it can show, measured on the rows of trip-pilot: sums, 100 items" in planned
    assert sum(counted.requests().values()) == asked


@pytest.mark.slow
def test_simulated_models_are_measured_by_running_them(command: Command, here: Workspace) -> None:
    found = command("power", "quickstart", "--json").json
    assert found["simulated"]
    assert len(found["comparisons"]) == 20
    assert not (here.root / "results").exists()


def test_without_rows_a_plan_says_what_items_show_if_systems_disagree(
    command: Command, two: Workspace
) -> None:
    shown = " ".join(command("plan", "grid.yaml").out.split())
    assert "What it can show: sums, 100 items: differences of about" in shown
    assert "if two systems disagree on 10 % of the items" in shown
    assert counted.requests() == {}


def test_real_models_need_a_pilot_first(command: Command, two: Workspace) -> None:
    result = command("power", "grid.yaml")
    assert result.status == 2
    assert "run a pilot first: ember-bench run grid.yaml --limit 50" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("power", "qickstart"), "did you mean 'quickstart'?"),
        (("power", "grid.yaml", "--difference", "0"), "over 0 and at most 100 points, not 0"),
    ],
)
def test_a_mistake_is_reported(
    command: Command, two: Workspace, arguments: tuple[str, ...], message: str
) -> None:
    result = command(*arguments)
    assert result.status == 2
    assert message in result.err
