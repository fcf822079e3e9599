"""Further evaluators, labels of people, and corrected accuracies, from the grid to the summary."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec import UNSET
from sklearn import metrics as reference

from ember_bench import stats
from ember_bench.errors import ConfigError
from ember_bench.experiment.prepare import prepare
from ember_bench.experiment.results.figures import EvaluatorCheck, Quantity
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards, builtin_root
from tests.support.workspace import Ran, Workspace, run, single

N = 200
DATA = {"name": "sums", "evaluator": "right", "judge": "simulated:judge"}
SOLVERS = [single(["simulated:solver", "simulated:better"])]


@pytest.fixture
def lab(tmp_path: Path) -> Workspace:
    """Sums, two solvers, and a judge that errs in one of ten."""
    workspace = Workspace(tmp_path)
    workspace.sums(N)
    workspace.model("simulated:solver", accuracy=0.5)
    workspace.model("simulated:better", accuracy=0.8, seed=3)
    workspace.model("simulated:judge", accuracy=0.9, seed=7)
    verdicts = {"correct": 1, "incorrect": 0}
    workspace.write(
        "registry/evaluators/right.yaml",
        {"name": "right", "kind": "judged", "signature": "grade_by_reference",
         "verdicts": verdicts},
    )  # fmt: skip
    return workspace


def people(workspace: Workspace, known: range) -> None:
    """Write the labels of whatever number is answered to some of the sums."""
    rows = [
        {"item": f"sums-{i}", "answer": str(answer), "label": answer == 8 * i}
        for i in known
        for answer in range(8 * i - 60, 8 * i + 61)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    workspace.write("registry/evaluators/labels.jsonl", text)
    workspace.write(
        "registry/evaluators/people.yaml",
        {"name": "people", "kind": "labelled", "file": "labels.jsonl", "output": "answer"},
    )


def ran(workspace: Workspace, *datasets: dict[str, Any], **fields: Any) -> Ran:
    workspace.grid(**({"architectures": SOLVERS} | fields), datasets=list(datasets))
    cards = Cards([builtin_root(), workspace.root / "registry"])
    service = ModelService(ModelRegistry.from_cards(cards))
    experiment = prepare(workspace.root / "grid.yaml", cards, service)
    return run(experiment, workspace.root / "results")


def holds(found: Quantity | None, value: float) -> bool:
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.low <= value <= found.high


def check_of(found: Ran) -> EvaluatorCheck:
    (check,) = found.summary.checks
    return check


class TestFurther:
    def test_further_evaluators_score_the_same_outputs(self, lab: Workspace) -> None:
        found = ran(lab, DATA | {"also": ["numeric_match", "exact_match"]})
        with closing(StoredTrials(lab.root / "results" / "trip" / "trials.db")) as rows:
            for place, cell in enumerate(found.summary.cells):
                answers = {(item, e): a for item, e, a in rows.columns(place, ["answer"])}
                right = [
                    answers[item, epoch] == rows.description.items["sums"][item].target
                    for item, epoch, evaluator, *_ in rows.further_scores(place)
                    if evaluator == "numeric_match"
                ]
                assert len(right) == N
                given = cell.further["numeric_match"]
                assert given.mean == Quantity.of(stats.mean_score(right))
                assert given.items == N

    def test_they_cost_no_call(self, lab: Workspace) -> None:
        before = ran(lab, DATA)
        after = ran(lab, DATA | {"also": ["numeric_match"]})
        assert after.summary.run.calls_made == 0
        for cell, earlier in zip(after.summary.cells, before.summary.cells, strict=True):
            assert cell.accuracy == earlier.accuracy
            assert cell.calls == earlier.calls

    def test_the_digest_of_a_grid_without_them_is_as_before(self, lab: Workspace) -> None:
        plain = ran(lab, DATA).summary.digest
        assert ran(lab, DATA | {"also": []}).summary.digest == plain
        assert ran(lab, DATA | {"also": ["numeric_match"]}).summary.digest != plain
        assert ran(lab, DATA | {"metrics": ["macro_f1"]}).summary.digest != plain

    def test_a_further_judge_is_asked_and_counted(self, lab: Workspace) -> None:
        found = ran(lab, {"name": "sums", "also": ["right"], "judge": "simulated:judge"})
        for cell in found.summary.cells:
            assert cell.evaluation.calls == N
            assert cell.further["right"].mean != cell.accuracy
        assert found.summary.datasets[0].judges == ["simulated:judge"]

    def test_one_that_fails_is_counted_and_tried_again(self, lab: Workspace) -> None:
        lab.write(
            "registry/evaluators/odd.py",
            "from ember_bench.evaluators import evaluator\n\n"
            "@evaluator('odd')\ndef odd(item, output):\n"
            "    if item.id in ('sums-3', 'sums-4'):\n        raise ValueError('even')\n"
            "    return True\n",
        )
        lab.write("registry/evaluators/odd.yaml", {"name": "odd", "kind": "odd"})
        data = {"name": "sums", "also": ["odd"]}
        found = ran(lab, data, architectures=[single("simulated:solver")])
        given = found.cell.further["odd"]
        assert given.outcomes == {"correct": N - 2, "error": 2}
        assert given.items == N - 2
        assert found.cell.outcomes["error"] == 0
        again = ran(lab, data, architectures=[single("simulated:solver")])
        assert again.summary.run.trials_run == 2


class TestLabels:
    def test_a_judge_without_labels_is_unchecked(self, lab: Workspace) -> None:
        check = check_of(ran(lab, DATA))
        assert check.calibration is None
        assert check.outputs == 0
        assert check.kappa is None

    def test_its_errors_are_counted(self, lab: Workspace) -> None:
        people(lab, range(N))
        check = check_of(ran(lab, DATA | {"labels": "people"}))
        assert check.outputs == 2 * N
        assert check.scores == [0, 1]
        (true_negatives, false_positives), (false_negatives, true_positives) = check.confusion
        right = true_positives + true_negatives
        assert right + false_positives + false_negatives == check.outputs
        assert check.agreement.value == pytest.approx(right / check.outputs)
        assert holds(check.agreement, 0.9)
        assert holds(check.sensitivity, 0.9)
        assert holds(check.specificity, 0.9)
        labels = [0] * (true_negatives + false_positives) + [1] * (false_negatives + true_positives)
        given = [0] * true_negatives + [1] * false_positives
        given += [0] * false_negatives + [1] * true_positives
        assert check.kappa.value == pytest.approx(reference.cohen_kappa_score(labels, given))
        assert check.mean_error.value == pytest.approx(
            (false_positives - false_negatives) / check.outputs
        )
        assert check.self_preference is None

    def test_the_accuracy_is_corrected(self, lab: Workspace) -> None:
        people(lab, range(80))
        found = ran(lab, DATA | {"labels": "people", "also": ["numeric_match"]})
        for cell in found.summary.cells:
            truth = cell.further["numeric_match"].mean.value
            assert cell.corrected.labels == 80
            assert holds(cell.corrected.prediction_powered, truth)
            assert holds(cell.corrected.rogan_gladen, truth)
            assert cell.further["people"].items == 80

    def test_labels_of_all_outputs_leave_nothing_to_correct(self, lab: Workspace) -> None:
        people(lab, range(N))
        for cell in ran(lab, DATA | {"labels": "people"}).summary.cells:
            labelled = cell.further["people"].mean.value
            assert cell.corrected.prediction_powered.value == pytest.approx(labelled)

    def test_another_dataset_may_have_the_labels(self, lab: Workspace) -> None:
        people(lab, range(N))
        lab.sums(100, "others")
        found = ran(
            lab,
            {"name": "others", "evaluator": "right", "judge": "simulated:judge",
             "calibration": "sums", "also": ["numeric_match"]},
            DATA | {"labels": "people"},
        )  # fmt: skip
        checks = {check.dataset: check for check in found.summary.checks}
        assert checks["others"].calibration == "sums"
        assert checks["others"].confusion == checks["sums"].confusion
        for cell in found.summary.cells:
            if cell.dataset == "others":
                assert cell.corrected.labels == 0
                assert cell.corrected.prediction_powered is None
                truth = cell.further["numeric_match"].mean.value
                assert holds(cell.corrected.rogan_gladen, truth)

    def test_a_judge_may_be_found_to_prefer_its_own_model(self, lab: Workspace) -> None:
        people(lab, range(N))
        lab.model("simulated:judge", accuracy=0.7, seed=7)
        models = ["simulated:solver", "simulated:judge"]
        check = check_of(ran(lab, DATA | {"labels": "people"}, architectures=[single(models)]))
        assert check.self_preference is not None
        assert check.self_preference.low < check.self_preference.value < check.self_preference.high

    def test_a_rule_can_be_checked_as_well(self, lab: Workspace) -> None:
        people(lab, range(N))
        check = check_of(ran(lab, {"name": "sums", "labels": "people"}))
        assert check.models == []
        assert check.kappa.value == pytest.approx(1)

    def test_the_order_of_a_pair_is_checked_without_labels(self, lab: Workspace) -> None:
        lab.write(
            "registry/evaluators/over.yaml",
            {"name": "over", "kind": "preferred", "signature": "prefer"},
        )
        lab.model("simulated:judge", accuracy=1.0)
        exact = check_of(ran(lab, DATA | {"evaluator": "over"})).position
        assert exact.items == 2 * N
        assert exact.consistent.value == 1
        assert exact.first.value == 0
        lab.model("simulated:judge", accuracy=0.6, seed=1)
        unsure = check_of(ran(lab, DATA | {"evaluator": "over"}, name="unsure")).position
        with closing(StoredTrials(lab.root / "results" / "unsure" / "trials.db")) as rows:
            said = [pair for cell in (0, 1) for _, pair in rows.verdicts(cell)]
        swapped = {"A": "B", "B": "A", "C": "C"}
        agree = [swapped[one] == other for one, other in said]
        assert unsure.consistent.value == pytest.approx(sum(agree) / len(said))
        counts = Counter(answer for pair in said for answer in pair)
        assert unsure.first.value == pytest.approx((counts["A"] - counts["B"]) / (2 * len(said)))
        assert unsure.consistent.value < 0.8


class TestAgainstTheBaseline:
    OVER: ClassVar[dict[str, Any]] = {
        "name": "sums",
        "evaluator": "preferred_to_baseline",
        "judge": "simulated:judge",
    }

    def test_an_output_is_preferred_to_the_baselines(self, lab: Workspace) -> None:
        """A perfect judge: the mean is a half, and half of what one is right more often."""
        lab.model("simulated:judge", accuracy=1.0)
        found = ran(lab, self.OVER | {"also": ["numeric_match"]})
        baseline, better = found.summary.cells
        assert baseline.accuracy.value == 0.5
        assert baseline.evaluation is UNSET
        right = [cell.further["numeric_match"].mean.value for cell in (baseline, better)]
        assert better.accuracy.value == pytest.approx(0.5 + (right[1] - right[0]) / 2)
        assert better.comparison.difference.value == pytest.approx(better.accuracy.value - 0.5)

    def test_the_baseline_answers_each_item_once(self, lab: Workspace) -> None:
        found = ran(lab, self.OVER)
        for cell in found.summary.cells:
            assert cell.calls == cell.calls_made == N
        assert ran(lab, self.OVER).summary.run.trials_run == 0

    def test_it_need_not_come_first(self, lab: Workspace) -> None:
        baseline = {"name": "single", "parameters": {"model": "simulated:better"}}
        solver, better = ran(lab, self.OVER, baseline=baseline).summary.cells
        assert better.accuracy.value == 0.5
        assert solver.accuracy.value < 0.5

    def test_another_baseline_is_another_evaluation(self, lab: Workspace) -> None:
        ran(lab, self.OVER)
        baseline = {"name": "single", "parameters": {"model": "simulated:better"}}
        assert ran(lab, self.OVER, baseline=baseline).summary.run.trials_run == 2 * N

    def test_a_baseline_that_fails_leaves_the_others_unjudged(self, lab: Workspace) -> None:
        lab.tape({f"sums-{i}": [str(8 * i)] for i in range(N) if i != 3})
        models = ["recorded:tape/m", "simulated:better"]
        found = ran(lab, self.OVER, architectures=[single(models)], too_few_samples="left_out")
        assert found.summary.cells[1].outcomes["unjudged"] == 1

    def test_a_part_of_another_evaluator_cannot(self, lab: Workspace) -> None:
        parts = {"numeric_match": 1, "preferred_to_baseline": 1}
        lab.write(
            "registry/evaluators/both.yaml", {"name": "both", "kind": "combined", "parts": parts}
        )
        with pytest.raises(ConfigError, match="its part 'preferred_to_baseline' compares"):
            ran(lab, self.OVER | {"evaluator": "both"})


class TestMetrics:
    def test_figures_of_labels_are_those_of_scikit_learn(self, lab: Workspace) -> None:
        answers = {f"sums-{i}": [str(8 * (i if i % 3 else (i + 1) % 5))] for i in range(5)}
        lab.sums(5)
        lab.tape(answers)
        names = ["macro_f1", "balanced_accuracy", "matthews_correlation", "cohens_kappa"]
        found = ran(lab, {"name": "sums", "metrics": names},
                    architectures=[single("recorded:tape/m")]).cell  # fmt: skip
        targets = [str(8 * i) for i in range(5)]
        given = [answers[f"sums-{i}"][0] for i in range(5)]
        expected = {
            "macro_f1": reference.f1_score(targets, given, average="macro"),
            "balanced_accuracy": reference.balanced_accuracy_score(targets, given),
            "matthews_correlation": reference.matthews_corrcoef(targets, given),
            "cohens_kappa": reference.cohen_kappa_score(targets, given),
        }
        assert {n: q.value for n, q in found.metrics.items()} == pytest.approx(expected)
        assert all(figure.low < figure.value < figure.high for figure in found.metrics.values())

    def test_figures_of_confidences_need_these(self, lab: Workspace) -> None:
        with pytest.raises(ConfigError, match="metrics: auroc needs `also:"):
            ran(lab, {"name": "sums", "metrics": ["auroc"]})

    def test_figures_of_confidences(self, lab: Workspace) -> None:
        stated = [0.9, 0.8, 0.7, 0.6, None, 0.3]
        right = [True, True, False, True, True, False]
        lab.sums(6)
        lab.tape({
            f"sums-{i}": [f"Answer: {8 * i if ok else -1}." + (
                "" if sure is None else f" Confidence: {sure}")]
            for i, (ok, sure) in enumerate(zip(right, stated, strict=True))
        })  # fmt: skip
        names = ["brier_score", "calibration_error", "auroc"]
        found = ran(lab, {"name": "sums", "metrics": names, "also": ["confidence"]},
                    architectures=[single("recorded:tape/m")]).cell  # fmt: skip
        known = [(s, ok) for s, ok in zip(stated, right, strict=True) if s is not None]
        confidences, correct = zip(*known, strict=True)
        assert found.metrics["brier_score"].value == pytest.approx(
            reference.brier_score_loss(correct, confidences)
        )
        assert found.metrics["auroc"].value == pytest.approx(
            reference.roc_auc_score(correct, confidences)
        )
        error = stats.expected_calibration_error(confidences, correct)
        assert found.metrics["calibration_error"].value == pytest.approx(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"also": ["numeric_mach"]}, "unknown evaluator 'numeric_mach'.*did you mean"),
        ({"labels": "right"}, "labels: evaluator 'right' asks models"),
        ({"calibration": "sumz"}, "no dataset of the grid is 'sumz'; did you mean 'sums'"),
        ({"calibration": "others"}, "dataset 'others' has no `labels`"),
        ({"metrics": ["f1"]}, "metrics"),
    ],
)
def test_a_mistake_is_told_at_its_place(
    lab: Workspace, options: dict[str, Any], message: str
) -> None:
    lab.sums(3, "others")
    with pytest.raises(ConfigError, match=message) as raised:
        ran(lab, DATA | options, {"name": "others"})
    (problem,) = raised.value.problems
    assert problem.location is not None
    assert problem.location.line is not None


def test_a_calibration_by_another_judge_is_refused(lab: Workspace) -> None:
    people(lab, range(N))
    lab.sums(5, "others")
    lab.model("simulated:other", accuracy=0.9)
    with pytest.raises(ConfigError, match="'sums' has another evaluator or judge"):
        ran(
            lab,
            DATA | {"labels": "people"},
            DATA | {"name": "others", "judge": "simulated:other", "calibration": "sums"},
        )
