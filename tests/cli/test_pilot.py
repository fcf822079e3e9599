"""A pilot: a grid run with edits on the command line, whose answers serve the full run."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

RUN = ("run", "grid.yaml", "--no-mlflow", "--json")


def test_a_pilots_answers_serve_the_full_run(command: Command, sums: Workspace) -> None:
    pilot = command(*RUN, "--limit", "3").json
    assert pilot["name"] == "trip-pilot"
    assert [cell["scheduled"] for cell in pilot["cells"]] == [3]
    assert (sums.root / "results/trip-pilot/summary.md").is_file()
    full = command(*RUN).json
    assert full["name"] == "trip"
    assert full["run"]["calls_made"] == 7
    assert set(counted.requests().values()) == {1}


def test_a_limit_takes_from_the_items_of_the_grids_own(command: Command, sums: Workspace) -> None:
    sums.grid(datasets=[{"name": "sums", "limit": 2}])
    assert command("plan", "grid.yaml", "--json", "--limit", "5").json["trials"] == 2


def test_a_model_is_replaced_wherever_the_grid_names_it(command: Command, sums: Workspace) -> None:
    sums.model("counted:b")
    bounded = {"model": "counted:a", "max_tokens": 9}
    sums.grid(
        architectures=[
            {"name": "single", "parameters": bounded},
            {"name": "vote", "parameters": {**bounded, "k": [1, 3]}},
        ],
        baseline={"name": "single", "parameters": {"model": "counted:a"}},
        budget_usd={"models": {"counted:a": 5}},
    )
    plan = command("plan", "grid.yaml", "--json", "--model", "counted:a=counted:b").json
    assert [cell["name"] for cell in plan["cells"]] == [
        "sums/single(model=counted:b, max_tokens=9)",
        "sums/vote(model=counted:b, max_tokens=9, k=1)",
        "sums/vote(model=counted:b, max_tokens=9, k=3)",
    ]


def test_any_value_can_be_set(command: Command, sums: Workspace) -> None:
    sums.grid(architectures=["single", vote(3)])
    edits = [
        "epochs=2",
        "datasets.sums.limit=4",
        "architectures.single.parameters.model=counted:a",
        "architectures.1.parameters.k=[1, 5]",
        "name=other",
    ]
    options = [part for edit in edits for part in ("--set", edit)]
    plan = command("plan", "grid.yaml", "--json", *options).json
    assert plan["name"] == "other"
    assert plan["trials"] == 3 * 4 * 2
    assert [cell["label"] for cell in plan["cells"]] == [
        "single",
        "vote k=1",
        "vote k=5",
    ]


@pytest.mark.parametrize(
    ("option", "edit", "message"),
    [
        ("--model", "counted:x=counted:a", "--model: the grid names no 'counted:x'; did you mean"),
        ("--model", "counted:a", "--model: expected OLD=NEW (found 'counted:a')"),
        ("--set", "epochs", "--set: expected path=value (found 'epochs')"),
        ("--set", "epoch=2", "unknown field 'epoch'; did you mean 'epochs'?"),
        ("--set", "epochs=[", "--set epochs: not valid YAML"),
        ("--set", "epochs.x=1", "epochs: "),
        ("--set", "datasets.sum.limit=1", "the list has no entry 'sum'; did you mean 'sums'?"),
        ("--set", "name.x=1", "--set name.x: 'x' would be a part of 'trip-pilot'"),
    ],
)
def test_an_edit_that_fits_nothing_is_refused(
    command: Command, sums: Workspace, option: str, edit: str, message: str
) -> None:
    result = command("plan", "grid.yaml", option, edit)
    assert result.status == 2
    assert message in result.err


def test_models_that_became_one_are_run_once(command: Command, sums: Workspace) -> None:
    sums.model("counted:b")
    parameters = {"model": ["counted:a", "counted:b"], "k": [1, 3]}
    sums.grid(architectures=[{"name": "vote", "parameters": parameters}])
    result = command(*RUN, "--model", "counted:b=counted:a", "--limit", "2")
    assert [cell["label"] for cell in result.json["cells"]] == ["vote k=1", "vote k=3"]
    assert "cells that are the same as others now are left out: 2" in result.err


def test_a_grid_that_says_one_cell_twice_is_still_wrong(command: Command, sums: Workspace) -> None:
    sums.grid(architectures=[single(), single()])
    assert "duplicate cell" in command(*RUN, "--limit", "2").err


def test_a_pilot_is_read_again_as_any_experiment(command: Command, sums: Workspace) -> None:
    sums.model("counted:b")
    sums.grid(architectures=[single(), vote(3)])
    command(*RUN, "--limit", "4", "--model", "counted:a=counted:b")
    paid = counted.requests()
    assert "only of its pilot: trip-pilot" in command("report", "grid.yaml").err
    report = command("report", "trip-pilot")
    assert report.status == 0
    assert "without how well nodes choose" not in report.err
    rescored = command("rescore", "trip-pilot", "--json").json
    assert (rescored["name"], rescored["cells"][0]["scheduled"]) == ("trip-pilot.rescored", 4)
    assert rescored["cells"][0]["models"] == ["counted:b"]
    assert counted.requests() == paid


def test_results_go_by_their_grid_too(command: Command, sums: Workspace) -> None:
    command(*RUN)
    assert command("report", "grid.yaml").out == "results/trip/report.html\n"
