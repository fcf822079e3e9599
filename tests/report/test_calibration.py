"""Calibration: what is drawn of judges and of confidences is what labels and targets say."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from ember_bench.errors import ConfigError
from ember_bench.experiment.prepare import prepare
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards, builtin_root
from ember_bench.report.figures import plot
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_report import html_report
from tests.support.workspace import Workspace, run, single

pytestmark = pytest.mark.slow

N = 60


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Sums that a judge scores, which errs in one of five, with labels of every output."""
    made = Workspace(tmp_path_factory.mktemp("judged"))
    made.sums(N)
    made.model("simulated:solver", accuracy=0.6)
    made.model("simulated:judge", accuracy=0.8, seed=7)
    made.write(
        "registry/evaluators/right.yaml",
        {"name": "right", "kind": "judged", "signature": "grade_by_reference",
         "verdicts": {"correct": 1, "incorrect": 0}},
    )  # fmt: skip
    labels = [
        {"item": f"sums-{i}", "answer": str(answer), "label": answer == 8 * i}
        for i in range(N)
        for answer in range(8 * i - 60, 8 * i + 61)
    ]
    made.write(
        "registry/evaluators/labels.jsonl", "".join(json.dumps(row) + "\n" for row in labels)
    )
    made.write(
        "registry/evaluators/people.yaml",
        {"name": "people", "kind": "labelled", "file": "labels.jsonl", "output": "answer"},
    )
    made.grid(
        datasets=[{"name": "sums", "evaluator": "right", "judge": "simulated:judge",
                   "labels": "people"}],
        architectures=[single("simulated:solver")],
    )  # fmt: skip
    cards = Cards([builtin_root(), made.root / "registry"])
    service = ModelService(ModelRegistry.from_cards(cards))
    run(prepare(made.root / "grid.yaml", cards, service), made.root / "results")
    return made


def contents(workspace: Workspace) -> Contents:
    rows = StoredTrials(workspace.root / "results/trip/trials.db")
    return Contents(rows, {cell.name for cell in rows.description.cells})


def test_a_judge_is_drawn_as_its_confusion_matrix_says(judged: Workspace) -> None:
    found = contents(judged)
    with closing(found.rows):
        rows = plot(found, "calibration").frame.to_dict("records")
        (check,) = found.summary.checks
    (wrong_0, wrong_1), (right_0, right_1) = check.confusion
    assert [(row["about"], row["stated"]) for row in rows] == [("judge", 0), ("judge", 1)]
    assert [row["outputs"] for row in rows] == [wrong_0 + right_0, wrong_1 + right_1]
    shares = [right_0 / (wrong_0 + right_0), right_1 / (wrong_1 + right_1)]
    assert [row["true"] for row in rows] == pytest.approx(shares)
    assert all(row["true_low"] < row["true"] < row["true_high"] for row in rows)


def test_it_is_saved_with_its_data_beside_it(judged: Workspace, tmp_path: Path) -> None:
    found = contents(judged)
    with closing(found.rows):
        pdf, csv = plot(found, "calibration").save(tmp_path / "figure.pdf")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert len(csv.read_text().splitlines()) == 3


def test_the_report_shows_it(judged: Workspace) -> None:
    found = contents(judged)
    with closing(found.rows):
        page = html_report(found)
    assert "Calibration of the evaluator (simulated)" in page
    assert page.count("stated, ") == 2


def test_without_labels_and_confidences_there_is_nothing_to_draw(tmp_path: Path) -> None:
    made = Workspace(tmp_path)
    made.sums(5)
    made.model("counted:a", right=0.6)
    made.grid(architectures=[single("counted:a")])
    made.run()
    found = contents(made)
    with closing(found.rows):
        with pytest.raises(ConfigError, match="no evaluator has labels"):
            plot(found, "calibration")
        assert "Calibration of" not in html_report(found)
