"""CRUXEval's output prediction: pass@1 and pass@5 of `data.csv` come out of `epochs: 10`.

What is replayed is the source's own verdict on each of ten samples of 800 items, as published.
Its files are sorted: the first samples are right more often than the last.
"""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ember_bench.experiment.results.summary import CellSummary
from tests.support.workspace import Workspace, single

pytestmark = pytest.mark.slow

MODELS = ("deepseek-base-1.3b", "codellama-34b+cot", "gpt-4-0613")
COLD, HOT = "temp0.2", "temp0.8"  # pass@1 is published at one temperature, pass@5 at the other
SORTED = ("deepseek-base-1.3b", HOT)


@dataclass(frozen=True)
class Setting:
    """One model at one temperature: its cell, and its scores, items x epochs."""

    cell: CellSummary
    scores: np.ndarray


Settings = dict[tuple[str, str], Setting]


def verdicts(folder: Path, model: str, temperature: str) -> dict[str, list[bool]]:
    """Return the source's verdict on each sample of each item."""
    path = folder / "evaluation_results" / f"{model}_{temperature}_output.json.gz"
    with gzip.open(path, "rb") as file:
        scored: dict[str, list[bool]] = json.load(file)["raw_scored_generations"]
    return scored


@pytest.fixture(scope="module")
def folder(data_dir: Path) -> Path:
    folder = data_dir / "cruxeval"
    if not folder.is_dir():
        pytest.skip(f"needs the recorded data 'cruxeval' in {data_dir}")
    return folder


def write_dataset(workspace: Workspace, folder: Path) -> None:
    """Write the dataset, of which the source's own verdict is the answer."""
    items = [json.loads(line) for line in (folder / "cruxeval.jsonl").open(encoding="utf-8")]
    records = [{"id": item["id"], "question": item["code"], "target": "yes"} for item in items]
    workspace.write("registry/datasets/cruxeval.jsonl", "\n".join(map(json.dumps, records)))
    workspace.write(
        "registry/datasets/cruxeval.yaml",
        {
            "name": "cruxeval",
            "purpose": "Whether the source accepts an answer.",
            "source": {"file": "cruxeval.jsonl"},
            "fields": {"id": "id", "question": "question", "target": "target"},
            "answer_format": "yes_no",
            "evaluator": "verdict",
        },
    )
    workspace.write(
        "registry/evaluators/verdict.yaml",
        {
            "name": "verdict",
            "kind": "exact_match",
            "purpose": "The source's own verdict.",
            "answer_format": "yes_no",
        },
    )


def write_recordings(workspace: Workspace, folder: Path) -> dict[tuple[str, str], str]:
    """Write a recorded model for each setting; return their names."""
    named = {}
    for model in MODELS:
        for temperature in (COLD, HOT):
            name = f"{model}-{temperature}".replace("+", "-")
            named[model, temperature] = name
            rows = [
                {"id": item, "output": ["yes" if right else "no" for right in samples]}
                for item, samples in verdicts(folder, model, temperature).items()
            ]
            workspace.write(f"registry/models/{name}.jsonl", "\n".join(map(json.dumps, rows)))
    workspace.write(
        "registry/models/cruxeval.yaml",
        {
            "name": "recorded:cruxeval",
            "files": "{model}.jsonl",
            "fields": {"item": "id", "answer": "output"},
            "models": list(named.values()),
        },
    )
    return named


def stored_scores(workspace: Workspace, cells: list[str]) -> dict[str, list[float]]:
    """Return the scores of each cell's trials, item by item."""
    with sqlite3.connect(workspace.root / "results" / "trip" / "trials.db") as db:
        return {
            name: [
                score
                for (score,) in db.execute(
                    "SELECT score FROM trials JOIN cells ON cells.id = cell WHERE name = ?"
                    " ORDER BY item, epoch",
                    (name,),
                )
            ]
            for name in cells
        }


@pytest.fixture(scope="module")
def settings(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Replay every setting with ten epochs, in one grid."""
    workspace = Workspace(tmp_path_factory.mktemp("cruxeval"))
    write_dataset(workspace, folder)
    named = write_recordings(workspace, folder)
    workspace.grid(
        datasets=["cruxeval"],
        architectures=[single([f"recorded:cruxeval/{name}" for name in named.values()])],
        epochs=10,
    )
    cells = workspace.run().summary.cells
    scores = stored_scores(workspace, [cell.name for cell in cells])
    return {
        setting: Setting(cell, np.reshape(scores[cell.name], (800, 10)))
        for setting, cell in zip(named, cells, strict=True)
    }


@pytest.mark.parametrize("model", MODELS)
def test_the_published_pass_at_1_and_5_come_out(
    folder: Path, settings: Settings, model: str
) -> None:
    with (folder / "data.csv").open(newline="", encoding="utf-8") as file:
        (row,) = (row for row in csv.DictReader(file) if row["Model"] == model)
    cold, hot = settings[model, COLD].cell, settings[model, HOT].cell
    assert cold.outcomes["error"] == hot.outcomes["error"] == 0
    assert cold.accuracy is not None
    assert f"{100 * cold.accuracy.value:.1f}" == row["o@1"]
    assert f"{100 * hot.pass_at_k[5].value:.1f}" == row["o@5"]


@pytest.mark.parametrize("temperature", [COLD, HOT])
@pytest.mark.parametrize("model", MODELS)
def test_ten_epochs_are_the_ten_samples(
    folder: Path, settings: Settings, model: str, temperature: str
) -> None:
    right = [sum(samples) for samples in verdicts(folder, model, temperature).values()]
    found = settings[model, temperature].scores.sum(axis=1)
    assert sorted(found) == sorted(right)


def test_no_epoch_is_better_than_another_though_the_file_is_sorted(
    folder: Path, settings: Settings
) -> None:
    recorded = np.array(list(verdicts(folder, *SORTED).values())).mean(axis=0)
    assert recorded[0] - recorded[-1] > 0.15
    scores = settings[SORTED].scores
    # Of each item, an epoch has one of ten samples drawn without order.
    rates = scores.mean(axis=1)
    deviation = np.sqrt((rates * (1 - rates)).sum()) / len(rates)
    assert np.abs(scores.mean(axis=0) - rates.mean()).max() < 4 * deviation
