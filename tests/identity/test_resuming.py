"""Results of earlier code are taken up: no model is called again, and every value is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.identity import resuming
from tests.identity.resuming import command, digits, summary

pytestmark = pytest.mark.slow

TRIALS = 228
CALLS = 426


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results of earlier code, to be written to."""
    folder = tmp_path / "results"
    resuming.unpack(folder)
    return folder


def test_the_results_are_those_of_a_whole_run(results: Path) -> None:
    run = summary(results)["run"]
    assert (run["status"], run["trials_run"], run["calls_made"]) == ("complete", TRIALS, CALLS)


def test_a_grid_is_resumed_without_a_trial_or_a_call(results: Path) -> None:
    before = summary(results)
    command("run", results)
    after = summary(results)
    assert after["run"]["changes"] == []
    assert (after["run"]["trials_run"], after["run"]["trials_kept"]) == (0, TRIALS)
    assert (after["run"]["calls_made"], after["run"]["calls_shared"]) == (0, 0)
    assert digits(after) == digits(before)
    assert (after["digest"], after["spend_usd"]) == (before["digest"], before["spend_usd"])


def test_a_grid_whose_trials_are_gone_is_run_from_its_stored_answers(results: Path) -> None:
    before = summary(results)
    (results / "resumed" / "trials.db").unlink()
    command("run", results, "--offline")
    after = summary(results)
    assert (after["run"]["trials_run"], after["run"]["calls_made"]) == (TRIALS, 0)
    assert digits(after) == digits(before)


def test_results_are_rescored_without_a_call_or_another_score(results: Path) -> None:
    before = summary(results)
    command("rescore", results)
    after = summary(results, "resumed.rescored")
    assert (after["run"]["trials_run"], after["run"]["calls_made"]) == (TRIALS, 0)
    assert digits(after) == digits(before)
