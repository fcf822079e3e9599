"""The benchmarks of statistics and of live curves, at tiny sizes: that they run, and on what."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import statistics
from benchmarks.statistics_store import make_results
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.models.store.stored_answers import StoredAnswers

pytestmark = pytest.mark.slow


def test_results_are_whole_and_made_once(tmp_path: Path) -> None:
    results = make_results(tmp_path, 5, 30)
    rows = StoredTrials(results / "statistics/trials.db")
    answers = StoredAnswers(results / "responses.db")
    assert len(rows.description.cells) == 5
    for cell in range(5):
        trials = list(rows.columns(cell, ["score", "calls_used"]))
        assert [item for item, *_ in trials] == list(range(30))
        assert 0 < sum(score for *_, score, _ in trials) < 30
        for _, _, calls in rows.all_calls(cell):
            assert all(answers.get(call.key) is not None for call in calls)
    answers.close()
    rows.close()
    written = (results / "statistics/trials.db").stat().st_mtime_ns
    assert make_results(tmp_path, 5, 30) == results
    assert (results / "statistics/trials.db").stat().st_mtime_ns == written


def test_every_step_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--cells", "5", "--items", "30", "--repeats", "1", "--folder", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["statistics", *arguments])
    statistics.main()
    said = capsys.readouterr().out
    assert "5 cells x 30 items" in said
    assert said.count("CPU ") == 7
    assert (tmp_path / "5-cells-30-items/report.html").stat().st_size > 10_000


@pytest.mark.parametrize("kind", ["with", "without"])
def test_live_curves_are_measured(kind: str, tmp_path: Path) -> None:
    from benchmarks.mlflow_log import write_grid

    grid = write_grid(tmp_path, "curves", 2, 3)
    command = [sys.executable, "-m", "benchmarks.live_curves_run", kind, str(grid), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1])["cpu_seconds"] > 0


@pytest.mark.slow
def test_what_the_live_view_takes_is_measured() -> None:
    from benchmarks.live_view import measure

    found = measure("watched", 8, 2, 0.5)
    assert found["cpu_seconds"] > 0
    assert found["readings"] > 0
