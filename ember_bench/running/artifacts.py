"""The report and the traced trials that a run logs to MLflow beside its numbers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial_store import TrialStore
from ember_bench.models.store.response_store import ResponseStore, StoredAnswers
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_report import html_report
from ember_bench.tracking.messages import TracedTrial
from ember_bench.tracking.sample import sample_trials

REPORT: Final = "report.html"


def write_report(store: TrialStore, responses: Path, folder: Path) -> list[Path]:
    """Write the report of an experiment to `folder`, without running the graphs again."""
    answers = StoredAnswers(responses)
    try:
        cells = {cell.name for cell in store.description.cells}
        page = html_report(Contents(store, cells, answers))
    finally:
        answers.close()
    path = folder / REPORT
    path.write_text(page, encoding="utf-8")
    return [path]


def sampled(
    experiment: Experiment, store: TrialStore, responses: Path, count: int
) -> list[TracedTrial]:
    """Return up to `count` trials with the outputs of their nodes and calls."""
    if not count:
        return []
    return asyncio.run(sample_trials(experiment, store, ResponseStore(responses), count))
