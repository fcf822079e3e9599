"""Networks as judges: what they decide, and what their calls are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.experiment.prepare import Experiment, prepare
from ember_bench.experiment.results.summary import CellSummary, EvaluationSummary
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards, builtin_root
from ember_bench.stats import clopper_pearson_interval
from tests.support.workspace import Ran, Workspace, run, single

RIGHT = {
    "name": "right",
    "kind": "judged",
    "signature": "grade_by_reference",
    "verdicts": {"correct": 1, "incorrect": 0},
}


@pytest.fixture
def lab(tmp_path: Path) -> Workspace:
    """Sums, a solver that is right in 60 % of them, and a judge that is right in 80 %."""
    workspace = Workspace(tmp_path)
    workspace.sums(300)
    workspace.model("simulated:solver", accuracy=0.6)
    workspace.model("simulated:judge", accuracy=0.8, seed=7, latency_seconds=9.0)
    return workspace


def opened(workspace: Workspace, solver: str = "simulated:solver", **fields: Any) -> Experiment:
    workspace.grid(architectures=[single(solver)], **fields)
    cards = Cards([builtin_root(), workspace.root / "registry"])
    service = ModelService(ModelRegistry.from_cards(cards))
    return prepare(workspace.root / "grid.yaml", cards, service)


def ran(workspace: Workspace, evaluator: dict[str, Any], **fields: Any) -> Ran:
    workspace.write(f"registry/evaluators/{evaluator['name']}.yaml", evaluator)
    datasets = [{"name": "sums", "evaluator": evaluator["name"]}]
    return run(opened(workspace, datasets=datasets, **fields), workspace.root / "results")


def judged(cell: CellSummary) -> EvaluationSummary:
    assert isinstance(cell.evaluation, EvaluationSummary)
    return cell.evaluation


def within(cell: CellSummary, expected: float) -> None:
    """Check a share of 300 against what it should be, at an error of 1 in 10,000."""
    assert cell.accuracy is not None
    successes = round(300 * cell.accuracy.value)
    interval = clopper_pearson_interval(successes, 300, level=0.9999)
    assert interval.low <= expected <= interval.high


def test_a_judge_errs_as_often_as_its_model(lab: Workspace) -> None:
    cell = ran(lab, RIGHT | {"model": "simulated:judge"}).cell
    within(cell, 0.6 * 0.8 + 0.4 * 0.2)
    assert judged(cell).models == ["simulated:judge"]
    assert cell.models == ["simulated:solver"]
    assert cell.simulated


def test_a_vote_of_three_judges_errs_less(lab: Workspace) -> None:
    vote = {"architecture": "vote", "model": "simulated:judge", "parameters": {"k": 3}}
    cell = ran(lab, RIGHT | vote).cell
    three = 0.8**3 + 3 * 0.8**2 * 0.2
    within(cell, 0.6 * three + 0.4 * (1 - three))
    assert judged(cell).calls == 900


def test_judges_are_no_part_of_the_cost_and_the_time_of_a_cell(lab: Workspace) -> None:
    plain = ran(lab, {"name": "plain", "kind": "numeric_match"}).cell
    cell = ran(lab, RIGHT | {"model": "simulated:judge"}).cell
    assert cell.calls == plain.calls == 300
    assert cell.cost_per_item is not None
    assert plain.cost_per_item is not None
    assert cell.cost_per_item.value == pytest.approx(plain.cost_per_item.value, rel=0.1)
    assert cell.latency_seconds is not None
    assert cell.latency_seconds.value < 2
    found = judged(cell)
    assert found.latency_seconds is not None
    assert found.latency_seconds.value > 8
    assert found.verdicts.keys() == {"A", "B"}


def test_a_simulated_verdict_on_a_real_answer_is_marked(lab: Workspace) -> None:
    lab.tape({f"sums-{i}": [f"Answer: {8 * i}"] for i in range(300)})
    lab.write("registry/evaluators/right.yaml", RIGHT | {"model": "simulated:judge"})
    datasets = [{"name": "sums", "evaluator": "right"}]
    experiment = opened(lab, "recorded:tape/m", datasets=datasets)
    (cell,) = experiment.cells
    assert not cell.simulated
    assert experiment.is_simulated(cell)
    assert [m.model_id for m in experiment.models] == ["recorded:tape/m", "simulated:judge"]


def test_a_cascade_asks_about_what_is_not_the_target(lab: Workspace) -> None:
    lab.write("registry/evaluators/right.yaml", RIGHT | {"model": "simulated:judge"})
    cell = ran(
        lab, {"name": "both", "kind": "cascade", "first": "numeric_match", "judge": "right"}
    ).cell
    assert 60 < judged(cell).calls < 180
    within(cell, 0.6 + 0.4 * 0.2)


def test_a_judge_may_be_part_of_a_combination(lab: Workspace) -> None:
    lab.write("registry/evaluators/right.yaml", RIGHT | {"model": "simulated:judge"})
    both = {"name": "both", "kind": "combined", "parts": {"numeric_match": 3, "right": 1}}
    cell = ran(lab, both).cell
    assert judged(cell).calls == 300
    within(cell, 0.6 * (0.75 + 0.25 * 0.8) + 0.4 * 0.25 * 0.2)


def test_a_judge_may_be_combined_with_what_takes_its_time(lab: Workspace) -> None:
    """Math equivalence is computed in worker threads, from which the judge is asked."""
    lab.write("registry/evaluators/right.yaml", RIGHT | {"model": "simulated:judge"})
    both = {"name": "both", "kind": "combined", "parts": {"math_equivalence": 1, "right": 1}}
    cell = ran(lab, both | {"rule": "any"}).cell
    assert cell.outcomes["error"] == 0
    assert judged(cell).calls == 300


def test_a_preference_is_asked_for_in_both_orders(lab: Workspace) -> None:
    perfect = {"model": "simulated:judge", "signature": "prefer"}
    lab.model("simulated:judge", accuracy=1.0)
    cell = ran(lab, {"name": "over", "kind": "preferred"} | perfect).cell
    assert judged(cell).calls == 600
    within(cell, 0.6 * 0.5)  # a right answer is as good as the target, a wrong one loses


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"model": "simulated:none"}, "simulated:none"),
        ({"architecture": "votes", "model": "simulated:judge"}, "did you mean"),
        ({"architecture": "vote", "parameters": {"k": 3}}, "missing parameter 'model'"),
        ({"signature": "grade", "model": "simulated:judge"}, "unknown signature 'grade'"),
        ({}, "names no model"),
    ],
)
def test_a_judge_that_cannot_be_had_is_a_mistake(
    lab: Workspace, card: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        ran(lab, RIGHT | card)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("right", "right", "its `first` asks models"),
        ("numeric_match", "numeric_match", "its `judge` asks no model"),
        ("numeric_match", "wrong", "unknown evaluator 'wrong'"),
    ],
)
def test_a_cascade_computes_first_and_asks_then(
    lab: Workspace, first: str, second: str, message: str
) -> None:
    lab.write("registry/evaluators/right.yaml", RIGHT | {"model": "simulated:judge"})
    with pytest.raises(ConfigError) as caught:
        ran(lab, {"name": "both", "kind": "cascade", "first": first, "judge": second})
    assert message in str(caught.value)


def test_a_judge_for_an_evaluator_that_computes_is_a_mistake(lab: Workspace) -> None:
    with pytest.raises(ConfigError, match="'numeric_match' asks no model"):
        opened(lab, datasets=[{"name": "sums", "judge": "simulated:judge"}])


def test_another_judge_prompt_or_rule_scores_anew(lab: Workspace) -> None:
    card = RIGHT | {"model": "simulated:judge"}
    assert ran(lab, card).progress.done == 300
    assert ran(lab, card).progress.done == 0
    lab.write("registry/signatures/grade_by_reference.yaml",
              {"name": "grade_by_reference", "override": True, "purpose": "Mine.",
               "prompt_template": "{query} {reference} {response} {options}"})  # fmt: skip
    again = ran(lab, card)
    assert again.progress.done == 300
    assert again.changes == ["sums: the evaluator right changed, or is another one"]
