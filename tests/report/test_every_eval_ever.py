"""Systems as records of Every Eval Ever, and back."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, command, here, sums
from tests.support.workspace import Workspace, vote

__all__ = ["command", "here", "sums"]

PROGRAM = os.environ.get("EMBER_BENCH_EVERY_EVAL_EVER")
EXPORT = ("export", "trip", "--format", "every-eval-ever", "--output", "shared")


@pytest.fixture
def exported(command: Command, here: Workspace) -> Path:
    """Two temperatures of a model and a vote, in two epochs; one item is an error."""
    here.sums(["", "", "", "refuse"])
    here.model("counted:a", right=0.6)
    here.grid(
        architectures=[
            {"name": "single", "parameters": {"model": "counted:a", "temperature": [0.2, 0.9]}},
            vote([3]),
        ],
        epochs=2,
        failures="excluded",
    )
    command("run", "grid.yaml", "--no-mlflow", "--quiet")
    ran = command(*EXPORT)
    assert ran.status == 0, ran.err
    return here.root / "shared"


def records(folder: Path) -> dict[str, dict[str, Any]]:
    found = (json.loads(path.read_text()) for path in folder.rglob("*.json"))
    return {record["model_info"]["name"]: record for record in found}


def samples(folder: Path, record: dict[str, Any]) -> list[dict[str, Any]]:
    path = folder / record["detailed_evaluation_results"]["file_path"]
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_record_has_the_accuracy_with_its_interval(command: Command, exported: Path) -> None:
    cells = command("show", "trip", "--json").json["cells"]
    found = records(exported)
    assert set(found) == {cell["label"] for cell in cells}
    for cell in cells:
        (result,) = found[cell["label"]]["evaluation_results"]
        details = result["score_details"]
        interval = details["uncertainty"]["confidence_interval"]
        accuracy = cell["accuracy"]
        assert details["score"] == accuracy["value"]
        assert (interval["lower"], interval["upper"]) == (accuracy["low"], accuracy["high"])
        assert details["uncertainty"]["num_samples"] == cell["items"]


def test_a_sample_has_what_was_asked_answered_scored_and_measured(exported: Path) -> None:
    found = records(exported)
    lines = samples(exported, next(iter(found.values())))
    assert len(lines) == 8
    sample = next(line for line in lines if line["sample_id"] == "sums-1")
    assert (sample["input"]["raw"], sample["input"]["reference"]) == (" 1 + 7 = ?", ["8"])
    assert sample["evaluation"]["is_correct"] == (sample["evaluation"]["score"] == 1)
    assert sample["token_usage"]["total_tokens"] > 0
    assert float(sample["performance"]["additional_details"]["cost_usd"]) > 0
    assert {line["metadata"]["epoch"] for line in lines} == {"0", "1"}
    failed = [line for line in lines if line["error"] is not None]
    assert {line["sample_id"] for line in failed} == {"sums-3"}


def test_systems_of_one_model_are_told_apart(exported: Path) -> None:
    ids = [record["model_info"]["id"] for record in records(exported).values()]
    assert len(set(ids)) == 3
    assert sum(name.startswith("counted/a_") for name in ids) == 2


def test_what_is_exported_can_be_imported(command: Command, exported: Path) -> None:
    ran = command("import", "every-eval-ever", exported, "--name", "back")
    assert ran.status == 0, ran.err
    cells = command("run", "back", "--no-mlflow", "--quiet", "--json").json["cells"]
    found = {
        cell["models"][0].partition("/")[2]: cell for cell in cells if len(cell["models"]) == 1
    }
    names = {record["model_info"]["id"]: name for name, record in records(exported).items()}
    before = {cell["label"]: cell for cell in command("show", "trip", "--json").json["cells"]}
    assert set(found) == set(names)
    for model, cell in found.items():
        was = before[names[model]]
        for number in ("accuracy", "cost_per_item", "latency_seconds"):
            assert cell[number]["value"] == pytest.approx(was[number]["value"])


def test_records_need_a_folder(command: Command, sums: Workspace) -> None:
    assert "give --output FOLDER" in command(*EXPORT[:4]).err


def test_strangers_are_told(command: Command, here: Workspace) -> None:
    here.write("shared/x_samples.jsonl", '{"sample_id": 1}\n')
    ran = command("import", "every-eval-ever", "shared")
    assert "x_samples.jsonl:1: expected a sample of Every Eval Ever" in ran.err
    here.write("shared/x_samples.jsonl", "no")
    assert "x_samples.jsonl:1: not JSON" in command("import", "every-eval-ever", "shared").err
    assert "no samples of Every Eval Ever" in command("import", "every-eval-ever", "builtin").err


@pytest.mark.extra
@pytest.mark.skipif(
    PROGRAM is None, reason="needs every_eval_ever: set EMBER_BENCH_EVERY_EVAL_EVER to the program"
)
def test_records_are_valid(exported: Path) -> None:
    files = [str(path.relative_to(exported)) for path in exported.rglob("*.json*")]
    assert len(files) == 6
    done = subprocess.run(
        [str(PROGRAM), "validate", "--format", "json", *files],
        cwd=exported, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"warnings": [{' not in done.stdout
