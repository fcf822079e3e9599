"""`search:` in a grid: a system among more than can be run, within a budget."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.killing import wait_for
from tests.support.workspace import Workspace, single

RUN = ("run", "grid.yaml", "--no-mlflow", "--json", "--quiet")
MODELS = [f"counted:{name}" for name in "abcdefgh"]
CALL = 0.03
"""Price of a call in US dollars: 10 tokens and 20, at 1 dollar per thousand."""


@pytest.fixture
def eight(here: Workspace) -> Workspace:
    """A hundred sums, eight models that are right on 30 to 95 %, and votes of three of them."""
    here.sums(100)
    for place, name in enumerate(MODELS):
        here.model(name, right=0.3 + 0.65 * place / 7, price=1.0)
    grid(here, want="most_accurate", trials=600)
    return here


def grid(here: Workspace, *datasets: str, **search: Any) -> None:
    votes = {
        "name": "ensemble_vote",
        "parameters": {"models": {"choose": 3, "of": MODELS}, "temperature": 0.5},
    }
    here.grid(
        datasets=[*(datasets or ("sums",))], architectures=[single(MODELS), votes], search=search
    )


def requests() -> int:
    return sum(counted.requests().values())


def found(command: Command, *more: str) -> dict[str, Any]:
    result = command(*RUN, *more)
    assert result.status == 0, result.err
    (decision,) = result.json["decisions"]
    return dict(decision)


def test_it_finds_a_good_system_and_measures_it_on_items_it_never_saw(
    command: Command, eight: Workspace
) -> None:
    decision = found(command)
    search = decision["search"]
    (choice,) = decision["choice"]
    assert search["space"] == search["candidates"] == 8 + 56
    assert decision["items"] == 80
    (measured,) = search["measured"]
    assert search["held_out"] == 20 >= measured["held_out"] > 0
    assert decision["trials"] == search["trials_taken"] <= 600
    assert decision["trials"] == sum(decision["asked"].values()) + measured["held_out"]
    assert decision["asked"][choice] == max(decision["asked"].values())
    assert any(name in choice for name in ("counted:g", "counted:h", "counted:f"))
    for estimate in (measured["seen"], measured["unseen"]):
        assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1
    assert set(counted.requests().values()) == {1}


def test_only_systems_that_were_asked_are_described(command: Command, eight: Workspace) -> None:
    grid(eight, want="most_accurate", trials=200)
    summary = command(*RUN).json
    (decision,) = summary["decisions"]
    names = {cell["name"] for cell in summary["cells"]}
    assert names == {*decision["cells"], summary["baseline"] or "sums/single(model=counted:a)"}
    assert len(names) < 64
    assert summary["run"]["status"] == "decided"


@pytest.mark.slow
def test_it_says_so_in_words_everywhere(command: Command, eight: Workspace) -> None:
    shown = command("run", "grid.yaml", "--no-mlflow", "--quiet").out
    words = " ".join(shown.split())
    assert words.startswith("Search: use ")
    assert "items that the search never saw; on the" in words
    assert "which flatters it" in words
    assert "The grid has 64 systems" in words
    assert "of at most 600." in words
    assert "more systems" in words
    assert "**Search: use " in Path("results/trip/summary.md").read_text()
    assert command("report", "trip").status == 0
    assert "Search: use " in Path("results/trip/report.html").read_text()


@pytest.mark.slow
def test_verify_computes_it_again(command: Command, eight: Workspace) -> None:
    found(command)
    result = command("verify", "trip")
    assert result.status == 0, result.out
    with sqlite3.connect("results/trip/trials.db") as db:
        db.execute("UPDATE trials SET score = 1 - score, outcome = 'wrong' WHERE item > 80")
    db.close()
    result = command("verify", "trip", "--json")
    assert result.status == 1
    assert any(line.startswith("search: ") for line in result.json[0]["differences"])


@pytest.mark.slow
def test_a_finished_search_is_not_paid_again_and_finds_the_same(
    command: Command, eight: Workspace
) -> None:
    first, asked = found(command), requests()
    again = found(command)
    assert requests() == asked
    assert again == first


@pytest.mark.slow
def test_all_runs_together_never_pay_more_than_the_budget(
    command: Command, eight: Workspace
) -> None:
    for name in MODELS:
        eight.edit(
            f"registry/models/{name.replace(':', '-')}.yaml", "name:", "context_tokens: 100\nname:"
        )
    grid(eight, want="most_accurate", budget_usd=400 * CALL)
    decision = found(command)
    assert (
        decision["search"]["measured"][0]["held_out"] == 20
    )  # whatever the search itself would take
    assert decision["search"]["spent_usd"] == pytest.approx(requests() * CALL)
    assert 200 < requests() <= 400
    paid = requests()
    assert found(command) == decision
    assert requests() == paid
    grid(eight, want="most_accurate", budget_usd=800 * CALL)
    more = found(command)
    assert 400 < requests() <= 800
    assert more["trials"] > decision["trials"]


@pytest.mark.slow
def test_what_is_stored_already_is_taken(command: Command, eight: Workspace) -> None:
    eight.grid(architectures=[single(MODELS)])
    command(*RUN)
    assert requests() == 800
    grid(eight, want="most_accurate", trials=300)
    decision = found(command)
    assert decision["asked"]["sums/single(model=counted:a)"] == 80
    assert set(counted.requests().values()) == {1}


@pytest.mark.slow
def test_the_cheapest_that_reaches_a_level(command: Command, eight: Workspace) -> None:
    grid(eight, want="cheapest", at_least=0.6, trials=1500)
    (choice,) = found(command)["choice"]
    assert choice.startswith("sums/single(")
    grid(eight, want="cheapest", at_least=1.0, trials=1500)
    decision = found(command)
    assert decision["outcome"] in ("spent", "none")


@pytest.mark.slow
def test_a_front_is_found_and_each_of_its_systems_measured(
    command: Command, eight: Workspace
) -> None:
    for place, name in enumerate(MODELS):
        eight.model(name, right=0.3 + 0.65 * place / 7, price=0.5 + place)
    grid(eight, want="front", within=5, trials=900)
    decision = found(command)
    measured = decision["search"]["measured"]
    assert [one["cell"] for one in measured] == decision["choice"]
    assert len(measured) > 1
    by_cost = sorted(measured, key=lambda one: one["usd"])
    seen = [one["seen"]["value"] for one in by_cost]
    assert all(high > low + 0.05 for low, high in pairwise(seen))
    assert {one["held_out"] for one in measured} == {by_cost[0]["held_out"]} != {0}
    assert decision["search"]["trials_taken"] <= 900
    shown = command("run", "grid.yaml", "--no-mlflow", "--quiet").out
    assert "Search: a front of" in shown
    assert "The front: accuracy on" in shown
    assert shown.count(" held-out items, and on the ") == 1
    assert command("verify", "trip").status == 0


@pytest.mark.slow
def test_several_datasets_are_searched_with_item_by_item(
    command: Command, eight: Workspace
) -> None:
    eight.sums(50, name="more")
    grid(eight, "sums", "more", want="most_accurate", trials=600)
    decision = found(command)
    search = decision["search"]
    (measured,) = search["measured"]
    assert search["datasets"] == ["sums", "more"]
    assert (decision["items"], search["held_out"]) == (120, 30)
    assert search["space"] == search["candidates"] == 64
    assert {*measured["by_dataset"]} == {"sums", "more"}
    assert decision["trials"] <= 600
    shown = " ".join(command("run", "grid.yaml", "--no-mlflow", "--quiet").out.split())
    assert "that the search never saw (sums " in shown
    assert "decision on sums, more" in command("verify", "trip").out


def test_each_system_must_be_on_all_datasets(command: Command, eight: Workspace) -> None:
    eight.sums(50, name="more")
    eight.grid(
        datasets=["sums", "more"],
        architectures=[single(MODELS[:2]), single(MODELS[2:]) | {"datasets": ["more"]}],
        search={"want": "most_accurate", "trials": 100},
    )
    err = command(*RUN).err
    assert "all systems must be on all datasets, and " in err
    assert "grid.yaml:" in err


@pytest.mark.slow
def test_a_large_space_is_drawn_from(command: Command, eight: Workspace) -> None:
    eight.grid(
        architectures=[
            single(MODELS),
            {
                "name": "ensemble_vote",
                "parameters": {
                    "models": {"choose": [5, 9], "of": MODELS, "repeated": True},
                    "temperature": [0.1, 0.2, 0.3],
                },
            },
        ],
        search={"want": "most_accurate", "trials": 300, "candidates": 40},
    )
    search = found(command)["search"]
    assert (search["space"], search["candidates"]) == (8 + 3 * (792 + 11440), 40)


def _search(log: str) -> None:
    from ember_bench.cli import main

    os.environ[counted.LOG] = log
    main([*RUN])


def _has_come(moment: int, process: multiprocessing.process.BaseProcess) -> bool:
    return requests() >= moment or not process.is_alive()


@pytest.mark.slow
def test_a_killed_search_goes_on_without_paying_twice(
    command: Command, eight: Workspace, tmp_path: Path
) -> None:
    for name in MODELS:
        eight.model(name, right=0.3 + 0.65 * MODELS.index(name) / 7, price=1.0, seconds=0.01)
    processes = multiprocessing.get_context("fork")
    for moment in (50, 150, 400):
        process = processes.Process(target=_search, args=(os.environ[counted.LOG],))
        process.start()
        wait_for(partial(_has_come, moment, process))
        process.kill()
        process.join(60)
    killed = found(command)
    assert set(counted.requests().values()) <= {1, 2}  # an answer on its way is lost
    Path("results").rename("killed")
    assert {k: v for k, v in found(command).items() if k != "search"} == {
        k: v for k, v in killed.items() if k != "search"
    }


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"want": "most_accurate"}, "at least one of budget_usd, trials"),
        ({"want": "fronts", "trials": 100}, "did you mean 'front'"),
        ({"want": "most_accurate", "trials": 100, "candidate": 3}, "did you mean 'candidates'"),
        ({"want": "most_accurate", "trials": 100, "at_least": 0.5}, "at_least goes with"),
        ({"want": "most_accurate", "trials": 100, "held_out": 1}, "held_out"),
        ({"want": "most_accurate", "trials": 29}, "two systems on 10 items, and their better on"),
        ({"want": "most_accurate", "trials": 19, "held_out": 0}, "two systems on 10 items: 20 do"),
        ({"want": "most_accurate", "budget_usd": 1e-9}, "search.budget_usd: nothing limits"),
        ({"want": "most_accurate", "budget_usd": float("inf")}, "expected a finite number"),
    ],
)
def test_a_mistake_is_reported_at_its_place(
    command: Command, eight: Workspace, search: dict[str, Any], message: str
) -> None:
    grid(eight, **search)
    result = command(*RUN)
    assert result.status == 2
    assert message in result.err
    assert "grid.yaml:" in result.err
    assert requests() == 0


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"choose": 0, "of": MODELS}, "choose: must be at least 1 (found 0)"),
        ({"choose": [2, "x"], "of": MODELS}, "choose.1: expected a whole number (found 'x')"),
        ({"choose": 9, "of": MODELS}, "cannot choose 9 of 8 without repeated: true"),
        ({"choose": 2, "of": [*MODELS, MODELS[0]]}, "'counted:a' stands there twice"),
        ({"choose": 2}, "missing field 'of'"),
        ({"choose": 2, "off": MODELS}, "unknown field 'off'; did you mean 'of'?"),
    ],
)
def test_a_mistake_in_what_is_chosen_is_reported_at_its_place(
    command: Command, eight: Workspace, models: dict[str, Any], message: str
) -> None:
    eight.grid(
        architectures=[{"name": "ensemble_vote", "parameters": {"models": models}}],
        search={"want": "most_accurate", "trials": 100},
    )
    result = command(*RUN)
    assert result.status == 2
    assert message in result.err
    assert "grid.yaml:" in result.err


def test_what_cannot_be_searched_is_refused(command: Command, eight: Workspace) -> None:
    assert "--whole: a search asks a part of its grid" in command(*RUN, "--whole").err
    eight.model("counted:b", right=0.6, price=None)
    grid(eight, want="most_accurate", budget_usd=1)
    assert "the price of counted:b is unknown" in command(*RUN).err
    grid(eight, want="most_accurate", trials=100)
    eight.edit("grid.yaml", "counted:h", "counted:x")
    assert "counted:x" in command(*RUN).err
    eight.grid(architectures=[single("counted:a")], search={"want": "most_accurate", "trials": 50})
    assert "the grid has one system alone" in command(*RUN).err
    assert requests() == 0
