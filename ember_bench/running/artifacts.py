"""What a run logs to MLflow beside its numbers: the report, and trials as traces."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial_store import TrialStore

if TYPE_CHECKING:
    from ember_bench.tracking.messages import TracedTrial

REPORT: Final = "report.html"


def write_report(store: TrialStore, responses: Path, folder: Path) -> list[Path]:
    """Write the report of an experiment to `folder`.

    Without what takes another run of the graphs, for which nobody has asked.
    """
    from ember_bench.models.store.response_store import StoredAnswers
    from ember_bench.report.html import html_report
    from ember_bench.report.html_contents import Contents

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
    """Return up to `count` trials with what their nodes and calls gave."""
    if not count:
        return []
    from ember_bench.models.store.response_store import ResponseStore
    from ember_bench.tracking.sample import sample_trials

    return asyncio.run(sample_trials(experiment, store, ResponseStore(responses), count))
