"""What turns stored results into decisions takes: `python -m benchmarks.statistics`.

Each step is timed by itself on results that are made once and kept in `--folder`: the summary and
its table; all cells against their baseline, paired and corrected, with the probability to be the
best; the probabilities to be on the front of cost and of latency; the HTML report. Then the
commands as a user gives them. CPU is that of all threads; the least of the repeats counts.
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy

from benchmarks.statistics_store import NAME, make_results
from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.cells import StoredCells
from ember_bench.experiment.results.comparison import compare
from ember_bench.experiment.results.pairs import Pair
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.results.summary import RunSummary
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.report import table
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_fronts import front_probabilities
from ember_bench.report.html_report import html_report

COMMAND = [sys.executable, "-c", "from ember_bench.cli import main; main()"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statistics", description=__doc__)
    parser.add_argument("--cells", type=int, default=100)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("results/benchmark"), help="of results")
    options = parser.parse_args()

    started = time.perf_counter()
    results = make_results(options.folder, options.cells, options.items)
    print(f"results: {time.perf_counter() - started:.1f} s to make, or to find")
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__};"
        f" {options.cells} cells x {options.items:,} items"
    )
    steps: list[tuple[str, Callable[[], object]]] = [
        ("summary and table", lambda: summary_and_table(results)),
        ("comparison of all cells", lambda: comparison(results)),
        ("front probabilities, two axes", lambda: fronts(results)),
        ("HTML report, all of the above in it", lambda: report(results)),
    ]
    for name, step in steps:
        measure(name, step, options.repeats)
    for words in (
        ["export", NAME, "--format", "md"],
        ["compare", NAME],
        ["report", NAME, "--no-graphs"],
    ):
        command = [*COMMAND, *words, "--results", str(results)]
        measure(f"ember-bench {' '.join(words)}", lambda c=command: run(c), options.repeats)  # type: ignore[misc]
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def summary_and_table(results: Path) -> None:
    rows = opened(results)
    run_of = RunSummary("complete", "", 0.0, 0, 0, 0, 0, 0.0, [])
    table(Analysis(rows).summary(run_of), None)
    rows.close()


def comparison(results: Path) -> None:
    rows = opened(results)
    asked = rows.description
    baseline = asked.cells[0].name
    read = StoredCells(rows)
    cells = [read.results(cell.name) for cell in asked.cells]
    compare([Pair(cell, cells[0]) for cell in cells if cell.name != baseline], flips=False)
    rows.close()


def fronts(results: Path) -> None:
    rows = opened(results)
    contents = Contents(rows, {cell.name for cell in rows.description.cells})
    (dataset,) = contents.summary.datasets
    front_probabilities(contents, dataset)
    rows.close()


def report(results: Path) -> None:
    rows = opened(results)
    answers = StoredAnswers(results / "responses.db")
    page = html_report(Contents(rows, {cell.name for cell in rows.description.cells}, answers))
    (results / "report.html").write_text(page, encoding="utf-8")
    answers.close()
    rows.close()


def opened(results: Path) -> StoredTrials:
    return StoredTrials(results / NAME / "trials.db")


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def measure(name: str, step: Callable[[], object], repeats: int) -> None:
    found = []
    for _ in range(repeats):
        cpu, wall = cpu_seconds(), time.perf_counter()
        step()
        found.append((cpu_seconds() - cpu, time.perf_counter() - wall))
    cpus, walls = zip(*found, strict=True)
    print(f"{name:<40} CPU {min(cpus):6.2f} s, wall {min(walls):6.2f} s", flush=True)


def cpu_seconds() -> float:
    """Return the CPU of this process and of those that it has waited for."""
    own, others = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


if __name__ == "__main__":
    main()
