"""The report, the traced trials and the tables that a run logs to MLflow beside its numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ember_bench.errors import OutputError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.experiment.trial_store import TrialStore
from ember_bench.files import write
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.report import markdown
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_report import html_report
from ember_bench.running.places import SUMMARY, SUMMARY_TEXT
from ember_bench.tracking.messages import TracedTrial
from ember_bench.tracking.sample import sample_trials

if TYPE_CHECKING:
    from ember_bench.tracking import TrialBatch

REPORT: Final = "report.html"
_BATCH: Final = 5_000
_COLUMNS: Final = {
    "outcome": "outcome",
    "score": "score",
    "answer": "answer",
    "explanation": "explanation",
    "error": "error",
    "cost_usd": "cost_usd",
    "latency_seconds": "latency_seconds",
    "calls": "calls_used",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
}


def write_summary(summary: ExperimentSummary, folder: Path) -> str:
    """Write the summary of an experiment to its folder, as JSON and as Markdown; return the latter.

    Raises:
        OutputError: if it cannot be written.
    """
    text = markdown(summary)
    encoded = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
    write_file(folder / SUMMARY_TEXT, text.encode())
    write_file(folder / SUMMARY, encoded)
    return text


def write_file(path: Path, content: bytes) -> None:
    """Write a file of a results folder.

    Raises:
        OutputError: if it cannot be written.
    """
    try:
        write(path, content)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


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
) -> Generator[TracedTrial, None, None]:
    """Yield up to `count` trials with the outputs of their nodes and calls, one by one."""
    if count:
        with asyncio.Runner() as runner:
            source = sample_trials(experiment, store, ResponseStore(responses), count)
            try:
                while (trial := runner.run(_next(source))) is not None:
                    yield trial
            finally:
                runner.run(source.aclose())


async def _next(source: AsyncGenerator[TracedTrial, None]) -> TracedTrial | None:
    return await anext(source, None)


def trial_batches(store: TrialStore, name: str) -> Iterator[TrialBatch]:
    """Yield the trials of a cell by column, as MLflow's tables have them."""
    asked = store.description
    index = asked.places[name]
    items = asked.items[asked.cells[index].dataset]
    rows = iter(store.columns(index, list(_COLUMNS.values())))
    while batch := list(islice(rows, _BATCH)):
        numbers, epoch, *rest = zip(*batch, strict=True)
        about = [items[number] for number in numbers]
        yield {
            "item": [item.id for item in about],
            "epoch": epoch,
            **dict(zip(_COLUMNS, rest, strict=True)),
            "target": [item.target for item in about],
            "item_digest": [item.digest for item in about],
            "cluster": [item.cluster for item in about],
        }
