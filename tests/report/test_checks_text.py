"""What stands beside accuracies and how judges were checked, wherever tables are drawn."""

from __future__ import annotations

import msgspec
import pytest

from ember_bench.drawing.number_format import UNDEFINED
from ember_bench.drawing.text import width
from ember_bench.experiment.results.figures import (
    CorrectedAccuracy,
    EvaluatorCheck,
    FurtherSummary,
    PositionBias,
    Quantity,
)
from ember_bench.experiment.results.summary import EvaluationSummary, ExperimentSummary
from ember_bench.report import markdown, table
from ember_bench.report.columns import View
from ember_bench.report.summary_text import tables
from ember_bench.report.tidy import cells_table
from ember_bench.tracking import fields
from tests.tracking.summaries import cell, summary

CHECK = EvaluatorCheck(
    "primes", "judged", ["openai:judge"], "primes", 60, [0, 1], [[22, 4], [2, 32]],
    agreement=Quantity(0.9, 0.8, 0.95, "w"),
    kappa=Quantity(0.794, 0.63, 0.9, "d"),
    sensitivity=Quantity(0.941, 0.8, 0.98, "w"),
    specificity=Quantity(0.846, 0.66, 0.94, "w"),
    mean_error=Quantity(0.033, -0.04, 0.1, "w"),
    verbosity=Quantity(0.12, 0.02, 0.22, "i"),
    self_preference=Quantity(0.25, 0.1, 0.4, "i"),
    position=PositionBias(100, Quantity(0.7, 0.6, 0.8, "w"), Quantity(0.2, 0.1, 0.3, "w")),
)  # fmt: skip
CORRECTED = CorrectedAccuracy(30, Quantity(0.55, 0.45, 0.65, "p"), Quantity(0.56, 0.4, 0.7, "r"))
FURTHER = {
    "exact": FurtherSummary(100, Quantity(0.5, 0.4, 0.6, "w"), {"correct": 50, "wrong": 50}),
    "people": FurtherSummary(30, None, {"error": 2}),
}
METRICS = {"macro_f1": Quantity(0.61, 0.5, 0.7, "d"), "cohens_kappa": Quantity(0.2, 0.1, 0.3, "d")}
JUDGED = EvaluationSummary(["openai:judge"], 5, 5, 0, None, None, 0, 0, None)


@pytest.fixture
def checked() -> ExperimentSummary:
    first = cell(
        0, evaluation=JUDGED, further=FURTHER, metrics=METRICS, corrected=CORRECTED
    )  # fmt: skip
    return summary(first, cell(1, evaluation=JUDGED), checks=[CHECK])


@pytest.mark.parametrize("columns", [80, 120, None])
def test_the_terminal_shows_the_check(checked: ExperimentSummary, columns: int | None) -> None:
    text = table(checked, columns, View()).plain
    flat = " ".join(text.split())
    for figure in (
        "primes: judged, checked on 60 labels",
        "Agreement with the labels: 90.0 % [80.0, 95.0]; Cohen's kappa 0.794 [0.63, 0.9].",
        "(verbosity bias): +12.0 [+2.0, +22.0]",
        "(self-preference): +25.0 [+10.0, +40.0]",
        "(position bias): +20.0 [+10.0, +30.0]",
    ):
        assert figure in flat
    assert "unchecked" not in text
    if columns is not None:
        assert max(map(width, text.splitlines())) <= columns


def test_every_table_is_there_in_order(checked: ExperimentSummary) -> None:
    found = {section.about: section for section in tables(checked).sections}
    titles = [section.title for section in tables(checked).sections[1:]]
    assert [title.partition(": ")[2].split(",")[0] for title in titles] == [
        "evaluation by judges (simulated)",
        "judged",
        "accuracy corrected by labels",
        "beside the accuracy",
    ]
    assert [row.values for row in found["labels"].rows] == [("22", "4"), ("2", "32")]
    row = found["beside"].rows[0]
    assert row.notes == ("people: 30 of 100 items, people failed on 2",)
    assert row.values == (
        "50.0", "[40.0, 60.0]", UNDEFINED, "", "61.0", "[50.0, 70.0]", "0.200", "[0.100, 0.300]",
    )  # fmt: skip


def test_markdown_has_the_confusion_matrix(checked: ExperimentSummary) -> None:
    text = markdown(checked)
    assert "| label 0 |  | 22 | 4 |" in text
    assert "30 labels" in text


def test_a_judge_without_labels_is_unchecked(checked: ExperimentSummary) -> None:
    check = EvaluatorCheck("primes", "judged", ["openai:judge"], position=CHECK.position)
    text = table(msgspec.structs.replace(checked, checks=[check]), None, View()).plain
    assert "The judge is unchecked" in text
    assert "position bias" in text


def test_labels_of_another_evaluator_do_not_check_the_judge(checked: ExperimentSummary) -> None:
    check = msgspec.structs.replace(CHECK, models=[])
    text = table(msgspec.structs.replace(checked, checks=[check]), None, View()).plain
    assert "The judge is unchecked" in text


def test_exports_have_it(checked: ExperimentSummary) -> None:
    found = cells_table(checked.cells)
    names = [name for name, _ in found.columns]
    first, second = (dict(zip(names, row, strict=True)) for row in found.rows)
    assert first["further.exact"] == 0.5
    assert first["metric.macro_f1_low"] == 0.5
    assert first["accuracy_prediction_powered_high"] == 0.65
    assert first["labels"] == 30
    assert second["further.exact"] is None


def test_mlflow_has_it(checked: ExperimentSummary) -> None:
    found = fields.cell_metrics(checked.cells[0], 0.95)
    assert found["further/exact"] == 0.5
    assert found["metrics/cohens_kappa_ci95_low"] == 0.1
    assert found["corrected/rogan_gladen"] == 0.56
    parent = fields.experiment_metrics(checked)
    assert parent["checks/primes/kappa"] == 0.794
    assert all(map(fields.is_ours, [*found, *parent]))
