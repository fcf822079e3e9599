"""Evaluators that ask models, through the command: planned, paid, stored, resumed, rescored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.support import (
    counted,
    grading,  # noqa: F401 - registers the provider
)
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

JUDGE = "grading:j"
JUDGED = {"name": "sums", "evaluator": "graded_by_reference", "judge": JUDGE}
RUN = ("run", "grid.yaml", "--no-mlflow", "--quiet")


@pytest.fixture
def judged(sums: Workspace) -> Workspace:
    """Ten sums, answered in two ways and graded by a judge at $1 for 1,000 tokens."""
    sums.model(JUDGE)
    sums.grid(datasets=[JUDGED], architectures=[single(), vote(1)])
    return sums


def summary(name: str = "trip") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"results/{name}/summary.json").read_text())
    return found


def cells(name: str = "trip") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = summary(name)["cells"]
    return found


def limit(workspace: Workspace, model: str, tokens: int) -> None:
    """Bound what a call to a model can cost."""
    path = f"registry/models/{model.replace(':', '-')}.yaml"
    text = (workspace.root / path).read_text()
    workspace.write(path, f"{text}max_output_tokens: {tokens}\ncontext_tokens: 2000\n")


def made() -> int:
    return sum(counted.requests().values())


def test_a_judge_is_planned_asked_once_and_found_again(command: Command, judged: Workspace) -> None:
    plan = command("plan", "grid.yaml", "--json").json
    (line,) = plan["evaluations"]
    assert line["label"] == "evaluation by graded_by_reference"
    assert line["calls"] == {"low": 20, "high": 20}
    assert line["shared"] == {"low": 0, "high": 0}
    assert plan["made"]["high"] == 10 + 20
    assert plan["expected_usd"]["high"] > sum(c["expected_usd"]["high"] for c in plan["cells"])
    assert "evaluation by graded_by_reference" in command("plan", "grid.yaml").out
    assert made() == 0

    assert command(*RUN).status == 0
    one, voted = cells()
    # The vote's output is the answer that it read; the other's is the whole response.
    assert made() == 10 + one["evaluation"]["calls_made"] + voted["evaluation"]["calls_made"]
    for cell in (one, voted):
        judge = cell["evaluation"]
        assert judge["models"] == [JUDGE]
        assert judge["calls"] == 10
        assert judge["cost_per_item"]["value"] == pytest.approx(0.06)
        assert judge["latency_seconds"]["value"] == pytest.approx(2.0)
        assert cell["calls"] == 10
        assert cell["cost_per_item"]["value"] == pytest.approx(0.03)
        assert cell["latency_seconds"]["value"] < 2.0
        assert cell["outcomes"]["correct"] == round(10 * cell["accuracy"]["value"])
    paper = command("export", "trip", "--format", "md").out
    assert len(paper.splitlines()) == 2 + 2  # what judges took is no system's
    asked = made()
    run = summary()["run"]
    paid = one["evaluation"]["spend_usd"] + voted["evaluation"]["spend_usd"]
    assert run["spend_usd"] == pytest.approx(paid + one["spend_usd"] + voted["spend_usd"])

    assert command(*RUN).status == 0
    Path("results/trip/trials.db").unlink()
    assert command(*RUN, "--offline").status == 0
    assert made() == asked
    assert [c["accuracy"] for c in cells()] == [one["accuracy"], voted["accuracy"]]


def test_equal_outputs_share_one_verdict_over_cells_and_epochs(
    command: Command, judged: Workspace
) -> None:
    judged.model("counted:a", right=1.0)
    judged.model("counted:b", right=1.0)
    architectures = [single("counted:a"), single("counted:b")]
    judged.grid(datasets=[JUDGED], architectures=architectures, epochs=2)
    assert command(*RUN).status == 0
    assert [c["evaluation"]["calls"] for c in cells()] == [20, 20]
    assert sum(c["evaluation"]["calls_made"] for c in cells()) == 10
    assert made() == 2 * 2 * 10 + 10


def test_without_money_for_the_judge_the_run_stops_and_goes_on_later(
    command: Command, judged: Workspace
) -> None:
    limit(judged, "counted:a", 20)
    limit(judged, JUDGE, 10)
    result = command(*RUN, "--budget-usd", "0.5")
    assert result.status == 3
    assert "budget reached: the run" in result.err
    run = summary()["run"]
    assert run["status"] == "partial"
    assert 0 < run["spend_usd"] <= 0.5
    asked = made()
    assert command(*RUN, "--budget-usd", "100").status == 0
    run = summary()["run"]
    assert (run["status"], run["trials_run"] + run["trials_kept"]) == ("complete", 20)
    assert made() == asked + run["calls_made"]
    assert max(counted.requests().values()) == 1


def test_a_judge_that_cannot_be_understood_gives_no_score(
    command: Command, judged: Workspace
) -> None:
    judged.model("counted:a", right=1.0)
    judged.model(JUDGE, mumbles="16")
    judged.grid(datasets=[JUDGED])
    result = command(*RUN)
    assert result.status == 1
    (cell,) = cells()
    assert cell["outcomes"]["unjudged"] == 1
    assert cell["outcomes"]["error"] == 0
    assert cell["accuracy"]["value"] == 1.0  # of the nine that were judged
    assert cell["accuracy_worst"] == pytest.approx(0.9)
    assert cell["calls"] == 10
    assert cell["cost_per_item"]["value"] == pytest.approx(0.03)
    assert "left out, as a judge gave no verdict" in result.out


def test_a_judge_that_fails_is_asked_again_by_the_next_run(
    command: Command, judged: Workspace
) -> None:
    judged.model(JUDGE, fails=True)
    assert command(*RUN).status == 1
    assert [c["outcomes"]["unjudged"] for c in cells()] == [10, 10]
    assert not any(c["measured"] for c in cells())
    judged.model(JUDGE)
    assert command(*RUN).status == 0
    assert "unjudged" not in cells()[0]["outcomes"]


class TestRescoring:
    @pytest.fixture
    def ran(self, command: Command, judged: Workspace) -> Workspace:
        judged.grid(architectures=[single()])
        assert command(*RUN).status == 0
        return judged

    RESCORE = ("rescore", "trip", "--evaluator", "graded_by_reference", "--judge", JUDGE)

    def test_says_what_it_will_ask_and_asks_only_within_a_budget(
        self, command: Command, ran: Workspace
    ) -> None:
        refused = command(*self.RESCORE)
        assert refused.status == 2
        assert "10 new calls; expected cost $" in refused.err
        assert "--budget-usd" in refused.err
        assert made() == 10

    def test_asks_the_judge_and_nobody_else(self, command: Command, ran: Workspace) -> None:
        (before,) = cells()
        limit(ran, JUDGE, 10)
        assert command(*self.RESCORE, "--budget-usd", "1000").status == 0
        (after,) = cells("trip.rescored")
        assert after["accuracy"] == before["accuracy"]
        assert after["evaluation"]["calls_made"] == 10
        assert made() == 20
        run = summary("trip.rescored")["run"]
        assert run["spend_usd"] == pytest.approx(after["evaluation"]["spend_usd"])
        assert command(*self.RESCORE, "--as", "again").status == 0  # all stored, nothing to pay
        assert made() == 20


def test_an_evaluator_that_asks_behind_the_back_is_refused(
    command: Command, sums: Workspace
) -> None:
    sums.write(
        "registry/evaluators/sly.py",
        """
from dataclasses import dataclass
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity
from ember_bench.operators import LMModule, LMModuleConfig

@evaluator("sly")
@dataclass(frozen=True)
class Sly:
    name: str

    @property
    def identity(self):
        return parameter_identity(self)

    def evaluate(self, item, output):
        try:
            LMModule(LMModuleConfig(model_name="counted:a"))("1 + 1")
        except Exception:
            pass
        return Score(1.0, output, "fine")
""",
    )
    sums.write("registry/evaluators/sly.yaml", {"name": "sly", "kind": "sly"})
    sums.grid(datasets=[{"name": "sums", "evaluator": "sly"}])
    for arguments in (("plan", "grid.yaml"), RUN, (*RUN, "--offline")):
        result = command(*arguments)
        assert result.status == 2
        assert "asks a model by itself" in result.err
        assert "kind `judged`" in result.err
    assert made() == 0


def test_a_judge_without_a_model_is_a_mistake_with_its_place(
    command: Command, judged: Workspace
) -> None:
    judged.grid(datasets=[{"name": "sums", "evaluator": "graded_by_reference"}])
    result = command("plan", "grid.yaml")
    assert result.status == 2
    assert "grid.yaml:" in result.err
    assert "judge: MODEL" in result.err
