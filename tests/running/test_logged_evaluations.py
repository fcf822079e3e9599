"""Evaluations that MLflow made itself: imported, and compared as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, command, here, sums
from tests.support.workspace import Workspace

__all__ = ["command", "here", "sums"]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("mlflow")
    found = f"sqlite:///{folder}/mlflow.db"
    script = Path(__file__).with_name("mlflow_evaluations.py")
    done = subprocess.run(
        [sys.executable, str(script), found],
        cwd=folder, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return found


def cells(command: Command, name: str) -> dict[str, dict[str, Any]]:
    found = command("run", name, "--no-mlflow", "--quiet", "--json").json["cells"]
    return {cell["label"]: cell for cell in found}


@pytest.mark.slow
class TestEvaluationsOfMLflow:
    def test_runs_of_an_experiment_become_systems(self, command: Command, uri: str) -> None:
        ran = command("import", "mlflow", "theirs", "--tracking-uri", uri)
        assert ran.status == 0, ran.err
        assert "30 items, 60 answers of 2 models: good, poor" in ran.err
        assert "good: scores are those of right, and not of characters, verdict" in ran.err
        assert "poor: 1 of the 30 traces ended in an error" in ran.err
        found = cells(command, "theirs")
        assert found["recorded:theirs/good"]["accuracy"]["value"] == pytest.approx(29 / 30)
        poor = found["recorded:theirs/poor"]
        assert poor["accuracy"]["value"] == pytest.approx(23 / 29)
        assert poor["comparison"]["difference"]["value"] == pytest.approx(-5 / 29)
        ours = command(
            "rescore", "theirs", "--evaluator", "numeric_match", "--as", "ours", "--json"
        )
        assert ours.json["cells"][0]["accuracy"]["value"] == pytest.approx(29 / 30)

    def test_another_scorer_and_answers_in_words(self, command: Command, uri: str) -> None:
        words = ("import", "mlflow", "runs:/good", "--name", "words", "--tracking-uri", uri)
        assert command(*words, "--scorer", "verdict").status == 0
        assert cells(command, "words")["recorded:words/good"]["accuracy"]["value"] == 29 / 30
        assert "did you mean 'verdict'" in command(*words, "--scorer", "verdit").err

    def test_a_table_of_an_older_evaluation_is_read(self, command: Command, uri: str) -> None:
        ran = command("import", "mlflow", "table", "good", "--name", "old", "--tracking-uri", uri)
        assert ran.status == 0, ran.err
        assert "60 items" in ran.err  # a table has texts, and traces have named inputs
        found = cells(command, "old")
        assert found["recorded:old/table"]["accuracy"]["value"] == pytest.approx(27 / 30)

    def test_they_are_compared_as_they_are(self, command: Command, uri: str) -> None:
        ran = command("compare", "runs:/good", "runs:/poor", "--tracking-uri", uri, "--json")
        assert ran.status == 0, ran.err
        (compared,) = ran.json["pairs"]
        assert compared["difference"]["value"] == pytest.approx(-5 / 29)
        assert (compared["wins"], compared["losses"], compared["items"]) == (0, 5, 29)
        whole = command("compare", "runs:/theirs", "--tracking-uri", uri, "--json")
        assert whole.json["pairs"][0]["losses"] == 5

    def test_the_report_says_how_to_get_one(self, command: Command, uri: str) -> None:
        for name in ("runs:/theirs", "runs:/good"):
            ran = command("report", name, "--tracking-uri", uri, "--format", "md")
            assert (ran.status, "`ember-bench import mlflow`" in ran.err) == (2, True)


@pytest.mark.slow
def test_runs_of_ours_are_not_imported(command: Command, sums: Workspace) -> None:
    assert command("run", "grid.yaml", "--quiet").status == 0
    ran = command("import", "mlflow", "trip")
    assert (ran.status, "ember-bench has logged it; `compare runs:/trip`" in ran.err) == (2, True)
    assert "no run of MLflow has this id or name" in command("import", "mlflow", "trap").err
