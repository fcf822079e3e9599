"""Our own harness, measured as its peers are: grids that `ember-bench run` would run, and how.

Everything is there: scheduling, call keys, the response store with durable writes, scoring, trial
rows, progress, the summary. Only MLflow, which no peer has, is off. Times are those of the trials,
as they are shown while a grid runs; `whole_*` are those from reading the grid to its summary.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks import grids
from benchmarks.peers.measured import Job, Measurement, cpu_seconds, serve_jobs
from ember_bench.experiment.runner import Progress
from ember_bench.running.progress import Lines
from ember_bench.running.session import Options, open_experiment, run_experiment


class Timed(Lines):
    """The progress of a run that is not in a terminal, with the times of its trials."""

    wall = cpu = 0.0

    def started(self, progress: Progress) -> None:
        """The trials begin."""
        super().started(progress)
        self.start()

    def start(self) -> None:
        """Start the clocks."""
        self.wall, self.cpu = time.perf_counter(), cpu_seconds()

    def finished(self) -> None:
        """Stop them."""
        self.wall, self.cpu = time.perf_counter() - self.wall, cpu_seconds() - self.cpu
        super().finished()


def write(job: Job, model: str, folder: Path) -> Path:
    """Write the grid of a job; returns its file."""
    if job.draws == 1:
        # The card says how many calls may be in flight; that many trials more may wait for them.
        return grids.write_grid(folder, [grids.single(model)], items=job.items)
    vote = grids.vote(model, job.draws)
    return grids.write_grid(folder, [vote], items=job.items, in_flight=job.concurrency)


def measure(job: Job, card: dict[str, str], work: Path) -> Measurement:
    """Run a grid in a folder of its own."""
    folder = Path(tempfile.mkdtemp(dir=work))
    concurrency = job.concurrency * job.draws
    grids.write_card(folder, job.base_url, max_concurrency=concurrency, options=card)
    grid = write(job, grids.SERVED, folder)
    listener = Timed(simulated=False)
    wall, cpu = time.perf_counter(), cpu_seconds()
    outcome = run_experiment(
        open_experiment(grid),
        Options(results=folder / "results", mlflow=False, dedicated=True),
        listener,
    )
    whole = {
        "whole_wall_seconds": time.perf_counter() - wall,
        "whole_cpu_seconds": cpu_seconds() - cpu,
    }
    summary = outcome.summary
    if summary.failed:
        raise RuntimeError(f"{summary.failed:,} trials ended in an error")
    return Measurement(summary.run.calls_made, listener.wall, listener.cpu, whole)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ours")
    parser.add_argument("--work", type=Path, required=True, help="where results are written")
    parser.add_argument(
        "--card", type=json.loads, required=True, help="JSON: more fields of the model's card"
    )
    options = parser.parse_args()
    serve_jobs(lambda job: measure(job, options.card, options.work), ["ember-bench", "openai"])


if __name__ == "__main__":
    main()
