"""How nodes choose, from stored answers, against what the simulated models' cards say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ember_bench.experiment.results.attribution import ChoiceSummary, attribute
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.models.store.response_store import ResponseStore
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

K = 4


def choices(workspace: Workspace) -> dict[str, list[ChoiceSummary]]:
    """Attribute what is stored; nothing may be asked."""
    results: Path = workspace.root / "results"
    stored = StoredTrials(results / "trip/trials.db")
    experiment = workspace.experiment(offline=True)
    experiment.service.attach(ResponseStore(results / "responses.db"))
    asked = sum(counted.requests().values())
    try:
        cells = [cell.name for cell in stored.description.cells]
        return asyncio.run(attribute(experiment, stored, cells))
    finally:
        asyncio.run(experiment.service.close())
        stored.close()
        assert sum(counted.requests().values()) == asked


@pytest.fixture
def verified(workspace: Workspace) -> Workspace:
    """Answers that are right with .6, a verifier that accepts .9 of these and .2 of the rest."""
    workspace.sums(300)
    workspace.model("simulated:a", accuracy=0.6, distractors=5)
    workspace.model("simulated:v", true_positive=0.9, false_positive=0.2, pick_rate=0.75)
    parameters = {"model": "simulated:a", "verifier": "simulated:v", "k": K}
    workspace.grid(architectures=[{"name": "verifier_judge", "parameters": parameters}])
    workspace.run()
    return workspace


def test_a_verifiers_confusion_is_what_its_card_says(verified: Workspace) -> None:
    ((choice,),) = choices(verified).values()
    assert (choice.node, choice.operator) == ("verify", "VerifierOperator")
    assert sum(choice.judged) == 300 * K
    assert choice.sensitivity is not None
    assert choice.specificity is not None
    for found, expected in [(choice.sensitivity, 0.9), (choice.specificity, 0.8)]:
        assert found.low is not None
        assert found.high is not None
        assert found.low - 0.02 < expected < found.high + 0.02


def test_the_oracle_gap_is_between_any_right_answer_and_the_chosen_one(
    verified: Workspace,
) -> None:
    ((choice,),) = choices(verified).values()
    assert choice.oracle.value == pytest.approx(1 - 0.4**K, abs=0.03)
    assert choice.random.value == pytest.approx(0.6, abs=0.05)
    cell = verified.run().cell
    assert cell.accuracy is not None
    assert choice.chosen.value == pytest.approx(cell.accuracy.value)
    assert choice.gap.value == pytest.approx(choice.oracle.value - choice.chosen.value)
    assert choice.recovered == pytest.approx(
        (choice.chosen.value - choice.random.value) / (choice.oracle.value - choice.random.value)
    )
    assert choice.beyond == 0


def test_members_share_the_accuracy_of_their_vote(workspace: Workspace) -> None:
    workspace.sums(60)
    workspace.model("counted:good", right=0.9)
    workspace.model("counted:bad", right=0.1)
    models = ["counted:good", "counted:a", "counted:bad"]
    workspace.grid(
        architectures=[{"name": "ensemble_vote", "parameters": {"models": models}}, single()]
    )
    workspace.run()
    found = choices(workspace)
    (cell,) = found  # `single` chooses nothing
    (choice,) = found[cell]
    good, middling, bad = choice.members
    assert good.accuracy.value > middling.accuracy.value > bad.accuracy.value
    assert good.shapley.value > middling.shapley.value > bad.shapley.value
    assert [member.member for member in choice.members] == [0, 1, 2]


def test_members_agree_with_themselves_and_as_often_as_both_are_right_or_wrong_alike(
    workspace: Workspace,
) -> None:
    workspace.sums(60)
    workspace.model("counted:always", right=1.0)
    workspace.model("counted:never", right=0.0)
    models = ["counted:always", "counted:a", "counted:never"]
    workspace.grid(architectures=[{"name": "ensemble_vote", "parameters": {"models": models}}])
    workspace.run()
    ((choice,),) = choices(workspace).values()
    always, middling, never = choice.members
    assert [member.agrees[member.member] for member in choice.members] == [1, 1, 1]
    assert always.agrees[1] == middling.agrees[0] == middling.accuracy.value
    assert always.agrees[2] == never.agrees[0] == 0
    assert always.both_wrong == [0, 0, 0]
    assert (
        never.both_wrong[1] == middling.both_wrong[2] == pytest.approx(1 - middling.accuracy.value)
    )
    assert never.both_wrong[2] == 1


def test_smaller_choices_go_from_one_response_to_all(verified: Workspace) -> None:
    ((choice,),) = choices(verified).values()
    assert [point.k for point in choice.votes] == [1, 2, 3, 4]
    for first in (choice.votes[0].vote, choice.votes[0].best):
        assert first.value == pytest.approx(choice.random.value)
    assert choice.votes[-1].best.value == pytest.approx(choice.oracle.value)
    for point in choice.votes:
        assert point.best.value == pytest.approx(1 - 0.4**point.k, abs=0.06)


def test_a_judge_that_synthesises_may_go_beyond_its_candidates(workspace: Workspace) -> None:
    workspace.model("counted:wrong", right=0.0)
    workspace.model("counted:right", right=1.0)
    parameters = {"models": ["counted:wrong", "counted:wrong"], "judge": "counted:right"}
    workspace.grid(architectures=[{"name": "ensemble_judge", "parameters": parameters}])
    cell = workspace.run().cell
    assert cell.accuracy is not None
    assert cell.accuracy.value == 1  # it reads the sum out of its prompt
    ((choice,),) = choices(workspace).values()
    assert choice.beyond == 10
    assert (choice.chosen.value, choice.oracle.value, choice.gap.value) == (1, 1, 0)


def test_what_is_stored_counts_and_what_is_not_does_not(workspace: Workspace) -> None:
    workspace.model("counted:a", seconds=0.01)
    workspace.grid(architectures=[vote(3)], in_flight=1)
    workspace.run(stop_after=4)
    ((choice,),) = choices(workspace).values()
    assert 4 <= choice.items < 10


def test_trials_of_another_graph_do_not_count(workspace: Workspace) -> None:
    workspace.grid(architectures=[vote(3)])
    workspace.run()
    workspace.edit("registry/models/counted-a.yaml", "options: {}", "options: {right: 0.2}")
    assert choices(workspace) == {}
