"""`budget_usd`: a run stops before it is exceeded, keeps what it paid for, and can be continued."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

RUN = ("run", "grid.yaml", "--no-mlflow", "--json", "--quiet")

# A call of the provider `counted` has 30 tokens, at a dollar per 1,000.
CALL_USD = 0.03


@pytest.fixture
def capped(here: Workspace) -> Workspace:
    """Forty sums, a model whose context is 200 tokens, and calls that take a moment."""
    here.sums(40)
    here.model("counted:a", seconds=0.002)
    here.edit("registry/models/counted-a.yaml", "name:", "context_tokens: 200\nname:")
    return here


def paid() -> float:
    return sum(counted.requests("answer").values()) * CALL_USD


@pytest.mark.parametrize("in_flight", [1, 7, 1000])
class TestTheRun:
    def test_stops_with_status_3_and_never_pays_more(
        self, capped: Workspace, command: Command, in_flight: int
    ) -> None:
        capped.grid(budget_usd=1.0, in_flight=in_flight)
        result = command(*RUN)
        assert result.status == 3
        assert paid() <= 1.0
        # What is left is less than one call could have cost: 200 tokens in, as many out.
        assert paid() > 1.0 - 0.4 - CALL_USD
        assert result.json["run"]["spend_usd"] == pytest.approx(paid())

    def test_says_so_and_how_to_continue(
        self, capped: Workspace, command: Command, in_flight: int
    ) -> None:
        capped.grid(in_flight=in_flight)
        result = command(*RUN, "--budget-usd", "0.7")
        assert result.status == 3
        assert "budget reached: the run: $0." in result.err
        assert "of $0.7 spent" in result.err
        assert "to continue: ember-bench run grid.yaml" in result.err
        assert "Unfinished" in Path("results/trip/summary.md").read_text()

    def test_cut_trials_are_no_errors_and_run_the_next_time(
        self, capped: Workspace, command: Command, in_flight: int
    ) -> None:
        capped.grid(architectures=[vote(3)], in_flight=in_flight)
        cut = command(*RUN, "--budget-usd", "1.1")
        (cell,) = cut.json["cells"]
        assert cell["outcomes"]["error"] == 0
        assert cut.json["run"]["trials_run"] < 40
        whole = command(*RUN)
        assert whole.status == 0
        assert whole.json["run"]["trials_run"] + cut.json["run"]["trials_run"] == 40
        assert set(counted.requests().values()) == {1}  # nothing is paid twice


class TestCaps:
    def test_of_a_cell_leave_the_other_cells_alone(
        self, capped: Workspace, command: Command
    ) -> None:
        architectures = [single(), vote(3)]
        capped.grid(
            architectures=architectures,
            budget_usd={"cells": {"sums/vote(model=counted:a, k=3)": 0.5}},
            in_flight=4,
        )
        result = command(*RUN)
        assert result.status == 3
        one, three = result.json["cells"]
        assert one["items"] == 40
        assert 0 < three["items"] < 40
        assert "budget reached: sums/vote(model=counted:a, k=3): $" in result.err

    def test_of_each_cell_and_of_a_model_are_kept(
        self, capped: Workspace, command: Command
    ) -> None:
        capped.grid(
            architectures=[single(), vote(3)], budget_usd={"cells": 0.6, "models": {"counted:a": 1}}
        )
        assert command(*RUN).status == 3
        assert paid() <= 1.0

    def test_that_are_enough_change_nothing(self, capped: Workspace, command: Command) -> None:
        capped.grid(budget_usd=1000)
        result = command(*RUN)
        assert result.status == 0
        assert "budget" not in result.err

    def test_another_budget_is_no_change_of_the_experiment(
        self, capped: Workspace, command: Command
    ) -> None:
        capped.grid(budget_usd=1.0)
        command(*RUN)
        before = sum(counted.requests().values())
        capped.grid(budget_usd=1000)
        result = command(*RUN)
        assert "changed" not in result.err
        assert sum(counted.requests().values()) == 40
        assert before > 0


class TestBadInput:
    def refused(self, capped: Workspace, command: Command, *options: str, **grid: object) -> str:
        capped.grid(**grid)
        result = command(*RUN, *options)
        assert result.status == 2
        assert counted.requests().total() == 0
        return result.err

    def test_a_cap_is_more_than_nothing(self, capped: Workspace, command: Command) -> None:
        assert "budget_usd: must be greater than 0" in self.refused(capped, command, budget_usd=0)
        refused = self.refused(capped, command, budget_usd={"run": 0})
        assert "budget_usd.run: must be greater than 0" in refused
        assert "--budget-usd" in self.refused(capped, command, "--budget-usd", "0")
        assert "--budget-usd" in self.refused(capped, command, "--budget-usd", "nan")

    def test_an_unknown_name_is_told_with_its_place_and_the_nearest(
        self, capped: Workspace, command: Command
    ) -> None:
        err = self.refused(capped, command, budget_usd={"models": {"counted:b": 1}})
        assert "grid.yaml:" in err
        assert "no model of this grid is 'counted:b'; did you mean 'counted:a'?" in err
        err = self.refused(capped, command, budget_usd={"cells": {"sums/single(counted:a)": 1}})
        assert "no cell of this grid is 'sums/single(counted:a)'; did you mean 'sums/single" in err

    def test_what_cannot_be_bounded_is_refused_before_the_run(
        self, capped: Workspace, command: Command
    ) -> None:
        capped.edit("registry/models/counted-a.yaml", "context_tokens: 200\n", "")
        err = self.refused(capped, command, budget_usd=1)
        assert "grid.yaml:" in err
        assert "nothing limits what an answer of counted:a costs: give max_tokens" in err

    def test_what_affords_no_call_is_refused_before_the_run(
        self, capped: Workspace, command: Command
    ) -> None:
        err = self.refused(capped, command, budget_usd=0.05)
        assert "grid.yaml:" in err
        assert "one call of counted:a reserves $0.20 for an answer of up to 200 tokens" in err
        assert "more than $0.05: give a smaller max_tokens or raise the budget" in err

    def test_an_unknown_price_is_refused_before_the_run(
        self, capped: Workspace, command: Command
    ) -> None:
        capped.model("counted:a", price=None)
        err = self.refused(capped, command, budget_usd=1)
        assert "the price of counted:a is unknown" in err
