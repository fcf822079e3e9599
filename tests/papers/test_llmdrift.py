"""`experiments/papers/chen2023_llmdrift`, run whole."""

from __future__ import annotations

import csv
import gzip
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from ember_bench.drawing.number_format import interval, points
from ember_bench.experiment.results.summary import CellSummary
from tests.papers.runs import Paper, paper, percent

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DEAREST = "recorded:llmdrift/gpt-4-0314"


@pytest.fixture(scope="module")
def llmdrift(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Paper:
    temporary = tmp_path_factory.getbasetemp()
    return paper("chen2023_llmdrift", "llmdrift", data_dir, temporary)


@pytest.fixture(scope="module")
def cells(llmdrift: Paper) -> dict[tuple[str, str], CellSummary]:
    """By dataset and label."""
    return {(cell.dataset, cell.label): cell for cell in llmdrift.summary.cells}


Cells = dict[tuple[str, str], CellSummary]


def test_all_eight_published_accuracies_are_reproduced(llmdrift: Paper, cells: Cells) -> None:
    rows = llmdrift.published()
    assert len(rows) == 8
    for row in rows:
        cell = cells[row["dataset"], f"recorded:llmdrift/{row['system']}"]
        assert percent(cell) == float(row["accuracy"]), row
        assert cell.outcomes["error"] == cell.outcomes["skipped"] == 0
    assert llmdrift.summary.run.status == "complete"


@pytest.mark.parametrize(
    ("dataset", "label", "value"),
    [
        ("llmdrift_prime", "vote of the four", 69.40),
        ("llmdrift_prime", "oracle of the four", 99.60),
        ("llmdrift_prime", "cascade GPT-3.5 -> GPT-4", 83.60),
        ("llmdrift_happy", "vote of the four", 65.25),
        ("llmdrift_happy", "oracle of the four", 95.00),
        ("llmdrift_happy", "cascade GPT-3.5 -> GPT-4", 81.00),
    ],
)
def test_what_networks_of_the_four_come_to(
    cells: Cells, dataset: str, label: str, value: float
) -> None:
    assert percent(cells[dataset, label]) == value


def recorded(data_dir: Path, file: str, model: str) -> list[dict[str, str]]:
    csv.field_size_limit(sys.maxsize)
    with gzip.open(data_dir / "llmdrift" / file, "rt", encoding="utf-8", newline="") as text:
        return [row for row in csv.DictReader(text) if row["model"] == f"openaichat/{model}"]


@pytest.mark.parametrize(
    ("dataset", "file"),
    [
        ("llmdrift_prime", "PRIME_FULL_EVAL.csv.gz"),
        ("llmdrift_happy", "COUNTAHAPPYNUMBER_EVAL.csv.gz"),
    ],
)
@pytest.mark.parametrize("model", ["gpt-4-0314", "gpt-3.5-turbo-0613"])
def test_costs_and_latencies_are_the_means_of_the_recorded_ones(
    cells: Cells, data_dir: Path, dataset: str, file: str, model: str
) -> None:
    rows = recorded(data_dir, file, model)
    dollars = [float(row["cost"]) for row in rows]
    seconds = [float(row["latency"]) for row in rows]
    cell = cells[dataset, f"recorded:llmdrift/{model}"]
    assert len(rows) == cell.scheduled
    assert cell.cost_per_item is not None
    assert cell.latency_seconds is not None
    assert cell.cost_per_correct is not None
    assert cell.cost_per_item.value == pytest.approx(math.fsum(dollars) / len(rows), rel=1e-12)
    assert cell.latency_seconds.value == pytest.approx(math.fsum(seconds) / len(rows), rel=1e-12)
    assert cell.latency_p50 is not None
    assert cell.latency_p50.value == pytest.approx(float(np.median(seconds)), abs=0.05)
    correct = cell.outcomes["correct"]
    assert cell.cost_per_correct.value == pytest.approx(math.fsum(dollars) / correct, rel=1e-12)
    assert cell.spend_usd == 0, "playing a recording costs nothing"


def test_a_vote_costs_all_four_and_takes_as_long_as_the_slowest(
    cells: Cells, data_dir: Path
) -> None:
    models = ["gpt-4-0314", "gpt-4-0613", "gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613"]
    by_item: dict[tuple[str, str], list[dict[str, str]]] = {}
    for model in models:
        for row in recorded(data_dir, "PRIME_FULL_EVAL.csv.gz", model):
            by_item.setdefault((row["dataset"], row["id"]), []).append(row)
    cell = cells["llmdrift_prime", "vote of the four"]
    dollars = math.fsum(float(row["cost"]) for rows in by_item.values() for row in rows)
    slowest = math.fsum(max(float(row["latency"]) for row in rows) for rows in by_item.values())
    assert cell.cost_per_item is not None
    assert cell.latency_seconds is not None
    assert cell.cost_per_item.value == pytest.approx(dollars / 1000, rel=1e-12)
    assert cell.latency_seconds.value == pytest.approx(slowest / 1000, rel=1e-12)
    assert (cell.calls_made, cell.calls_shared) == (0, 4000)


def test_every_call_is_asked_once_and_the_dearest_is_the_baseline(
    llmdrift: Paper, cells: Cells
) -> None:
    assert llmdrift.summary.run.calls_made == 4 * 1500
    assert {c.comparison.baseline.partition("/")[2] for c in cells.values() if c.comparison} == {
        f"single(temperature=0.1, model={DEAREST})"
    }
    for dataset in ("llmdrift_prime", "llmdrift_happy"):
        vote = cells[dataset, "vote of the four"].comparison
        assert vote is not None
        assert vote.difference.high is not None
        assert vote.difference.high < 0, "the vote hurts"
        assert vote.shared_draws


def test_a_repeated_run_does_nothing_and_finds_the_same(llmdrift: Paper) -> None:
    first = llmdrift.summary
    again = llmdrift.run()
    assert (again.progress.done, again.progress.calls_made, again.changes) == (0, 0, [])
    assert again.summary.cells == first.cells
    assert again.summary.digest == first.digest


SHOWN = {
    "GPT-4 of March": DEAREST,
    "GPT-3.5 of June": "recorded:llmdrift/gpt-3.5-turbo-0613",
    "vote of the four": "vote of the four",
    "cascade, both GPT-3.5 first": "cascade GPT-3.5 -> GPT-4",
}


def test_the_readme_says_what_comes_out(llmdrift: Paper, cells: Cells) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, label in SHOWN.items():
        cell = cells["llmdrift_prime", label]
        assert cell.accuracy is not None
        assert cell.cost_per_item is not None
        shown = f"{percent(cell):.1f} {interval(cell.accuracy, 'percent')}"
        row = f"| {name} | {shown} | {1000 * cell.cost_per_item.value:.2f} | "
        if (found := cell.comparison) is None:
            row += "baseline |"
        else:
            result = "worse" if found.is_clear(llmdrift.summary.level) else "no clear difference"
            difference = f"{points(found.difference.value)} {interval(found.difference, 'points')}"
            row += f"{difference}, {result} |"
        assert row in page, row
    whole, vote, cascade = (
        cells["llmdrift_prime", SHOWN[name]]
        for name in ("GPT-4 of March", "vote of the four", "cascade, both GPT-3.5 first")
    )
    assert whole.cost_per_item is not None
    assert vote.cost_per_item is not None
    assert cascade.cost_per_item is not None
    assert whole.latency_seconds is not None
    assert cascade.latency_seconds is not None
    dearer = 100 * (vote.cost_per_item.value / whole.cost_per_item.value - 1)
    cheaper = 100 * (1 - cascade.cost_per_item.value / whole.cost_per_item.value)
    slower = cascade.latency_seconds.value / whole.latency_seconds.value
    text = " ".join(page.split())
    assert f"the vote is {dearer:.0f} % more expensive" in text
    assert f"The cascade is {cheaper:.0f} % cheaper" in text
    assert f"it takes {slower:.1f} times as long" in text


def test_the_readmes_picture_has_the_values_that_come_out(cells: Cells) -> None:
    with (ROOT / "docs" / "images" / "llmdrift.csv").open(encoding="utf-8", newline="") as file:
        drawn = {row["system"]: row for row in csv.DictReader(file)}
    assert {*drawn} == {label for dataset, label in cells if dataset == "llmdrift_prime"}
    for label, row in drawn.items():
        cell = cells["llmdrift_prime", label]
        assert cell.accuracy is not None
        assert cell.cost_per_item is not None
        for name, found in (("accuracy", cell.accuracy), ("cost_per_item", cell.cost_per_item)):
            ours = (found.value, found.low, found.high)
            theirs = [float(row[f"{name}{end}"]) for end in ("", "_low", "_high")]
            assert theirs == pytest.approx(ours, rel=1e-9)
