"""`experiments/papers/zeroeval_gsm8k`, run whole: 58,000 trials, once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ember_bench.experiment.results.summary import CellSummary
from tests.papers.runs import Paper, paper, percent

pytestmark = pytest.mark.slow

# Their answers contain unevaluated arithmetic, which the source hands to eval(): ours, published.
EVALUATED_THERE = {"yi-large": (79.98, 80.06), "yi-large-preview": (82.41, 82.64)}
ASKED_LESS = "gemini-1.5-flash-exp-0827"


@pytest.fixture(scope="module")
def zeroeval(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Paper:
    return paper("zeroeval_gsm8k", "zeroeval", data_dir, tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def cells(zeroeval: Paper) -> dict[str, CellSummary]:
    """By label, which for one model alone is the model."""
    return {cell.label: cell for cell in zeroeval.summary.cells}


Cells = dict[str, CellSummary]


def test_42_of_44_published_accuracies_are_reproduced(zeroeval: Paper, cells: Cells) -> None:
    different = {}
    rows = zeroeval.published()
    for row in rows:
        cell = cells[f"recorded:zeroeval_gsm8k/{row['model']}"]
        assert cell.scheduled == cell.items == int(row["items"])
        assert cell.outcomes["error"] == cell.outcomes["skipped"] == 0
        if percent(cell) != float(row["accuracy"]):
            different[row["system"]] = (percent(cell), float(row["accuracy"]))
    assert len(rows) == 44
    assert different == EVALUATED_THERE
    assert zeroeval.summary.run.status == "complete"


def test_one_model_was_asked_its_own_681_questions(cells: Cells) -> None:
    cell = cells[f"recorded:zeroeval_gsm8k/{ASKED_LESS}"]
    assert (cell.dataset, cell.scheduled) == ("zeroeval_gsm8k_681", 681)
    assert cell.comparison is None


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("vote of the best five", 97.36),
        ("oracle of the best five", 98.26),
        ("vote of the weakest five", 83.42),
        ("oracle of the weakest five", 93.63),
    ],
)
def test_what_votes_and_oracles_come_to(cells: Cells, label: str, value: float) -> None:
    assert percent(cells[label]) == value


def test_what_was_not_recorded_is_unknown(cells: Cells) -> None:
    for cell in cells.values():
        assert cell.cost_per_item is None
        assert cell.cost_per_correct is None
        assert cell.latency_seconds is None
        assert not cell.simulated


def test_no_answer_is_asked_for_twice(zeroeval: Paper) -> None:
    summary = zeroeval.summary
    assert summary.run.calls_made == 43 * 1319 + 681
    # The votes and oracles of five share theirs with the models alone.
    assert summary.run.calls_shared == 4 * 5 * 1319


def test_a_repeated_run_does_nothing_and_finds_the_same(zeroeval: Paper) -> None:
    first = zeroeval.summary
    started = time.process_time()
    again = zeroeval.run()
    assert time.process_time() - started < 15
    assert (again.progress.done, again.progress.calls_made, again.changes) == (0, 0, [])
    assert again.progress.kept == len(first.cells) * 1319 - (1319 - 681)
    assert again.summary.cells == first.cells
