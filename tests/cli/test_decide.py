"""`decide:` in a grid: a run stops when its choice is sure; `verify` computes it again."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single

RUN = ("run", "grid.yaml", "--no-mlflow", "--json", "--quiet")


@pytest.fixture
def three(here: Workspace) -> Workspace:
    """A hundred sums for models that are right on 95, 60 and 30 %, at very unlike prices."""
    here.sums(100)
    for name, right, price in (("a", 0.95, 1.0), ("b", 0.6, 0.1), ("c", 0.3, 0.01)):
        here.model(f"counted:{name}", right=right, price=price)
    grid(here, want="most_accurate", within=5)
    return here


def grid(here: Workspace, **decide: Any) -> None:
    models = ["counted:a", "counted:b", "counted:c"]
    here.grid(architectures=[single(models)], decide=decide)


def requests() -> int:
    return sum(counted.requests().values())


def test_a_run_stops_when_its_choice_is_sure(command: Command, three: Workspace) -> None:
    result = command(*RUN)
    assert result.status == 0
    (decision,) = result.json["decisions"]
    assert decision["outcome"] == "decided"
    assert decision["choice"] == ["sums/single(model=counted:a)"]
    assert result.json["run"]["status"] == "decided"
    assert requests() == decision["trials"] == sum(decision["asked"].values()) < 240
    assert decision["all_trials"] == 300
    assert decision["asked"]["sums/single(model=counted:c)"] < 60


@pytest.mark.slow
def test_it_says_so_in_words(command: Command, three: Workspace) -> None:
    shown = command("run", "grid.yaml", "--no-mlflow", "--quiet").out
    assert "Decision: use single a. Sure at 95 % for these 100 items: no system is more" in shown
    assert "trip (decided):" in shown
    page = Path("results/trip/summary.md").read_text()
    assert "**Decision: use single a" in page
    assert "Unfinished" not in page
    assert command("report", "trip").status == 0
    report = Path("results/trip/report.html").read_text()
    assert "Decision: use single a" in report
    assert "Partial" not in report


@pytest.mark.slow
def test_a_decided_run_is_a_part_of_the_whole_grid(command: Command, three: Workspace) -> None:
    decided = command(*RUN).json
    asked = requests()
    whole = command(*RUN, "--whole").json
    assert whole["digest"] == decided["digest"]
    assert requests() == 300
    assert whole["run"]["trials_kept"] == asked
    assert whole["run"]["status"] == "complete"
    assert set(counted.requests().values()) == {1}
    assert whole["decisions"][0]["choice"] == decided["decisions"][0]["choice"]


@pytest.mark.slow
def test_without_decide_the_same_results_go_on(command: Command, three: Workspace) -> None:
    decided = command(*RUN).json
    three.grid(architectures=[single(["counted:a", "counted:b", "counted:c"])])
    whole = command(*RUN).json
    assert whole["digest"] == decided["digest"]
    assert "decisions" not in whole
    assert set(counted.requests().values()) == {1}


@pytest.mark.slow
def test_what_is_stored_is_used_and_the_decision_is_the_same(
    command: Command, three: Workspace
) -> None:
    whole = command(*RUN, "--whole").json
    again = command(*RUN).json
    assert requests() == 300
    assert again["run"]["trials_run"] == 0
    assert again["decisions"][0]["trials"] < whole["decisions"][0]["trials"]


@pytest.mark.slow
def test_a_run_that_was_cut_goes_on_to_the_same_decision(
    command: Command, three: Workspace
) -> None:
    for name in "abc":
        three.edit(f"registry/models/counted-{name}.yaml", "name:", "context_tokens: 100\nname:")
    cut = command(*RUN, "--budget-usd", "0.5")
    assert cut.status == 3
    (undecided,) = cut.json["decisions"]
    assert undecided["outcome"] == "stopped"
    assert "choice" not in undecided
    resumed = command(*RUN)
    assert resumed.status == 0
    assert set(counted.requests().values()) == {1}
    assert resumed.json["decisions"][0]["choice"] == ["sums/single(model=counted:a)"]


@pytest.mark.slow
def test_the_budget_of_the_decision_is_one_of_the_run(command: Command, three: Workspace) -> None:
    for name in "abc":
        three.edit(f"registry/models/counted-{name}.yaml", "name:", "context_tokens: 100\nname:")
    grid(three, want="most_accurate", within=5, budget_usd=0.5)
    result = command("run", "grid.yaml", "--no-mlflow")
    assert result.status == 3
    assert "Undecided (most accurate, within 5 points): the run was stopped, or its budget" in (
        result.out
    )
    assert "of $0.5 spent" in result.err


@pytest.mark.slow
def test_the_cheapest_that_is_good_enough(command: Command, three: Workspace) -> None:
    grid(three, want="cheapest", at_least=0.5)
    (decision,) = command(*RUN).json["decisions"]
    assert decision["choice"] == ["sums/single(model=counted:b)"]
    grid(three, want="cheapest", at_least=0.99)
    result = command("run", "grid.yaml", "--no-mlflow", "--quiet")
    assert "Decision: no system is accurate enough. Sure at 95 %" in result.out


@pytest.mark.slow
def test_the_front(command: Command, three: Workspace) -> None:
    grid(three, want="front", within=5)
    (decision,) = command(*RUN).json["decisions"]
    assert len(decision["choice"]) == 3


@pytest.mark.slow
def test_questions_like_these_take_more_items(command: Command, three: Workspace) -> None:
    (items,) = command(*RUN).json["decisions"]
    grid(three, want="most_accurate", within=5, claim="questions")
    (questions,) = command(*RUN).json["decisions"]
    assert questions["trials"] >= items["trials"]
    assert set(counted.requests().values()) == {1}


@pytest.mark.slow
def test_failed_trials_do_not_decide(command: Command, here: Workspace) -> None:
    here.sums(["refuse"] * 60)
    here.model("counted:a")
    here.model("counted:b")
    models = ["counted:a", "counted:b"]
    here.grid(architectures=[single(models)], decide={"want": "most_accurate"})
    (decision,) = command(*RUN).json["decisions"]
    assert decision["outcome"] == "failures"


@pytest.mark.parametrize(
    ("decide", "message"),
    [
        ({"want": "cheap"}, "grid.yaml:"),
        ({"want": "front", "at_least": 0.5}, "at_least goes with want: cheapest, not with front"),
        ({"want": "cheapest", "at_least": 0.5, "within": 1}, "at most one of within, at_least"),
        ({"want": "cheapest", "witin": 1}, "did you mean 'within'?"),
        ({"want": "cheapest", "confidence": 95}, "confidence"),
    ],
)
def test_a_mistake_is_reported_at_its_place(
    command: Command, three: Workspace, decide: dict[str, Any], message: str
) -> None:
    grid(three, **decide)
    result = command(*RUN)
    assert result.status == 2
    assert message in result.err
    assert requests() == 0


def test_costs_that_nobody_knows_are_not_compared(command: Command, three: Workspace) -> None:
    three.model("counted:b", right=0.6, price=None)
    grid(three, want="cheapest")
    result = command(*RUN)
    assert result.status == 2
    assert "the price of counted:b is unknown" in result.err


@pytest.mark.slow
def test_a_system_that_never_answered_is_not_chosen(command: Command, here: Workspace) -> None:
    here.sums(20)
    here.model("counted:a")
    here.grid(architectures=[single("counted:a")], decide={"want": "most_accurate"})
    failed = command(*RUN, "--offline")
    assert failed.status == 1
    (decision,) = failed.json["decisions"]
    assert decision["outcome"] == "failures"
    assert decision.get("choice", []) == decision.get("leader", []) == []
    assert command("verify", "trip").status == 0
    assert command(*RUN).json["decisions"][0]["outcome"] == "decided"


class TestVerify:
    @pytest.mark.slow
    def test_decisions_and_figures_follow_from_the_rows(
        self, command: Command, three: Workspace
    ) -> None:
        command(*RUN)
        result = command("verify", "trip")
        assert result.status == 0
        assert "decision on sums: " in result.out
        assert result.out.count("from the rows: the same") == 2

    def test_a_changed_row_is_found(self, command: Command, three: Workspace) -> None:
        command(*RUN)
        with sqlite3.connect("results/trip/trials.db") as db:
            db.execute(
                "UPDATE trials SET score = 0, outcome = 'wrong'"
                " WHERE cell = (SELECT id FROM cells WHERE name LIKE '%counted:a%')"
            )
        db.close()
        result = command("verify", "trip", "--json")
        assert result.status == 1
        decision, summary = result.json
        assert any(line.startswith("choice: ") for line in decision["differences"])
        assert any("accuracy.value" in line for line in summary["differences"])

    @pytest.mark.slow
    def test_a_changed_summary_is_found(self, command: Command, sums: Workspace) -> None:
        command(*RUN)
        assert command("verify", "trip").status == 0
        path = Path("results/trip/summary.json")
        summary = json.loads(path.read_text())
        summary["cells"][0]["accuracy"]["value"] += 0.01
        path.write_text(json.dumps(summary))
        result = command("verify", "trip")
        assert result.status == 1
        assert "accuracy.value: 0." in result.out

    @pytest.mark.slow
    def test_what_the_summary_lacks_or_has_beside_the_rows_is_found(
        self, command: Command, three: Workspace
    ) -> None:
        command(*RUN)
        path = Path("results/trip/summary.json")
        summary = json.loads(path.read_text())
        gone = summary["cells"].pop(1)["name"]
        path.write_text(json.dumps({**summary, "extra": 1}))
        lines = command("verify", "trip", "--json").json[1]["differences"]
        assert [line.split(" in summary.json")[0] for line in lines] == [
            f"cells[{gone}]: nothing", "extra: 1",
        ]  # fmt: skip
        three.grid(architectures=[single("counted:a")], epochs=2, name="twice")
        command(*RUN)
        assert command("verify", "twice").status == 0  # its pass@k has numbers for names
        path.unlink()
        result = command("verify", "trip")
        assert result.status == 1
        assert "summary.json: is not there" in result.out

    @pytest.mark.slow
    def test_an_unknown_experiment_is_reported_with_near_matches(
        self, command: Command, sums: Workspace
    ) -> None:
        command(*RUN)
        result = command("verify", "trp")
        assert result.status == 2
        assert "did you mean 'trip'?" in result.err
